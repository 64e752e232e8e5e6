"""Draw the cosine of each class's gradient with an average gradient over training.

Lines, one a group or, asked for, a class (PLOT Fig. 2), or bars of the first two and the last two
classes at each checkpoint (GKP-GSA Fig. 6, against the gradient of the batch).
"""

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.class_colours import class_colours
from figures.charts.class_lines import (
    ClassQuantity,
    check_same_classes,
    class_chart,
    class_panels,
    rows_of_runs,
)
from figures.charts.grid import page_grid, paper_grid
from figures.charts.lines import add_class_key
from figures.charts.panel import Axis, Panel
from figures.output import PAGE, Drawing
from figures.request import Request
from landscape.results import InputError
from landscape.results.gradients import Gradients
from landscape.results.remedy import remedy

_AGAINST = {
    "mean": "the average over classes",
    "batch": "the gradient of all samples",
    "direction": "what the rule follows",
}
_VIEWS = ("lines", "bars")


@dataclass(frozen=True)
class Bars(Drawing):
    """A bar a class at each checkpoint, a panel a run."""

    panels: list[Panel]

    @property
    def rows(self) -> list[list[Panel]]:
        """The panels in rows."""
        return rows_of_runs(self.panels)

    def draw(self) -> Figure:
        """Draw the bars for paper, page width."""
        size = (PAGE, 2.1 * len(self.rows) + 0.6)
        figure, axes = paper_grid(self.rows, size, sharey=True)
        places = list(chain(*axes))
        for place, panel in zip(places, chain(*self.rows), strict=True):
            _draw_bars(place, panel)
        add_class_key(figure, places, [line.label for line in self.panels[0].lines])
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        titles = [panel.title for panel in self.panels]
        shared = {"shared_yaxes": "all", "vertical_spacing": 0.25 / len(self.rows)}
        figure = page_grid(self.rows, titles, **shared)
        for r, row in enumerate(self.rows, 1):
            for c, panel in enumerate(row, 1):
                for line in panel.lines:
                    trace = go.Bar(x=[str(at) for at in line.x], y=line.y, name=line.label)
                    trace.update(marker={"color": line.colour}, legendgroup=line.label)
                    trace.update(showlegend=r == c == 1, hovertemplate=line.hover)
                    figure.add_trace(trace, r, c)
                figure.update_xaxes(title_text=panel.x.label, row=r, col=c)
        figure.update_xaxes(type="category")
        figure.update_yaxes(title_text=self.panels[0].y.label.replace("\n", "<br>"), col=1)
        title = "Gradient similarity at the checkpoints"
        return figure.update_layout(title=title, barmode="group", height=400 * len(self.rows) + 80)


def read(request: Request) -> Drawing:
    """Read the cosines of every run with the gradient that the option ``against`` names.

    Raises:
        InputError: a run has no gradients, or the direction its rule follows was not kept.
    """
    against = request.option("against", tuple(_AGAINST))
    is_bars = request.option("view", _VIEWS) == "bars"
    axis = Axis(f"cosine of the class's gradient\nwith {_AGAINST[against]}", margin=0.1)
    cosine = ClassQuantity(lambda record: getattr(record, f"similarity_to_{against}"))
    asked = replace(request, scopes=request.scopes or (("classes",) if is_bars else ()))
    panels = class_panels(asked, Gradients, cosine, axis, level=0)
    check_same_classes(panels)
    for run, panel in zip(request.runs, panels, strict=True):
        if against == "direction" and all(np.isnan(line.y).all() for line in panel.lines):
            flags = " --gradients.batches 20 --gradients.direction --overwrite"
            made = remedy(run.path, "gradients", "all", flags)
            raise InputError(f"'{run.path}' holds no similarity to what its rule follows; {made}")
    if not is_bars:
        return class_chart(panels, "Gradient similarity over training")
    return Bars(panels if request.scopes else [_ends(panel) for panel in panels])


def _ends(panel: Panel) -> Panel:
    """Keep the first two and the last two classes, in colours that differ most."""
    count = len(panel.lines)
    kept = sorted({0, min(1, count - 1), max(count - 2, 0), count - 1})
    colours = zip(kept, class_colours(len(kept)), strict=True)
    return replace(panel, lines=[replace(panel.lines[k], colour=shade) for k, shade in colours])


def _draw_bars(axes: Axes, panel: Panel) -> None:
    numbers, classes = panel.lines[0].x, len(panel.lines)
    places = np.arange(len(numbers))
    for k, line in enumerate(panel.lines):
        at = places + (k - (classes - 1) / 2) * 0.8 / classes
        axes.bar(at, line.y, 0.8 / classes, color=line.colour, label=line.label)
    axes.axhline(0, color="0.4", lw=0.6)
    every = -(-len(places) // 12)
    axes.set_xticks(places[::every], [str(at) for at in numbers[::every]])
    axes.set(title=panel.title, xlabel=panel.x.label, ylabel=panel.y.label)
