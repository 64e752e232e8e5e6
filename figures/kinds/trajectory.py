"""Path of a run's checkpoints over the loss of the plane they are projected on.

Arrows lead from the first checkpoint to the last. The colour of a point is its distance off the
plane: what the loss shown there says of that checkpoint is the less the farther off it is. Stars
are reference solutions, such as a run trained on the tail alone.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from figures.charts.contours import (
    add_colour_scale,
    add_contours,
    colour_axis,
    draw_contours,
    label_directions,
    page_width,
)
from figures.charts.surface_panels import Array, Panel, Style, panel, shared_scale
from figures.output import PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import run_labels
from landscape.results import InputError
from landscape.results.provenance import Provenance
from landscape.results.surface import Surface

_COLUMN = 3.25  # inches
_OFF_PLANE = "Reds"
_OFF_LABEL = "Euclidean distance off the plane"
_ARROWS = 4


@dataclass(frozen=True)
class Course:
    """One run's plane and what is projected on it."""

    panel: Panel
    epochs: Array  # (T,) in order of training
    path: Array  # (T, 2) steps of the directions
    residual: Array  # (T,) Euclidean, off the plane
    names: list[str]  # (M,) of the marks
    marks: Array  # (M, 2)
    mark_residual: Array  # (M,)

    @property
    def points(self) -> Array:
        """All that must be in sight (T + M + 2, 2), the grid's corners among it."""
        corners = np.array([[self.panel.x[k], self.panel.y[k]] for k in (0, -1)])
        return np.concatenate([self.path, self.marks, corners])


