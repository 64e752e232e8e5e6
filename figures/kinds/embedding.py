"""Draw the t-SNE of penultimate features, head to tail (PLOT's supplement, Fig. 13a, b)."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.class_colours import MOST_NAMED, class_colours, head_to_tail
from figures.charts.grid import page_grid, paper_grid, split_rows
from figures.charts.lines import add_class_key
from figures.charts.panel import Style
from figures.output import COLUMN, MARKERS, PAGE, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.features import Features
from landscape.results.fields import Array
from landscape.results.remedy import remedy

_SHAPES = (*MARKERS, "<", ">")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star")
_MARK_SYMBOLS = (*_SYMBOLS, "triangle-left", "triangle-right")
_KEY = "class: training samples"
_TITLE = "t-SNE of penultimate features, classes head to tail with training samples"


@dataclass(frozen=True)
class ClassClouds:
    """One run; classes in order of their training samples."""

    title: str
    labels: list[str]  # (K,) with training samples
    clouds: list[Array]  # (K,) of (n, 2)


@dataclass(frozen=True)
class Embedding(Drawing):
    """The embedding of every run."""

    panels: list[ClassClouds]

    def draw(self) -> Figure:
        """Draw the figure for paper: column width for one run, page width for several."""
        rows, labels = split_rows(self.panels), self.panels[0].labels
        width, many = PAGE if len(self.panels) > 1 else COLUMN, len(labels) > MOST_NAMED
        side = (width - 0.5 * many) / len(rows[0])
        size = (width, (side + 0.1) * len(rows) + (0 if many else 0.6))
        figure, axes = paper_grid(rows, size)
        places = list(chain(*axes))
        for place, panel in zip(places, self.panels, strict=True):
            _draw_panel(place, panel)
        if many or all(panel.labels == labels for panel in self.panels):
            add_class_key(figure, places, labels, enlarged=2, title=_KEY)
        else:
            for place in places:
                place.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, markerscale=2)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        rows = split_rows(self.panels)
        figure = page_grid(rows, [panel.title for panel in self.panels])
        for r, row in enumerate(rows, 1):
            for c, panel in enumerate(row, 1):
                anchor = figure.get_subplot(r, c).yaxis.anchor
                figure.update_yaxes(scaleanchor=anchor, row=r, col=c)
                shown = r == c == 1 or panel.labels != self.panels[0].labels
                for trace in _traces(panel, shown=shown):
                    figure.add_trace(trace, r, c)
        frame: Style = {"showticklabels": False, "showgrid": False, "zeroline": False}
        frame |= {"showline": True, "mirror": True, "linecolor": "#888888"}
        figure.update_xaxes(**frame).update_yaxes(**frame)
        return figure.update_layout(title=_TITLE, height=480 * len(rows) + 80)


def read(request: Request) -> Embedding:
    """Read the embedding of every run.

    Raises:
        InputError: a run lacks the result, or its features were not embedded.
    """
    found = snapshots(request.runs, Features, request.checkpoint)
    return Embedding([_clouds(one, request.checkpoint) for one in found])


def _clouds(one: Snapshot[Features], checkpoint: str) -> ClassClouds:
    record, path = one.record, one.run.path
    if len(record.embedding) == 0:
        flags = " --features.embedding 200 --overwrite"
        made = remedy(path, "features", checkpoint, flags)
        raise InputError(f"the features of '{path}' are not embedded; {made}")
    order = head_to_tail(record.training_count)
    return ClassClouds(
        f"{one.label}, {checkpoint_label(one.origin.checkpoint)}",
        [f"{one.scope_label(f'class/{c}')}: {record.training_count[c]:.0f}" for c in order],
        [record.embedding[record.label == c] for c in order],
    )


def _traces(panel: ClassClouds, *, shown: bool) -> list[go.Scattergl]:
    found = []
    for k, colour in enumerate(class_colours(len(panel.labels))):
        cloud, name = panel.clouds[k], panel.labels[k]
        trace = go.Scattergl(x=cloud[:, 0], y=cloud[:, 1], mode="markers", name=name)
        trace.update(marker={"color": colour, "size": 5, "symbol": _MARK_SYMBOLS[k % 10]})
        found.append(
            trace.update(
                legendgroup=name, hoverinfo="name", showlegend=shown, hoverlabel_namelength=-1
            )
        )
    return found


def _draw_panel(axes: Axes, panel: ClassClouds) -> None:
    size = np.clip(6000 / sum(map(len, panel.clouds)), 3, 14)
    for k, colour in enumerate(class_colours(len(panel.labels))):
        marker = _SHAPES[k] if len(panel.labels) <= len(_SHAPES) else "o"
        style: Style = {"s": size, "color": colour, "marker": marker, "linewidths": 0}
        axes.scatter(*panel.clouds[k].T, label=panel.labels[k], rasterized=True, **style)
    axes.set_title(panel.title)
    points = np.concatenate(panel.clouds)
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = 0.53 * np.ptp(points, axis=0).max()
    axes.set_xlim(centre[0] - reach, centre[0] + reach)
    axes.set_ylim(centre[1] - reach, centre[1] + reach)
    axes.set_box_aspect(1)
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
