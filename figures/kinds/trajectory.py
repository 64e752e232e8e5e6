"""Draw the path of a run's checkpoints over the loss of the plane they are projected on.

Arrows lead from the first checkpoint to the last. The colour of a point is its distance off the
plane: the farther off, the less the loss shown there says of that checkpoint. Stars are
reference solutions, such as a run trained on the tail alone.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import plotly.graph_objects as go
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from figures.charts.contours import (
    add_colour_scale,
    add_contours,
    colour_axis,
    draw_contours,
    label_directions,
    page_width,
    panel_shape,
    set_aspect,
)
from figures.charts.course import ROUNDING, Course, arrows, end_labels, is_left
from figures.charts.grid import page_grid, paper_grid, split_rows
from figures.charts.panel import Style
from figures.charts.surface_panels import Scale, shared_scale, surface_panel
from figures.output import COLUMN, PAGE, Drawing
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.checkpoint_names import unit_of
from landscape.results.provenance import Provenance
from landscape.results.remedy import remedy
from landscape.results.surface import Surface

_OFF_PLANE = "Reds"
_OFF_LABEL = "Euclidean distance off the plane"


@dataclass(frozen=True)
class Trajectory(Drawing):
    """The courses of every run."""

    courses: list[Course]

    @property
    def scale(self) -> Scale:
        """The scale of the loss that all panels share."""
        return shared_scale([course.panel for course in self.courses], "loss")

    def draw(self) -> Figure:
        """Draw the figure for paper, column width for one run and page width for several."""
        scale, off, rows = self.scale, _off_plane(self.courses), split_rows(self.courses)
        columns = len(rows[0])
        width = PAGE if columns > 1 else COLUMN
        side = (width - 1.1) / columns - 0.1
        tall = max(panel_shape(course.panel) for course in self.courses)
        size = (width, (side * tall + (0.8 if columns == 1 else 0.6)) * len(rows) + 0.6)
        figure, axes = paper_grid(rows, size)
        shown = list(chain(*axes))
        for place, course in zip(shown, self.courses, strict=True):
            place.set_title(course.panel.title("loss"), fontsize=6, linespacing=1.3)
            draw_contours(place, course.panel, scale)
            label_directions(place, course.panel)
            _draw_course(place, course, off)
            set_aspect(place, course.panel)
        add_colour_scale(figure, shown, scale)
        if off.vmax == 0:
            return figure
        style: Style = {"location": "bottom", "aspect": 11 * width, "fraction": 0.05, "pad": 0.02}
        bar = figure.colorbar(ScalarMappable(off, _OFF_PLANE), ax=shown, label=_OFF_LABEL, **style)
        bar.outline.set_linewidth(0.5)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        scale, off, found = self.scale, _off_plane(self.courses), self.courses
        titles = [course.panel.title("loss").replace("\n", "<br>") for course in found]
        figure = page_grid([found], titles)
        for c, course in enumerate(found, 1):
            add_contours(figure, course.panel, scale, 1, c)
            figure.update_yaxes(title_text=course.panel.labels[1], row=1, col=c)
            _add_course(figure, course, c)
        bar: Style = {"title": _OFF_LABEL, "orientation": "h", "y": -0.16, "yanchor": "top"}
        second: Style = {"cmin": off.vmin, "cmax": off.vmax or 1, "colorscale": _OFF_PLANE}
        second["showscale"] = off.vmax != 0
        second["colorbar"] = bar | {"thickness": 12}
        figure.update_annotations(font_size=12)
        figure.update_layout(coloraxis=colour_axis(scale), coloraxis2=second)
        margin, width = {"t": 130, "b": 150}, page_width(len(found))
        figure.update_layout(width=width, height=720, margin=margin, showlegend=False)
        title = "Path of the checkpoints over the loss"
        return figure.update_layout(title=title, plot_bgcolor="#dddddd")


def read(request: Request) -> Trajectory:
    """Read the paths of every run; the loss is of the first scope asked for, or overall.

    Raises:
        InputError: a run has no surface, or none of two directions with a trajectory; the message
            gives the command that makes it.
    """
    found = snapshots(request.surface_runs("pca", "random"), Surface, request.checkpoint)
    for one in found:
        if len(one.record.trajectory_epoch) == 0 or len(one.record.y) == 1:
            raise _lacks_trajectory(one.run, one.origin)
    scope = request.scopes[0] if request.scopes else "overall"
    return Trajectory([_course(one, scope) for one in found])


def _lacks_trajectory(run: RunResults, origin: Provenance) -> InputError:
    made = remedy(run.path, "surface", origin.checkpoint, " --surface.directions pca --overwrite")
    return InputError(
        f"the surface of '{run.path}' at '{origin.checkpoint}' has no trajectory in a plane; {made}"
    )


def _course(one: Snapshot[Surface], scope: str) -> Course:
    record = one.record
    order = np.argsort(record.trajectory_epoch, kind="stable")
    return Course(
        surface_panel(one, scope),
        record.trajectory_epoch[order],
        unit_of(one.origin.checkpoint),
        record.trajectory_xy[order],
        record.trajectory_residual[order],
        [str(name) for name in record.mark_name],
        record.mark_xy,
        record.mark_residual,
    )


def _off_plane(found: list[Course]) -> Normalize:
    """Span the distances from the plane to the point farthest off it; 0 if that is rounding."""
    distances = np.concatenate([d for c in found for d in (c.residual, c.mark_residual)])
    farthest = float(distances[np.isfinite(distances)].max(initial=0))
    return Normalize(0, farthest if farthest > ROUNDING * max(c.length for c in found) else 0)


def _draw_course(axes: Axes, course: Course, off: Normalize) -> None:
    dots: Style = {"cmap": _OFF_PLANE, "norm": off, "edgecolors": "black", "linewidths": 0.5}
    halo = [patheffects.withStroke(linewidth=1.6, foreground="white")]
    axes.plot(*course.path.T, color="black", lw=0.9, path_effects=halo, label="path", zorder=3)
    for start, end in arrows(course):
        arrow: Style = {"arrowstyle": "-|>", "mutation_scale": 8, "color": "black", "lw": 0}
        arrow |= {"shrinkA": 0, "shrinkB": 0, "path_effects": halo}
        axes.annotate("", tuple(end), tuple(start), arrowprops=arrow, zorder=5)
    x, y = course.path.T
    axes.scatter(x, y, c=course.residual, s=14, label="checkpoints", zorder=4, **dots)
    if course.names:
        where: Style = {"marker": "*", "s": 70, "label": "marks", "zorder": 4}
        x, y = course.marks.T
        axes.scatter(x, y, c=course.mark_residual, **where, **dots)
    style: Style = {"textcoords": "offset points", "path_effects": halo, "fontsize": 6, "zorder": 7}
    for text, point, up in end_labels(course):
        sides: Style = {"ha": "center", "va": "bottom" if up else "top"}
        axes.annotate(text, tuple(point), (0, 5 if up else -5), **sides, **style)
    for name, point in zip(course.names, course.marks, strict=True):
        right = is_left(course, point)
        sides = {"ha": "left" if right else "right", "va": "center"}
        axes.annotate(name, tuple(point), (6 if right else -6, 0), **sides, **style)
    axes.margins(0.02)
    corner: Style = {"ha": "left", "va": "bottom", "fontsize": 5.5, "path_effects": halo}
    axes.text(0.02, 0.02, course.note, transform=axes.transAxes, zorder=8, **corner)


def _add_course(figure: go.Figure, course: Course, column: int) -> None:
    for trace in _traces(course):
        figure.add_trace(trace, 1, column)
    if course.note:
        corner: Style = {"xref": "x domain", "yref": "y domain", "x": 0, "y": 0, "align": "left"}
        corner |= {"showarrow": False, "bgcolor": "rgba(255,255,255,0.8)"}
        text = course.note.replace("\n", "<br>")
        figure.add_annotation(text=text, row=1, col=column, **corner)
    for text, (x, y), up in end_labels(course):
        style: Style = {"showarrow": False, "bgcolor": "rgba(255,255,255,0.7)", "borderpad": 1}
        style |= {"text": text, "yshift": 18 if up else -18}
        figure.add_annotation(x=x, y=y, row=1, col=column, **style)
    for name, point in zip(course.names, course.marks, strict=True):
        right = is_left(course, point)
        style = {"showarrow": False, "text": name, "bgcolor": "rgba(255,255,255,0.7)"}
        style |= {"xanchor": "left" if right else "right", "xshift": 12 if right else -12}
        figure.add_annotation(x=point[0], y=point[1], row=1, col=column, **style)


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
        text=[f"{course.unit} {number}" for number in course.at],
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
    pieces = [piece for pair in arrows(course) for piece in (*pair, [None, None])]
    pointed = go.Scatter(
        x=[x for x, _ in pieces],
        y=[y for _, y in pieces],
        mode="lines+markers",
        line={"color": "black", "width": 1.5},
        marker={"symbol": "arrow", "angleref": "previous", "size": [0, 13, 0] * (len(pieces) // 3)},
        hoverinfo="skip",
    )
    return [path, pointed, marks]
