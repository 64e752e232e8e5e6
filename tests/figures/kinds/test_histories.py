"""Ends, trace and their ratio over training."""

import numpy as np
import pytest

from figures.kinds import curvature, nonconvexity
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum
from tests.figures import run_records


def test_ends_and_trace_have_their_errors_for_bars(runs):
    request = Request((RunResults.open(runs / "plain"),), scopes=("tail", "class/9"))
    stored = [
        read_record(runs / f"plain/results/spectrum/epoch_{e:04d}.h5", Spectrum)[0]
        for e in (0, 2, 4)
    ]
    found = curvature.read(request).rows
    ends = {
        "lambda_max": lambda one: one.lambda_max_bracket,
        "lambda_min": lambda one: one.lambda_min_bracket,
        "trace": lambda one: np.stack([one.trace - one.trace_sem, one.trace + one.trace_sem]).T,
    }
    for row, (name, bracket) in zip(found, ends.items(), strict=True):
        for curve, scope in zip(row[0].lines, ("tail", "class/9"), strict=True):
            at = [record.index(scope) for record in stored]
            expected = np.array([getattr(r, name)[a] for r, a in zip(stored, at, strict=True)])
            low, high = np.array([bracket(r)[a] for r, a in zip(stored, at, strict=True)]).T
            assert curve.y.tolist() == expected.tolist()
            assert np.allclose(curve.error, [expected - low, high - expected], atol=1e-12)
            assert (curve.error.sum(axis=0) > 0).all()


def test_rows_are_quantities_and_columns_runs(runs):
    request = Request(tuple(RunResults.open(runs / name) for name in ("plain", "sam")))
    with paper_style():
        figure = curvature.read(request).draw()
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes[:2]] == ["ce-drw", "ce-drw+sam"]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["λmax", "λmin", "trace"]
    assert all(len(axes.containers) == 10 for axes in figure.axes)
    page = curvature.read(request).page()
    assert len(page.data) == 60
    assert all(trace.error_y.array is not None for trace in page.data)


def test_nothing_is_non_convex_where_the_lowest_eigenvalue_is_not_negative(tmp_path):
    bowl = run_records.spectrum(lambda_min=0.3)
    assert bowl.nonconvexity.tolist() == [0.0] * 6
    run = run_records.write_run(tmp_path / "run", "ce", bowl)
    curve = nonconvexity.read(run_records.request(run)).panels[0].lines[0]
    assert curve.y.tolist() == [0.0]
    assert curve.error.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(
    ("low", "high", "ratio"),
    [(-2, 40, 0.05), (0, 40, 0), (1, 2, 0), (-1, -0.5, np.inf), (np.nan, 1, np.nan), (0, 0, 0)],
)
def test_the_ratio_follows_the_verdicts(low, high, ratio):
    record = run_records.spectrum()
    record.lambda_min[:], record.lambda_max[:] = low, high
    assert np.array_equal(record.nonconvexity, [ratio] * 6, equal_nan=True)
