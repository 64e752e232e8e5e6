"""Settings of an analysis of another package: checked, stored, spelled and helped like ours."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest

from cli.main import main
from cli.sweeps.file import read_sweep
from landscape.analyses.analysis import analysis
from landscape.analyses.catalogue import ANALYSES, Analysis, differing_settings
from landscape.analyses.sharpness import sharpness
from landscape.config import DiagnoseConfig
from landscape.errors import InputError
from landscape.results.load import record_types
from landscape.results.plugins import PluginWarning, settings_problem
from landscape.results.sharpness import Sharpness
from landscape.testing import check_analysis, toy_subject


@dataclass(frozen=True)
class Norms:
    """Settings of norms."""

    power: float = 2.0
    """Order of the norm."""
    of: Literal["weights", "gradients"] = "weights"
    """Whose."""
    layers: tuple[str, ...] = ("*",)
    """Names or globs."""

    def check(self):
        if self.power < 1:
            raise InputError(f"power is {self.power}")


@analysis("my-norms")
def norms(subject, settings=Norms(), *, dtype=None, seed=0):  # noqa: ARG001
    found = sharpness(subject, draws=1, steps=1)
    return replace(found, loss=np.full_like(found.loss, settings.power))


ENTRY = Analysis("my-norms", "norms", ("noise", "noise"), ("dtype", "seed"), settings=Norms)


@pytest.fixture
def added(monkeypatch):
    monkeypatch.setattr(Analysis, "load", lambda _: norms)
    monkeypatch.setattr(Analysis, "record_type", lambda _: Sharpness)
    list(ANALYSES)
    dict.__setitem__(ANALYSES, "my-norms", ENTRY)
    yield
    dict.__delitem__(ANALYSES, "my-norms")


def test_they_are_checked_and_stored_as_ours_are(added):  # noqa: ARG001
    subject = toy_subject()
    found = norms(subject, power=3, layers="head")
    stored = found.provenance.config["diagnose"]
    assert stored["my-norms"] == {"power": 3.0, "of": "weights", "layers": ["head"]}
    assert "added" not in stored
    assert (found.loss == 3).all()
    asked = DiagnoseConfig(added=(("my-norms", Norms()),)).plain()
    assert differing_settings("my-norms", stored, asked) == ["my-norms"]
    asked = DiagnoseConfig(added=(("my-norms", Norms(3.0, layers=("head",))),)).plain()
    assert differing_settings("my-norms", stored, asked) == []
    for wrong, said in (({"of": "x"}, "unknown of 'x'"), ({"power": "much"}, "of type str")):
        with pytest.raises(InputError, match=said):
            norms(subject, **wrong)
    with pytest.raises(InputError, match=r"power is 0\.5"):
        norms(subject, power=0.5)
    check_analysis(ENTRY, subject)


def test_the_command_line_has_them(added, capsys):  # noqa: ARG001
    assert main(["diagnose", "--help", "my-norms"]) == 0
    text = capsys.readouterr().out
    assert "--my-norms.power FLOAT" in text
    assert "Order of the norm. (default: 2.0)" in text
    assert main(["diagnose", "nowhere", "--my-norms.power", "0.2", "--analyses", "my-norms"]) == 2
    assert "power is 0.2" in capsys.readouterr().err


def test_a_sweeps_file_has_them(added, tmp_path):  # noqa: ARG001
    file = tmp_path / "sweep.toml"
    head = '[train]\nmethod = "ce"\n[diagnose]\nanalyses = ["my-norms"]\nseed = 3\n'
    file.write_text(f'{head}[diagnose.my-norms]\npower = 3\nlayers = ["head"]\n')
    asked = read_sweep(file).diagnose
    assert (asked.seed, asked.settings_of("my-norms")) == (3, Norms(3.0, layers=("head",)))
    file.write_text(f"{head}[diagnose.my_norms]\npower = 0.2\n")
    with pytest.raises(InputError, match=r"power is 0\.2"):
        read_sweep(file)
    file.write_text(f'{head}[diagnose.my-norms]\nof = "both"\n')
    with pytest.raises(InputError, match=r"\[diagnose\.my-norms\]: of = 'both' is no value"):
        read_sweep(file)
    file.write_text(f"{head}my-norms = 3\n")
    with pytest.raises(InputError, match="my-norms has to be a table"):
        read_sweep(file)


def test_a_record_that_cannot_be_imported_is_left_out(monkeypatch):
    entry = Analysis("broken", "nothing", ("noise", "noise"), (), record="nowhere:Record")
    list(ANALYSES)
    monkeypatch.setitem(ANALYSES, "broken", entry)
    with pytest.warns(PluginWarning, match="'broken' is left out: 'nowhere:Record' cannot be"):
        found = record_types()
    assert "broken" not in found
    assert found["sharpness"] is Sharpness


@dataclass
class Thawed:
    power: float = 2.0


@dataclass(frozen=True)
class Needing:
    power: float


@dataclass(frozen=True)
class Odd:
    table: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (dict, "no frozen dataclass"),
        (Thawed, "no frozen dataclass"),
        (Norms(), "no frozen dataclass"),
        (Needing, "cannot be built without values"),
        (Odd, "setting 'table' is no text, number, switch or path"),
        (Norms, "^$"),
    ],
)
def test_what_cannot_be_settings_is_said(kind, said):

    assert re.search(said, settings_problem(kind))


@pytest.mark.parametrize("name", ANALYSES)
def test_our_settings_are_such(name):
    own = ANALYSES[name].settings
    assert own is None or settings_problem(own) == ""


def test_a_promise_on_settings_that_is_broken_is_named(added, monkeypatch):  # noqa: ARG001
    @analysis("my-norms")
    def deaf(subject, *, dtype=None, seed=0):  # noqa: ARG001
        return replace(sharpness(subject, draws=1, steps=1))

    monkeypatch.setattr(Analysis, "load", lambda _: deaf)
    with pytest.raises(AssertionError, match="takes no argument 'settings'"):
        check_analysis(ENTRY)
