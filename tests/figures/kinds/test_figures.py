"""What figures show: axes, labels, artists, scales; and the tables beside them."""

import csv

import numpy as np
import pytest

from figures.kinds import accuracy, nonconvexity, protocol, spectrum
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.hdf5 import save
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum


@pytest.fixture
def request_of(runs):
    def build(*names, **options):
        return Request(tuple(RunResults.open(runs / name) for name in names), **options)

    return build


def test_spectrum_rows_are_runs_and_columns_scopes(request_of):
    request = request_of("plain", "sam", scopes=("overall", "tail", "class/9"))
    with paper_style():
        figure = spectrum.read(request).draw()
    assert len(figure.axes) == 6
    titles = [axes.get_title().splitlines()[0] for axes in figure.axes]
    assert titles[:3] == ["ce-drw: overall", "ce-drw: tail", "ce-drw: class 9"]
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes in figure.axes:
        text = axes.get_title() + axes.texts[0].get_text()
        assert all(word in text for word in ("λmax", "λmin", "trace", "accuracy", "±", "proved"))
    assert len({axes.get_xlim() for axes in figure.axes}) == 1, "so that head and tail compare"
    page = spectrum.read(request).page()
    assert len(page.data) == 24  # density, its band, and both ends
    assert not any("\n" in str(note.text) for note in page.layout.annotations)


def test_spectrum_shows_head_and_tail_and_marks_the_ends_with_their_brackets(request_of, runs):
    (row,) = spectrum.read(request_of("plain")).rows
    assert [panel.title.splitlines()[0] for panel in row] == [
        f"ce-drw: {scope}" for scope in ("overall", "head", "tail")
    ]
    record, _ = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    at = record.index("tail")
    density, low, high = row[2].lines
    for mark, bracket in ((low, record.lambda_min_bracket), (high, record.lambda_max_bracket)):
        ends = mark.x[0] - mark.x_error[0, 0], mark.x[0] + mark.x_error[1, 0]
        assert np.allclose(ends, bracket[at])
    assert np.nanmin(density.y) >= row[2].y.limits[0], "no floor is drawn as a density"


def test_spectrum_shows_what_the_file_says(request_of, runs):
    record, _ = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    row = spectrum.spectra(request_of("plain", scopes=("tail",)))[0][0]
    at = record.index("tail")
    high, low = record.end_texts(at)
    assert row[0].text.splitlines()[:2] == [f"λmax {high}", f"λmin {low}"]
    assert f"λ < 0: ≥ {record.negative_directions[at]:.0f} proved" in row[0].text
    values = record.ritz_values[at][np.isfinite(record.ritz_values[at])]
    grid = row[0].density.grid
    assert grid[0] < values.min() <= values.max() < grid[-1]


def test_nonconvexity_has_a_line_a_class_and_the_reweighting(request_of, runs):
    (panel,) = nonconvexity.read(request_of("plain")).panels
    assert [line.label for line in panel.lines] == ["head", "mid", "tail"]
    with paper_style():
        figure = nonconvexity.read(request_of("plain", "sam", scopes=("classes",))).draw()
    assert [axes.get_title() for axes in figure.axes] == ["ce-drw", "ce-drw+sam"]
    for axes in figure.axes:
        assert len(axes.containers) == 10
        assert any("re-weighting" in t.get_text() for t in axes.texts)
        assert axes.get_xlabel() == "epoch"
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    (panel,) = nonconvexity.read(request_of("plain", scopes=("tail",))).panels
    assert panel.lines[0].x.tolist() == [0, 2, 4]
    assert panel.reweighting == 3
    record, _ = read_record(runs / "plain/results/spectrum/epoch_0002.h5", Spectrum)
    at = record.index("tail")
    ratio = abs(record.lambda_min[at]) / record.lambda_max[at]
    assert panel.lines[0].y[1] == pytest.approx(ratio)
    low, high = record.nonconvexity_bracket[at]
    assert low <= ratio <= high
    assert panel.lines[0].error[:, 1] == pytest.approx([ratio - low, high - ratio])


