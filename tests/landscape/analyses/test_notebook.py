"""Progress in a notebook, and silence elsewhere."""

import sys
from types import SimpleNamespace

import pytest

import landscape
from landscape import SpectrumConfig
from tests.oracles import mlp, toy_data


@pytest.fixture
def cells(monkeypatch):
    """What a kernel's cells are shown."""
    shown = []

    def show(data, *, raw):
        assert raw
        shown.append(data["text/plain"])

    def display(data, *, raw, display_id):
        assert display_id
        show(data, raw=raw)
        return SimpleNamespace(update=show)

    kernel = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: kernel, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return SimpleNamespace(shown=shown, kernel=kernel)


def spectrum(**options):
    subject = landscape.Subject(mlp(outputs=3), toy_data((3,), (6, 3, 1)))
    return landscape.spectrum(
        subject, SpectrumConfig(steps=2, probes=1), scopes=("overall", "class/0"), **options
    )


def test_every_scope_is_shown_and_the_cell_left_clean(cells):
    record = spectrum()
    assert [text.split(" (")[0] for text in cells.shown] == [
        "spectrum: class/0",
        "spectrum: overall",
        "",
    ]
    del cells.kernel.kernel  # IPython on a terminal
    assert spectrum().lambda_max.tolist() == record.lambda_max.tolist()
    assert len(cells.shown) == 3


def test_a_progress_of_ones_own_is_the_only_one(cells):
    own = []
    spectrum(progress=own.append)
    assert own == ["class/0", "overall"]
    assert cells.shown == []
