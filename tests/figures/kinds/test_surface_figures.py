"""Figures of surfaces: scales, holes, reliefs, lines, and paths over them."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.patches import Rectangle

from figures.charts.course import arrows
from figures.charts.surface_panels import (
    Scale,
    share_text,
    shared_scale,
    surface_panels,
    without_gaps,
)
from figures.kinds import surface, trajectory
from figures.request import Request
from landscape.errors import InputError
from landscape.results.hdf5 import save
from tests.figures.records import (
    drawn,
    line,
    provenance,
    saved_run,
    surface_record,
    titled,
    trajectory_fields,
)


@pytest.fixture
def surfaces(tmp_path):
    """Save surfaces as runs ``name=(method, record)`` and ask for them."""

    def build(scopes=(), options=None, **runs):
        saved = [
            saved_run(tmp_path / name, (record, provenance("surface", run=name, method=method)))
            for name, (method, record) in runs.items()
        ]
        return Request(tuple(saved), scopes=scopes, options=options or {})

    return build


def partial(record, done):
    loss = np.where(done[..., None], record.loss, np.nan)
    return replace(
        record,
        loss=loss,
        correct=np.where(done[..., None], record.correct, 0),
        done=done,
        complete=np.array(False),
    )


def test_surface_rows_are_runs_and_columns_scopes(surfaces):
    request = surfaces(ce=("ce", surface_record()), sam=("ce+sam", surface_record(sharp=0.3)))
    figure = drawn(surface, request)
    places = titled(figure)
    assert [axes.get_title().splitlines()[0] for axes in places] == [
        f"{run}: {scope}" for run in ("ce", "ce+sam") for scope in ("overall", "head", "tail")
    ]
    assert [axes.get_ylabel() for axes in places[::3]] == [
        "random direction 2\n(filter-normalised)"
    ] * 2
    assert {axes.get_xlabel() for axes in places[3:]} == {"random direction 1 (filter-normalised)"}
    assert len(figure.axes) == 7  # and one bar for all
    assert figure.axes[-1].get_ylabel() == "loss"


def test_surface_has_one_colour_scale_from_the_percentiles(surfaces):
    request = surfaces(ce=("ce", surface_record()), sam=("ce+sam", surface_record(sharp=0.3)))
    found = [panel for row in surface_panels(request) for panel in row]
    low, high = np.percentile(np.concatenate([p.loss.ravel() for p in found]), (2, 98))
    scale = shared_scale(found, "loss")
    assert (scale.low, scale.high) == pytest.approx((low, high))
    assert np.diff(scale.levels) == pytest.approx(scale.levels[1] - scale.levels[0])
    for axes in titled(drawn(surface, request)):
        filled, lines = axes.collections
        assert filled.levels == pytest.approx(scale.levels)
        assert filled.extend == "both"
        assert filled.get_clim() == pytest.approx((np.log10(low), np.log10(high)))
        assert set(np.round(lines.levels, 9)) <= set(np.round(np.log10(scale.ticks), 9))
        named = {text.get_text() for text in axes.texts}
        assert named <= set(scale.tick_labels)
        assert named
    page = surface.read(request).page()
    assert (page.layout.coloraxis.cmin, page.layout.coloraxis.cmax) == pytest.approx(scale.ends)
    contours = [trace for trace in page.data if isinstance(trace, go.Contour)]
    assert len(contours) == 6
    assert {trace.coloraxis for trace in contours} == {"coloraxis"}
    assert not any(trace.connectgaps for trace in contours)


def test_surface_shows_the_loss_of_the_record(surfaces):
    record = surface_record(points=(21, 11))
    request = surfaces(("tail",), ce=("ce", record))
    (((panel,),), scale) = surface_panels(request), shared_scale(surface_panels(request)[0], "loss")
    assert np.array_equal(panel.loss, record.scope_loss("tail"))
    assert np.array_equal(panel.accuracy, 100 * record.scope_accuracy("tail"))
    contour, centre, best = surface.read(request).page().data
    assert (contour.x, contour.y) == (pytest.approx(record.x), pytest.approx(record.y))
    shown = np.maximum(record.scope_loss("tail"), scale.low / 10)
    assert 10 ** np.array(contour.z) == pytest.approx(shown)
    assert contour.text[5][10] == f"loss {record.scope_loss('tail')[5, 10]:.4g}"
    assert (centre.x, centre.y) == ((0,), (0,))
    (axes,) = titled(drawn(surface, request))
    assert line(axes, "checkpoint").get_xydata().tolist() == [[0, 0]]
    row, column = np.unravel_index(panel.loss.argmin(), panel.loss.shape)
    least = [[record.x[column], record.y[row]]]
    assert line(axes, "best").get_xydata().tolist() == least == [[best.x[0], best.y[0]]]
    at, low, high = (f"{f(panel.loss):.3g}" for f in (lambda v: v[5, 10], np.min, np.max))
    assert axes.get_title().splitlines()[1:] == [
        f"+ loss {at} at the checkpoint",
        f"○ least {low}, {100 * (1 - panel.loss.min() / panel.loss[5, 10]):.2g} % lower, "
        f"{record.length(*least[0]):.3g} away",
        f"{share_text(record.basin('tail'))}; loss up to {high}",
    ]


def test_circles_are_round_and_long_planes_are_stretched(surfaces):
    """A step of the second direction is ten times as long as one of the first."""
    for norms, shape in (([2.0, 3.0], 1.5), ([1.0, 10.0], 2.0)):
        record = surface_record(direction_norm=np.array(norms))
        request = surfaces(("overall",), plane=("ce", record))
        (axes,) = titled(drawn(surface, request))
        assert axes.get_box_aspect() == pytest.approx(shape)
        assert ("drawn 5 times longer" in axes.get_xlabel()) == (norms[1] == 10)
        assert surface.read(request).page().layout.yaxis.scaleratio == pytest.approx(shape)


def test_holes_are_drawn_and_told(surfaces):
    record = surface_record()
    loss = record.loss.copy()
    loss[3, 4] = np.nan
    loss[15, 15, 9] = np.inf
    done = np.ones((21, 21), bool)
    done[0, :7] = False
    request = surfaces(
        ("class/0", "class/9"), holes=("ce", partial(replace(record, loss=loss), done))
    )
    figure = drawn(surface, request)
    head, tail = (axes.get_title().splitlines() for axes in titled(figure))
    assert head[-2:] == ["7 of 441 points not computed yet", "1 point is not finite"]
    assert tail[-2:] == ["7 of 441 points not computed yet", "2 points are not finite"]
    for axes in titled(figure):
        (hatched,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        assert hatched.get_hatch()
        assert len(line(axes, "computed").get_xdata()) == 434
    grids = [
        np.array(t.z, float) for t in surface.read(request).page().data if isinstance(t, go.Contour)
    ]
    assert [int(np.isnan(grid).sum()) for grid in grids] == [8, 9]
    whole = drawn(surface, surfaces(("class/0",), whole=("ce", record)))
    assert not titled(whole)[0].patches


def test_a_coarse_grid_is_interpolated_between_computed_points():
    x, y = np.meshgrid(np.arange(9.0), np.arange(9.0))
    plane = 2 * x - 3 * y
    done = np.zeros((9, 9), bool)
    done[::4, ::4] = True
    height = np.where(done, plane, np.nan)
    assert without_gaps(height, done) == pytest.approx(plane)
    height[0, 0] = np.nan
    left = without_gaps(height, done)
    assert np.isnan(left[0, 0])
    assert np.isnan(left[1, 1])
    assert left[4:, 4:] == pytest.approx(plane[4:, 4:])
    few = np.zeros((9, 9), bool)
    few[4, ::4] = True
    assert np.isnan(without_gaps(np.where(few, plane, np.nan), few)).sum() == 78


def test_a_partial_surface_is_drawn(surfaces):
    done = np.zeros((21, 21), bool)
    done[2::4, 2::4] = True
    for where in (done, np.zeros_like(done)):
        request = surfaces(part=("ce", partial(surface_record(), where)))
        axes = titled(drawn(surface, request))[0]
        missing = 441 - where.sum()
        assert f"{missing} of 441 points not computed yet" in axes.get_title()
        words = surface.read(request).page().data[0].text
        assert words[0][0] == "not computed, drawn from its neighbours"
        assert words[10][10].startswith("loss") == where[10, 10]
        relief = replace(request, options={"view": "3d"})
        drawn(surface, relief)
        surface.read(relief).page()


def test_a_constant_surface_and_one_of_zeros_have_a_scale(surfaces):
    for value in (0.5, 0.0):
        record = surface_record()
        request = surfaces(flat=("ce", replace(record, loss=np.full_like(record.loss, value))))
        assert len(titled(drawn(surface, request))) == 3
        surface.read(request).page()


def test_a_flat_panel_beside_a_bowl_has_no_contours(surfaces):
    """Warnings are errors here, and matplotlib warns of levels that a panel does not reach."""
    record = surface_record()
    flat = replace(record, loss=np.full_like(record.loss, 0.31))
    request = surfaces(("overall",), flat=("ce", flat), bowl=("ce+sam", record))
    left, right = titled(drawn(surface, request))
    assert not left.texts
    assert right.texts


def test_ticks_are_round_and_within_the_scale():
    assert Scale("loss", 0.03, 30).ticks.tolist() == pytest.approx(
        [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    )
    assert Scale("loss", 1e-6, 20).tick_labels[0] == "1e-06"
    narrow = Scale("loss", 1.21, 1.43).ticks
    assert len(narrow) >= 4
    assert (narrow >= 1.2).all()
    assert (narrow <= 1.44).all()


def test_surface_of_the_accuracy(surfaces):
    record = surface_record()
    request = surfaces(("overall",), {"quantity": "accuracy"}, ce=("ce", record))
    figure = drawn(surface, request)
    share = 100 * record.scope_accuracy("overall")
    said = f"+ accuracy {share[10, 10]:.3g} %, the most here; down to {share.min():.3g} %"
    assert said in figure.axes[0].get_title()
    assert figure.axes[-1].get_ylabel() == "accuracy, %"
    assert np.array(surface.read(request).page().data[0].z) == pytest.approx(share)


def test_surface_in_relief(surfaces):
    record = surface_record()
    request = surfaces(("overall", "tail"), {"view": "3d"}, ce=("ce", record))
    figure = drawn(surface, request)
    reliefs = [axes for axes in figure.axes if axes.name == "3d"]
    assert len(reliefs) == 2
    assert len({axes.get_zlim() for axes in reliefs}) == 1
    assert reliefs[0].get_xlabel() == "random direction 1"
    page = surface.read(request).page()
    scale = shared_scale(surface_panels(request)[0], "loss")
    shapes = [trace for trace in page.data if isinstance(trace, go.Surface)]
    assert np.array(shapes[0].z).max() <= scale.ends[1]
    inside = np.clip(record.scope_loss("overall"), scale.low, scale.high)
    assert 10 ** np.array(shapes[0].z) == pytest.approx(inside)
    assert {trace.coloraxis for trace in shapes} == {"coloraxis"}
    stem = page.data[1]
    assert (stem.x, stem.y) == ((0, 0), (0, 0))
    assert stem.z[0] == shapes[0].z[10][10]
    with pytest.raises(InputError, match="view"):
        surface.read(replace(request, options={"view": "map"})).draw()


def test_a_line_shows_loss_and_accuracy(surfaces):
    record = surface_record(points=(21, 1), kind=("random",))
    request = surfaces(("overall", "tail"), line=("ce", record))
    figure = drawn(surface, request)
    left, right = figure.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "accuracy, %")
    for scope in ("overall", "tail"):
        assert line(left, scope).get_ydata() == pytest.approx(record.scope_loss(scope)[0])
        assert line(right, scope).get_ydata() == pytest.approx(
            100 * record.scope_accuracy(scope)[0]
        )
        assert (line(left, scope).get_linestyle(), line(right, scope).get_linestyle()) == (
            "-",
            "--",
        )
    assert left.get_xlabel() == "random direction 1 (filter-normalised)"
    assert [trace.line.dash for trace in surface.read(request).page().data] == ["solid", "dash"] * 2
    with pytest.raises(InputError, match=r"needs --surface\.dimensions 2"):
        surface.read(replace(request, options={"view": "3d"})).draw()
    both = replace(request, runs=(*request.runs, *surfaces(plane=("vs", surface_record())).runs))
    with pytest.raises(InputError, match="draw them apart"):
        surface.read(both).draw()


def test_a_partial_line_passes_over_what_is_not_computed(surfaces):
    record = surface_record(points=(21, 1), kind=("random",))
    done = np.zeros((1, 21), bool)
    done[0, ::5] = True
    request = surfaces(("overall",), part=("ce", partial(record, done)))
    left = drawn(surface, request).axes[0]
    assert left.get_title().splitlines()[1] == "16 of 21 points not computed yet"
    assert line(left, "overall").get_xdata().tolist() == record.x[::5].tolist()


def test_directions_are_named_by_their_kind(surfaces):
    kinds = {
        "pca": ("pca", "pca"),
        "other": ("checkpoint", "checkpoint"),
        "ends": ("hessian lowest", "hessian highest"),
    }
    fields = {"explained": np.array([0.713, 0.18])}
    runs = {
        name: (name, surface_record(kind=kind, **(fields if name == "pca" else {})))
        for name, kind in kinds.items()
    }
    labels = [row[0].labels for row in surface_panels(surfaces(**runs))]
    assert labels == [
        [
            f"principal direction {k} ({share} % of the variance)"
            for k, share in ((1, 71.3), (2, 18.0))
        ],
        ["towards checkpoint 1", "towards checkpoint 2"],
        ["eigenvector of the lowest eigenvalue", "eigenvector of the highest eigenvalue"],
    ]


def test_surface_leaves_out_classes_without_samples(surfaces):
    record = surface_record()
    samples = record.samples.copy()
    samples[[0, 7, 8, 9]] = 0
    request = surfaces(some=("ce", replace(record, samples=samples)))
    assert [panel.scope for panel in surface_panels(request)[0]] == [
        "overall",
        "class 1",
        "class 6",
    ]
    with pytest.raises(InputError, match="has samples"):
        surface_panels(replace(request, scopes=("class/9",)))


def test_trajectory_shows_the_path_of_the_record(surfaces):
    record = surface_record(**trajectory_fields())
    request = surfaces(ce=("ce", record), sam=("ce+sam", record))
    figure = drawn(trajectory, request)
    places = titled(figure)
    assert len(places) == 2
    assert len(figure.axes) == 4  # and a bar each for the loss and the distance
    assert figure.axes[-1].get_xlabel() == "Euclidean distance off the plane"
    for axes in places:
        assert axes.get_title().splitlines()[0].endswith("overall")
        assert axes.get_xlabel() == "principal direction 1 (71.0 % of the variance)"
        assert np.array_equal(line(axes, "path").get_xydata(), record.trajectory_xy)
        points, marks = axes.collections[-2:]
        assert np.array_equal(points.get_offsets(), record.trajectory_xy)
        assert np.array_equal(points.get_array(), record.trajectory_residual)
        assert np.array_equal(marks.get_offsets(), record.mark_xy)
        assert (points.norm.vmin, points.norm.vmax) == (0, 14)
        texts = [text.get_text() for text in axes.texts]
        drawn_arrows = [
            text for text in axes.texts if getattr(text, "arrow_patch", None) is not None
        ]
        assert len(drawn_arrows) == 4
        assert {"epoch 0", "epoch 200", "tail-only"} <= set(texts)
    page = trajectory.read(request).page()
    path, pointed, stars = [trace for trace in page.data if trace.type == "scatter"][-3:]
    assert np.array_equal(np.stack([path.x, path.y], axis=1), record.trajectory_xy)
    assert np.array_equal(path.marker.color, record.trajectory_residual)
    assert pointed.marker.symbol == "arrow"
    assert (stars.text, stars.marker.symbol) == (("tail-only",), "star")


def test_arrows_lead_along_the_path(surfaces):
    fields = trajectory_fields() | {"trajectory_epoch": np.arange(11)[::-1].copy()}
    request = surfaces(ce=("ce", surface_record(**fields)))
    (course,) = trajectory.read(request).courses
    assert course.at.tolist() == list(range(11))
    assert np.array_equal(course.path, fields["trajectory_xy"][::-1])
    steps = np.diff(course.path, axis=0)
    for foot, tip in arrows(course):
        cosine = steps @ (tip - foot) / np.linalg.norm(steps, axis=1) / np.linalg.norm(tip - foot)
        assert cosine.max() == pytest.approx(1)


def test_trajectory_of_one_point_without_marks(surfaces):
    fields = {"trajectory_epoch": np.array([200]), "trajectory_xy": np.zeros((1, 2))}
    request = surfaces(ce=("ce", surface_record(**fields, trajectory_residual=np.zeros(1))))
    assert len(titled(drawn(trajectory, request))) == 1
    trajectory.read(request).page()


@pytest.mark.parametrize("points", [(21, 21), (21, 1)])
def test_a_surface_without_trajectory_names_the_command(surfaces, points):
    kind = ("random",) * (1 + (points[1] > 1))
    request = surfaces(ce=("ce", surface_record(points=points, kind=kind)))
    command = (
        rf"tailscape diagnose {request.runs[0].path} --analyses surface --checkpoints 200 "
        "--surface.directions pca --overwrite"
    )
    with pytest.raises(InputError, match=command):
        trajectory.read(request).draw()


def test_another_direction_seed_is_read_by_an_option(tmp_path):
    run = saved_run(
        tmp_path / "run", (surface_record(), provenance("surface", run="run", method="ce"))
    )
    other = tmp_path / "run/results/surface-seed7"
    save(
        surface_record(sharp=5.0),
        provenance("surface", run="run", method="ce"),
        other / "epoch_0150.h5",
    )
    for name in other.iterdir():
        target = next((tmp_path / "run/results/surface").iterdir()).name
        name.rename(other / target)
    plain = surface_panels(Request((run,), scopes=("overall",)))
    seeded = surface_panels(Request((run,), scopes=("overall",), options={"seed": "7"}))
    assert not np.array_equal(plain[0][0].values, seeded[0][0].values)
    with pytest.raises(InputError, match=r"--surface\.seeds 9"):
        surface_panels(Request((run,), options={"seed": "9"}))
    with pytest.raises(InputError, match="not a number"):
        surface_panels(Request((run,), options={"seed": "x"}))
