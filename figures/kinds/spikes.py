"""Draw which class each outlier eigenvalue of the Hessian belongs to.

A row of panels a run, classes from head to tail: the share of each spike's curvature that a class
adds, its squared cosine with the class's gradient, and, where the classes have spans of their own,
the overlap of these. A row whose eigenvector is not told apart from its neighbour has a star.
"""

import textwrap
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.charts.class_colours import MOST_NAMED, head_to_tail
from figures.charts.grid import page_grid, paper_grid
from figures.charts.matrix import ClassMatrix, add_matrices, draw_matrix, write_percents
from figures.charts.panel import Style
from figures.output import PAGE, Drawing
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.fields import Array
from landscape.results.result import scope_members
from landscape.results.spikes import Spikes
from landscape.results.table import percent

_CURVATURE = "share of the spike's curvature"
_GRADIENT = "cos² with the class's gradient"
_SPANS = "overlap of the classes"
_NOTE = "* its vector is not told apart from a neighbour's (sine above 0.1)"
_AXIS = "class, head to tail"
_LINE = 115  # characters of a title's line
_SCALE = "share, squared cosine or overlap"


@dataclass(frozen=True)
class RunSpikes:
    """The matrices of one run."""

    title: str  # the run, and what is found
    panels: list[ClassMatrix]
    starred: bool


@dataclass(frozen=True)
class SpikesFigure(Drawing):
    """The matrices of every run."""

    runs: list[RunSpikes]

    def draw(self) -> Figure:
        """Draw the figure for paper, of page width."""
        rows = [run.panels for run in self.runs]
        room = max(panel.room for row in rows for panel in row)
        figure, axes = paper_grid(rows, (PAGE, (2.55 + room) * len(rows)))
        figure.set_layout_engine("compressed")
        for places, run in zip(axes, self.runs, strict=True):
            for place, panel in zip(places, run.panels, strict=True):
                image = draw_matrix(place, panel, "0.87", cmap="Blues", vmin=0.0, vmax=1.0)
                write_percents(place, panel)
                place.set_title(f"\n\n{panel.title}", fontsize=6.5)
                place.set_xlabel(_AXIS)
            _write_above(places[0], run.title)
        bar = figure.colorbar(image, ax=[a for row in axes for a in row], aspect=30, pad=0.01)
        bar.set_label(_SCALE)
        bar.outline.set_visible(False)
        if any(run.starred for run in self.runs):
            figure.supxlabel(_NOTE, fontsize=5.5, color="0.35")
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        rows = [run.panels for run in self.runs]
        titles = []
        for run in self.runs:
            first, *others = (panel.title for panel in run.panels)
            said = run.title.replace("\n", "<br>")
            titles += [
                f"{said}<br>{first}",
                *others,
                *[""] * (len(max(rows, key=len)) - len(rows[0])),
            ]
        figure = page_grid(rows, titles, vertical_spacing=0.35 / len(rows))
        hover = "%{y}<br>%{x}<br>{}<!-- told -->, eigenvalue part %{customdata:.4g}<extra></extra>"
        add_matrices(
            figure, rows, (_AXIS, ""), hover, {"colorscale": "Blues", "cmin": 0.0, "cmax": 1.0}
        )
        note = f"<br><sup>{_NOTE}</sup>" if any(run.starred for run in self.runs) else ""
        style: Style = {"margin": {"t": 150}, "height": 400 * len(rows) + 150}
        return figure.update_layout(title=f"Outlier eigenvalues by class{note}", **style)


def _write_above(place: Axes, text: str) -> None:
    """Write a run's title over all its panels, in the lines that their titles leave free."""
    style: Style = {"textcoords": "offset points", "annotation_clip": False, "va": "bottom"}
    found = place.annotate(text, (0, 1), (-24, 14), "axes fraction", fontsize=6.5, **style)
    found.set_in_layout(False)


def read(request: Request) -> SpikesFigure:
    """Read the spikes of every run.

    Raises:
        InputError: a run lacks the result.
    """
    found = snapshots(request.runs, Spikes, request.checkpoint)
    return SpikesFigure([_run(one) for one in found])


def _run(one: Snapshot[Spikes]) -> RunSpikes:
    record = one.record
    order = head_to_tail(record.training_count)
    names = [one.scope_label(f"class/{c}") for c in order]
    many = len(order) > MOST_NAMED
    ticks = [str(c) if many else str(record.class_name[c]) for c in order]
    every = -(-len(order) // 10) if many else 1
    rows = [
        f"λ{number} = {value:.3g}{'' if alone else ' *'}"
        for number, value, alone in zip(record.spike, record.value, record.resolved, strict=True)
    ]

    def matrix(title: str, values: Array, told: Array | None, own: list[str] | None) -> ClassMatrix:
        return ClassMatrix(title, names, ticks, values, every, told, rows=own)

    panels = [
        matrix(_CURVATURE, record.curvature_share[:, order], record.curvature[:, order], rows),
        matrix(_GRADIENT, record.gradient_overlap[:, order], None, rows),
    ]
    if np.isfinite(record.subspace_overlap).any():
        panels.append(matrix(_SPANS, record.subspace_overlap[np.ix_(order, order)], None, None))
    said = (
        f"{one.label}, {checkpoint_label(one.origin.checkpoint)}: {finding(record, names, order)}"
    )
    return RunSpikes(textwrap.fill(said, _LINE), panels, not record.resolved.all())


def finding(record: Spikes, names: list[str], order: list[int]) -> str:
    """Say in a sentence which classes own spikes, and what the tail adds.

    Args:
        record: the spikes.
        names: of the classes, in the order of the next.
        order: the classes.
    """
    owners = [int(c) for c in record.owner]
    owned = [
        f"{name} owns {', '.join(f'λ{k + 1}' for k, c in enumerate(owners) if c == own)}"
        for own, name in zip(order, names, strict=True)
        if own in owners
    ]
    shared = owners.count(-1)
    said = owned[:4] + ([f"{len(owned) - 4} further classes own some"] if len(owned) > 4 else [])
    said += [f"{shared} of {len(owners)} spikes are shared"] if shared else []
    return ", ".join(said) + _of_tail(record) + f"; {_of_gradient(record)}"


def _of_tail(record: Spikes) -> str:
    fields = record.training_count, record.samples, record.split
    try:
        tail = list(scope_members("tail", *fields))
    except (InputError, KeyError):
        return ""
    share = np.nansum(record.curvature[:, tail]) / np.nansum(record.curvature)
    weight = record.training_count[tail].sum() / record.training_count.sum()
    adds = f"adds {percent(share, 0)} of the spikes' curvature"
    return f"; the tail, {percent(weight, 0)} of the samples, {adds}"


def _of_gradient(record: Spikes) -> str:
    return (
        f"{percent(float(record.whole_share), 0)} of ‖g‖² lies in their span (chance "
        f"{float(record.chance):.1g})"
    )