def test_accuracy_joins_seeds(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/accuracy/epoch_0004.h5", Accuracy)
    paths = []
    for seed, shift in enumerate((0.0, 0.1)):
        config = origin.config | {"plan": origin.config["plan"] | {"seed": seed}}
        shifted = Accuracy(**(vars(record) | {"group": record.group + shift}))
        path = tmp_path / f"s{seed}" / "results/accuracy/epoch_0004.h5"
        save(shifted, type(origin)(**(vars(origin) | {"config": config})), path)
        paths.append(RunResults.open(tmp_path / f"s{seed}"))
    (row,) = accuracy.rows(Request(tuple(paths)))
    assert row.label == "ce-drw (2 seeds)"
    mean, std = 100 * record.group[0] + 5, 10 / np.sqrt(2)
    assert row.cells()[0] == f"{mean:.1f} ± {std:.1f}"
    assert "± " in accuracy.markdown([row])
    assert r"\pm" in accuracy.latex([row])
    (line,) = csv.DictReader(accuracy.comma_separated([row]).splitlines())
    assert float(line["overall_mean"]) == pytest.approx(mean, abs=1e-3)
    assert float(line["overall_std"]) == pytest.approx(std, abs=1e-3)


def test_accuracy_figure(request_of):
    with paper_style():
        figure = accuracy.read(request_of("plain", "sam")).draw()
    _, right = figure.axes
    assert len(right.patches) == 8
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["ce-drw", "ce-drw+sam"]
    assert "split 'saddle'" in right.get_xlabel()


def test_accuracy_refuses_mixed_splits(runs, tmp_path, request_of):
    record, origin = read_record(runs / "sam/results/accuracy/epoch_0004.h5", Accuracy)
    other = Accuracy(**(vars(record) | {"split": np.array("count")}))
    save(other, origin, tmp_path / "other/results/accuracy/epoch_0004.h5")
    request = Request((*request_of("plain").runs, RunResults.open(tmp_path / "other")))
    with pytest.raises(InputError, match="different rules"):
        accuracy.rows(request)


def test_spectra_of_different_scopes_show_those_in_common(runs, tmp_path, request_of):
    record, origin = read_record(runs / "sam/results/spectrum/epoch_0004.h5", Spectrum)
    short = Spectrum(**{k: v[:1] for k, v in vars(record).items()})
    save(short, origin, tmp_path / "short/results/spectrum/epoch_0004.h5")
    request = Request((*request_of("plain").runs, RunResults.open(tmp_path / "short")))
    assert [len(row) for row in spectrum.spectra(request)[0]] == [1, 1]


def test_a_spectrum_of_nan_is_an_empty_panel(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    values = record.ritz_values.copy()
    values[0] = np.nan
    save(
        Spectrum(**(vars(record) | {"ritz_values": values})),
        origin,
        tmp_path / "run/results/spectrum/epoch_0004.h5",
    )
    request = Request((RunResults.open(tmp_path / "run"),))
    with paper_style():
        figure = spectrum.read(request).draw()
    assert figure.axes[0].texts[0].get_text() == "no finite value"
    spectrum.read(request).page()


def test_settings_that_share_a_method_keep_their_names(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/accuracy/epoch_0004.h5", Accuracy)
    paths = []
    for name, size in (("small", 32), ("large", 64)):
        plan = origin.config["plan"] | {"imbalance": size}
        config = origin.config | {"plan": plan, "run": name}
        path = tmp_path / name / "results/accuracy/epoch_0004.h5"
        save(record, type(origin)(**(vars(origin) | {"config": config})), path)
        paths.append(RunResults.open(tmp_path / name))
    assert [row.label for row in accuracy.rows(Request(tuple(paths)))] == ["small", "large"]


def test_protocol_sets_both_side_by_side(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    run = tmp_path / "run"
    save(record, origin, run / "results/spectrum/epoch_0004.h5")
    request = Request((RunResults.open(run),))
    with pytest.raises(InputError, match="--protocol saddle"):
        protocol.comparisons(request)[0]
    released = Spectrum(**(vars(record) | {"lambda_min": 2 * record.lambda_min}))
    marked = type(origin)(**(vars(origin) | {"analysis": "spectrum-saddle"}))
    save(released, marked, run / "results/spectrum-saddle/epoch_0004.h5")
    found = protocol.comparisons(request)[0]
    assert found.ratios[1] == pytest.approx(2 * found.ratios[0])
    with paper_style():
        figure = protocol.read(request).draw()
    assert len(figure.axes) == 3
    assert len(figure.axes[0].get_yticklabels()) == 14
    assert len(figure.axes[1].lines) == 3  # and one at 0
    named = [line for line in figure.axes[1].lines if line.get_linestyle() == "--"]
    assert len(named) == 1
    assert len(protocol.read(request).page().data) == 10  # a line and a band a density


def test_nan_and_inf_in_a_result_do_not_stop_a_figure(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    broken = record.lambda_min.copy()
    broken[0] = np.nan
    changed = Spectrum(**(vars(record) | {"lambda_min": broken}))
    save(changed, origin, tmp_path / "run/results/spectrum/epoch_0004.h5")
    request = Request((RunResults.open(tmp_path / "run"),))
    with paper_style():
        spectrum.read(request).draw()
    assert "λmin nan" in spectrum.spectra(request)[0][0][0].text


def test_a_released_spectrum_of_nan_leaves_the_exact_one(runs, tmp_path):
    record, origin = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    run = tmp_path / "run"
    save(record, origin, run / "results/spectrum/epoch_0004.h5")
    nothing = {n: np.full_like(getattr(record, n), np.nan) for n in ("ritz_values", "lambda_min")}
    marked = type(origin)(**(vars(origin) | {"analysis": "spectrum-saddle"}))
    path = run / "results/spectrum-saddle/epoch_0004.h5"
    save(Spectrum(**(vars(record) | nothing)), marked, path)
    request = Request((RunResults.open(run),))
    with paper_style():
        assert len(protocol.read(request).draw().axes[1].lines) == 2
    assert len(protocol.read(request).page().data) == 6
