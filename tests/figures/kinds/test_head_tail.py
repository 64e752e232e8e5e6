"""Head and tail on one axis: the marks, the numbers below, and scopes that some results lack."""

from dataclasses import replace

import numpy as np
import pytest

from figures.kinds import curvature, head_tail, nonconvexity, spectrum
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.hdf5 import save
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum
from tests.figures import run_records

SCOPES = ("overall", "head", "mid", "tail", "class/0", "class/9")


def written(folder, name, method, *records):
    return run_records.write_run(folder / name, method, *records)


@pytest.fixture
def two(tmp_path):
    made = [
        written(tmp_path, name, method, run_records.accuracy(), run_records.spectrum(low, SCOPES))
        for name, method, low in (("plain", "ce-drw", -2.0), ("sam", "ce-drw+sam", -0.5))
    ]
    return Request(tuple(made))


def test_both_ends_of_both_scopes_are_marked_and_told(two):
    found = head_tail.read(two)
    with paper_style():
        figure = found.draw()
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["ce-drw", "ce-drw+sam"]
    for axes, run in zip(panels, two.runs, strict=True):
        record, _ = run.load(Spectrum, "last")
        marked = sorted(one.lines[0].get_xdata()[0] for one in axes.containers)
        at = [record.index("head"), record.index("tail")]
        expected = sorted([*record.lambda_min[at], *record.lambda_max[at]])
        assert marked == pytest.approx(expected)
        (shaded,) = axes.patches
        assert shaded.get_extents().x1 == pytest.approx(axes.transData.transform((0, 1))[0])
    strips = [axes for axes in figure.axes if not axes.axison]
    words = [text.get_text() for text in strips[0].texts]
    record, _ = two.runs[0].load(Spectrum, "last")
    assert {*record.end_texts(record.index("tail")), "head", "tail"} <= set(words)
    table = found.numbers()
    assert table.header[1:] == tuple(
        f"{m}: {s}" for m in ("ce-drw", "ce-drw+sam") for s in ("head", "tail")
    )
    assert [row[0] for row in table.rows][:3] == ["λmin", "λmax", "|λmin / λmax|"]
    assert len(found.page().layout.shapes) >= 2


def test_without_groups_the_first_and_last_class_are_shown(tmp_path):
    run = written(tmp_path, "run", "ce", run_records.spectrum(scopes=("class/9", "class/0")))
    ((_, pair),) = head_tail.read(Request((run,))).runs
    assert [one.label for one in pair] == ["class 0", "class 9"]
    assert all(one.numbers["accuracy"] == "–" for one in pair)
    alone = written(tmp_path, "alone", "ce", run_records.spectrum(scopes=("overall",)))
    with pytest.raises(InputError, match="neither head and tail nor two classes"):
        head_tail.read(Request((alone,)))


@pytest.fixture
def uneven(tmp_path):
    """A run whose last checkpoint was diagnosed for a class alone."""
    run = written(tmp_path, "run", "ce", run_records.spectrum(scopes=SCOPES))
    path = run.path / "results/spectrum/epoch_0200.h5"
    record, origin = read_record(path, Spectrum)
    save(record, replace(origin, checkpoint="epoch_0100"), path.with_name("epoch_0100.h5"))
    at = record.index("class/9")
    one = {k: v[at : at + 1] for k, v in vars(record).items()}
    save(Spectrum(**one), origin, path)
    return Request((RunResults.open(run.path),))


def test_scopes_that_a_checkpoint_lacks_are_named(uneven):
    for module in (nonconvexity, curvature):
        chart = module.read(uneven)
        assert [line.label for line in chart.panels[0].lines] == ["class 9"]
        assert chart.note == "no head, mid, tail in ce at epoch 200"
        asked = module.read(replace(uneven, scopes=("tail", "class/9")))
        tail, last = asked.panels[0].lines
        assert (tail.x.tolist(), last.x.tolist()) == ([100], [100, 200])
        assert "no tail" in asked.note
        assert asked.note in asked.page().layout.title.text
        with pytest.raises(InputError, match="unknown scope of these spectra 'class/3'"):
            module.read(replace(uneven, scopes=("class/3",)))


def test_a_spectrum_that_one_run_lacks_is_an_empty_panel(uneven, two):
    both = replace(two, runs=(two.runs[0], *uneven.runs), scopes=("tail",))
    (_, (missing,)) = spectrum.spectra(both)[0]
    assert (missing.density, missing.empty) == (None, "not diagnosed")
    with paper_style():
        figure = spectrum.read(both).draw()
    assert "not diagnosed" in [text.get_text() for text in figure.axes[1].texts]


def test_a_ratio_of_zero_has_a_place(tmp_path):
    """A minimum's ratio is 0, for which a logarithmic axis has none."""
    run = written(tmp_path, "run", "ce", run_records.spectrum(0.5, SCOPES))
    chart = nonconvexity.read(Request((run,)))
    assert all(line.y == [0] for line in chart.panels[0].lines)
    with paper_style():
        (axes,) = chart.draw().axes
    assert np.isfinite(axes.get_ylim()).all()