def courses(request: Request) -> list[Course]:
    """Read the paths of every run; the loss is of the first scope asked for, or overall.

    Raises:
        InputError: a run has no surface, or none of two directions with a trajectory; the message
            gives the command that makes it.
    """
    loaded = [
        run.load(Surface, request.checkpoint) for run in request.surface_runs("pca", "random")
    ]
    for run, (record, origin) in zip(request.runs, loaded, strict=True):
        if len(record.trajectory_epoch) == 0 or len(record.y) == 1:
            raise _lacks_trajectory(run, origin)
    labels = run_labels([origin for _, origin in loaded], request.runs)
    scope = request.scopes[0] if request.scopes else "overall"
    return [
        _course(label, scope, record, origin)
        for label, (record, origin) in zip(labels, loaded, strict=True)
    ]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, column width for one run and page width for several."""
    found = courses(request)
    scale, off = shared_scale([course.panel for course in found], "loss"), _off_plane(found)
    columns = min(len(found), 3)
    rows = -(-len(found) // columns)
    width = PAGE if columns > 1 else _COLUMN
    side = (width - 1.1) / columns - 0.1
    size = (width, (side + (0.6 if columns == 1 else 0.35)) * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for spare in axes.flat[len(found) :]:
        spare.set_visible(False)
    for place, course in zip(axes.flat, found, strict=False):
        place.set_title(course.panel.title("loss"), fontsize=6, linespacing=1.3)
        draw_contours(place, course.panel, scale)
        label_directions(place, course.panel)
        _draw_course(place, course, off)
    shown = list(axes.flat[: len(found)])
    add_colour_scale(figure, shown, scale)
    style: Style = {"location": "bottom", "aspect": 11 * width, "fraction": 0.05, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(off, _OFF_PLANE), ax=shown, label=_OFF_LABEL, **style)
    bar.outline.set_linewidth(0.5)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = courses(request)
    scale, off = shared_scale([course.panel for course in found], "loss"), _off_plane(found)
    titles = [course.panel.title("loss").replace("\n", "<br>") for course in found]
    figure = make_subplots(1, len(found), subplot_titles=titles)
    for c, course in enumerate(found, 1):
        add_contours(figure, course.panel, scale, 1, c)
        figure.update_yaxes(title_text=course.panel.labels[1], row=1, col=c)
        for trace in _traces(course):
            figure.add_trace(trace, 1, c)
        for text, (x, y), up in _labels(course):
            style = {"showarrow": False, "bgcolor": "rgba(255,255,255,0.7)", "borderpad": 1}
            figure.add_annotation(
                x=x, y=y, text=text, yshift=18 if up else -18, row=1, col=c, **style
            )
    bar = {"title": _OFF_LABEL, "orientation": "h", "y": -0.16, "yanchor": "top", "thickness": 12}
    second = {"cmin": off.vmin, "cmax": off.vmax, "colorscale": _OFF_PLANE, "colorbar": bar}
    figure.update_annotations(font_size=12)
    figure.update_layout(coloraxis=colour_axis(scale), coloraxis2=second, plot_bgcolor="#dddddd")
    figure.update_layout(
        width=page_width(len(found)), height=720, margin={"t": 130, "b": 150}, showlegend=False
    )
    return figure.update_layout(title="Path of the checkpoints over the loss")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "trajectory", folder)


def _lacks_trajectory(run: RunResults, origin: Provenance) -> InputError:
    epoch = origin.checkpoint.removeprefix("epoch_").lstrip("0") or "0"
    return InputError(
        f"the surface of '{run.path}' at '{origin.checkpoint}' has no trajectory in a plane; run "
        f"'tailscape diagnose {run.path} --analyses surface --surface.directions pca "
        f"--checkpoints {epoch} --overwrite'"
    )


def _course(label: str, scope: str, record: Surface, origin: Provenance) -> Course:
    order = np.argsort(record.trajectory_epoch, kind="stable")
    return Course(
        panel(label, scope, record, origin),
        record.trajectory_epoch[order],
        record.trajectory_xy[order],
        record.trajectory_residual[order],
        [str(name) for name in record.mark_name],
        record.mark_xy,
        record.mark_residual,
    )


def _off_plane(found: list[Course]) -> Normalize:
    """From the plane to the point farthest off it."""
    distances = np.concatenate([d for c in found for d in (c.residual, c.mark_residual)])
    farthest = distances[np.isfinite(distances)].max(initial=0)
    return Normalize(0, float(farthest) or 1)


def _draw_course(axes: Axes, course: Course, off: Normalize) -> None:
    dots: Style = {"cmap": _OFF_PLANE, "norm": off, "edgecolors": "black", "linewidths": 0.5}
    halo = [patheffects.withStroke(linewidth=1.6, foreground="white")]
    axes.plot(*course.path.T, color="black", lw=0.9, path_effects=halo, label="path", zorder=3)
    for start, end in _arrows(course):
        arrow: Style = {"arrowstyle": "-|>", "mutation_scale": 8, "color": "black", "lw": 0}
        arrow |= {"shrinkA": 0, "shrinkB": 0, "path_effects": halo}
        axes.annotate("", tuple(end), tuple(start), arrowprops=arrow, zorder=5)
    x, y = course.path.T
    axes.scatter(x, y, c=course.residual, s=14, label="checkpoints", zorder=4, **dots)
    if course.names:
        where: Style = {"marker": "*", "s": 70, "label": "marks", "zorder": 4}
        x, y = course.marks.T
        axes.scatter(x, y, c=course.mark_residual, **where, **dots)
    for text, point, up in _labels(course):
        style: Style = {"ha": "center", "va": "bottom" if up else "top", "fontsize": 6, "zorder": 7}
        shift = (0, 5 if up else -5)
        axes.annotate(
            text, tuple(point), shift, textcoords="offset points", path_effects=halo, **style
        )
    axes.margins(0.02)


def _arrows(course: Course) -> list[tuple[Array, Array]]:
    """Foot and tip of a few short arrows, spread evenly over the length of the path."""
    if len(course.path) < 2:
        return []
    steps = np.diff(course.path, axis=0)
    lengths = np.linalg.norm(steps / np.ptp(course.points, axis=0), axis=1)
    reached = np.cumsum(lengths)
    wanted = reached[-1:] * (np.arange(_ARROWS) + 0.5) / _ARROWS
    chosen = np.unique(np.searchsorted(reached, wanted))
    starts = course.path[:-1]
    return [(starts[k] + 0.55 * steps[k], starts[k] + 0.65 * steps[k]) for k in chosen]


def _labels(course: Course) -> list[tuple[str, Array, bool]]:
    """Texts with their points, and whether they stand above: the ends' away from the path."""
    path = course.path
    found = [(name, at, True) for name, at in zip(course.names, course.marks, strict=True)]
    for end, beside in ((0, 1), (-1, -2))[: len(path)]:
        next_to = path[beside] if len(path) > 1 else path[end]
        found.append((f"epoch {course.epochs[end]}", path[end], bool(next_to[1] <= path[end][1])))
    return found


def _traces(course: Course) -> list[go.Scatter]:
    colour = {"coloraxis": "coloraxis2", "line": {"color": "black", "width": 1}}
    where = "x %{x:.3g}<br>y %{y:.3g}<br>" + _OFF_LABEL + " %{customdata:.3g}<extra></extra>"
    path = go.Scatter(
        x=course.path[:, 0],
        y=course.path[:, 1],
        customdata=course.residual,
        mode="lines+markers",
        line={"color": "black", "width": 1.5},
        marker={"size": 9, "color": course.residual, **colour},
        text=[f"epoch {epoch}" for epoch in course.epochs],
        hovertemplate="%{text}<br>" + where,
    )
    marks = go.Scatter(
        x=course.marks[:, 0],
        y=course.marks[:, 1],
        customdata=course.mark_residual,
        mode="markers",
        marker={"symbol": "star", "size": 16, "color": course.mark_residual, **colour},
        text=course.names,
        hovertemplate="%{text}<br>" + where,
    )
    pieces = [piece for pair in _arrows(course) for piece in (*pair, [None, None])]
    arrows = go.Scatter(
        x=[x for x, _ in pieces],
        y=[y for _, y in pieces],
        mode="lines+markers",
        line={"color": "black", "width": 1.5},
        marker={"symbol": "arrow", "angleref": "previous", "size": [0, 13, 0] * (len(pieces) // 3)},
        hoverinfo="skip",
    )
    return [path, arrows, marks]
