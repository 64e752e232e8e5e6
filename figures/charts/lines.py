"""Draw charts of line panels, for paper and for the page, from one description."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from figures.charts.class_colours import MOST_NAMED, class_colours
from figures.charts.grid import page_grid, paper_grid
from figures.charts.names import short_names
from figures.charts.page_lines import add_panel
from figures.charts.panel import Dash, Marker, Panel, Style
from figures.charts.paper_lines import DASHES, draw_panel, finish_axes, label_ends
from figures.output import Drawing

_CHARACTERS, _NOTE_SIZE = 25, 5.5  # of a note: to an inch, and points
_KEY_NAME = 40  # characters of a class in a legend
_SHARED = {"none": False, "col": "columns", "row": "rows", "all": "all"}


@dataclass(frozen=True)
class Key:
    """The legend below the panels on paper."""

    columns: int = 6  # at most
    dashes: Mapping[str, Dash] = field(default_factory=dict)  # the meaning of line styles
    marks: Mapping[str, tuple[Marker, str]] = field(default_factory=dict)  # and of markers


@dataclass(frozen=True)
class Chart(Drawing):
    """Panels of lines with one legend."""

    rows: Sequence[Sequence[Panel]]  # some may be shorter
    title: str  # of the page
    size: tuple[float, float]  # on paper, inches
    height: int  # of the page, pixels
    key: Key | None = None  # of the first panel's lines
    class_key: bool = False  # the classes' colours, as a legend or a scale
    heading: str = ""  # above the panels, on paper
    share_x: Literal["none", "col", "all"] = "none"
    share_y: Literal["none", "row", "all"] = "none"
    align_labels: bool = False  # of the first column, on paper
    widths: tuple[float, ...] | None = None  # of the columns, relative, on paper
    spacing: float | None = None  # between the page's rows, relative
    top: int | None = None  # margin of the page, pixels
    note: str = ""  # below the panels: what is lacking, what lines mean
    title_style: Style = field(default_factory=dict)  # of the panels, on paper

    @property
    def panels(self) -> list[Panel]:
        """The panels, row by row."""
        return list(chain.from_iterable(self.rows))

    def draw(self) -> Figure:
        """Draw the chart for paper."""
        style: Style = {"sharex": self.share_x, "sharey": self.share_y, "width_ratios": self.widths}
        figure, axes = paper_grid(self.rows, self.size, **style)
        places = list(chain.from_iterable(axes))
        for place, panel in zip(places, self.panels, strict=True):
            draw_panel(place, panel)
        for place, panel in zip(places, self.panels, strict=True):
            finish_axes(place, panel, **self.title_style)
        room = 0.6 * 72 * self.size[1] / len(self.rows)
        for place, panel in zip(places, self.panels, strict=True):
            label_ends(place, panel, room)
        note = textwrap.fill(self.note, int(_CHARACTERS * self.size[0]))
        if note and self.key is None:
            figure.supxlabel(note, fontsize=_NOTE_SIZE, color="0.35")
        if self.heading:
            figure.suptitle(self.heading, fontsize=8)
        if self.align_labels:
            figure.align_ylabels([row[0] for row in axes])
        if self.class_key:
            labels = [[line.label for line in panel.lines] for panel in self.panels]
            add_class_key(figure, places, max(labels, key=len))
        if self.key is not None:
            _add_key(figure, places[0], self.key, note)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        titles = [p.title if p.page_title is None else p.page_title for p in self.panels]
        titles = [title.replace("\n", "<br>") for title in titles]
        shared = {"shared_yaxes": _SHARED[self.share_y]}
        shared["shared_xaxes"] = self.share_x != "none" and "columns"
        figure = page_grid(self.rows, titles, vertical_spacing=self.spacing, **shared)
        for r, row in enumerate(self.rows, 1):
            for c, panel in enumerate(row, 1):
                add_panel(figure, panel, r, c)
        title = self.title.replace("\n", "<br>")
        title += f"<br><sup>{self.note}</sup>" if self.note else ""
        return figure.update_layout(height=self.height, margin_t=self.top, title=title)


def add_class_key(
    figure: Figure, places: list[Axes], labels: list[str], *, enlarged: float = 1, title: str = ""
) -> None:
    """Tell the classes' colours by a legend below, or by a scale where there are many.

    Args:
        figure: the figure.
        places: its panels; the legend is that of the first.
        labels: of the classes.
        enlarged: size of the legend's markers, relative to the panels'.
        title: of the legend.
    """
    if len(labels) > MOST_NAMED:
        scale = ScalarMappable(cmap=ListedColormap(class_colours(256)))
        bar = figure.colorbar(scale, ax=places, ticks=[0, 1], aspect=30, pad=0.01)
        bar.ax.set_yticklabels(["head", "tail"])
        bar.outline.set_visible(False)
        return
    handles, labels = places[0].get_legend_handles_labels()
    names = short_names(labels, _KEY_NAME)
    most = int(figure.get_figwidth() / (0.055 * max(map(len, names)) + 0.45))
    rows = -(-len(names) // max(most, 1))
    columns = -(-len(names) // rows)
    style: Style = {"ncols": columns, "markerscale": enlarged, "title_fontsize": _NOTE_SIZE}
    figure.legend(handles, names, loc="outside lower center", title=title or None, **style)


def _add_key(figure: Figure, axes: Axes, key: Key, note: str) -> None:
    handles, names = axes.get_legend_handles_labels()
    for name, dash in key.dashes.items():
        look: Style = {}
        if name in key.marks:
            (shape, _), shade = key.marks[name]
            look = {"marker": shape, "markerfacecolor": shade, "markeredgecolor": shade}
        handles.append(Line2D([], [], color="0.4", ls=DASHES[dash], lw=0.9, **look))
        names.append(name)
    columns = min(len(names), key.columns)
    style: Style = {"title": note, "title_fontsize": _NOTE_SIZE} if note else {}
    figure.legend(handles, names, loc="outside lower center", ncols=columns, **style)
