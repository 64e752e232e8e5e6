"""Conflicts of class gradients: the K x K cosine similarities, one panel a run on one colour scale.

Two classes conflict where their cosine is negative (PLOT Def. 2.1); the conflict is dominated where
the shorter gradient opposes the average over classes (Def. 2.2). A class without samples is grey.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from figures.charts.class_lines import MOST_NAMED, head_to_tail
from figures.charts.grid import grid_shape, panel_grid
from figures.output import PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.labels import checkpoint_label, run_labels, scope_label
from landscape.results.gradients import Gradients
from landscape.results.provenance import Provenance

Array = NDArray[Any]
_GREY = "0.75"
_MOST_NUMBERED = 10  # classes whose cells have room for a number
_LABEL = "cosine of class gradients"


@dataclass(frozen=True)
class Panel:
    """One run; classes in order of their training samples."""

    title: str
    summary: str
    ticks: list[str]  # (K,)
    names: list[str]  # (K,) in full, with training samples
    similarity: Array  # (K, K) NaN for a class without samples
    spread: Array  # (K, K) standard deviation over mini-batches, NaN where there is none


def panels(request: Request) -> list[Panel]:
    """Read the similarities of every run, over all parameters or the option ``layer``.

    Raises:
        InputError: a run lacks the result, or a result the layer.
    """
    loaded = [run.load(Gradients, request.checkpoint) for run in request.runs]
    labels = run_labels([origin for _, origin in loaded], request.runs)
    return [_panel(label, *one, request) for label, one in zip(labels, loaded, strict=True)]


def draw(request: Request) -> Figure:
    """Draw the figure for paper: column width for one run, page width for several."""
    found = panels(request)
    width, longest = PAGE if len(found) > 1 else 3.25, max(len(t) for p in found for t in p.ticks)
    columns = grid_shape(len(found))[1]
    side = (width - 0.7 - 0.05 * longest) / columns
    height = side + 0.75 + (0.05 * longest if longest > 2 else 0)
    figure, places = panel_grid(len(found), height, below=0, width=width, sharey=False)
    figure.set_layout_engine("compressed")
    for at, (axes, panel) in enumerate(zip(places, found, strict=True)):
        image = _draw_panel(axes, panel)
        if at % columns and panel.ticks == found[at - 1].ticks:
            axes.set_yticklabels([])
    bar = figure.colorbar(image, ax=places, label=_LABEL, aspect=30, pad=0.01, fraction=0.05)
    cast(Patch, bar.outline).set_visible(False)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = panels(request)
    rows, columns = grid_shape(len(found))
    titles = [f"{p.title}<br><sup>{p.summary}</sup>".replace("\n", " ") for p in found]
    figure = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.3 / rows)
    for at, panel in enumerate(found):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        figure.add_trace(_heat_map(panel), **place)
        every = _thinning(len(panel.ticks))
        ticks = {"tickvals": panel.names[::every], "ticktext": panel.ticks[::every]}
        figure.update_xaxes(title_text="class, head to tail", constrain="domain", **ticks, **place)
        figure.update_yaxes(autorange="reversed", constrain="domain", **ticks, **place)
    return figure.update_layout(
        coloraxis={"colorscale": "RdBu", "cmin": -1, "cmax": 1, "colorbar": {"title": "cosine"}},
        plot_bgcolor=to_hex(_GREY),
        title="Conflicts of class gradients",
        margin={"t": 130},
        height=460 * rows + 130,
    )


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "conflicts", folder)


def _panel(label: str, record: Gradients, origin: Provenance, request: Request) -> Panel:
    layer = request.option("layer", ("all", *(str(name) for name in record.layer)))
    order = head_to_tail(record.training_count)
    if layer == "all":
        similarity, spread = record.similarity, record.similarity_std
    else:
        similarity = record.layer_similarity[[str(name) for name in record.layer].index(layer)]
        spread = np.full_like(similarity, np.nan)
    where = "" if layer == "all" else f", {layer}"
    numbered = len(order) > MOST_NAMED
    names = [scope_label(f"class/{c}", origin.config) for c in order]
    return Panel(
        f"{label}, {checkpoint_label(origin)}{where}",
        _counted(record, layer, similarity),
        [str(c) if numbered else str(record.class_name[c]) for c in order],
        [f"{n}, {record.training_count[c]:.0f} samples" for n, c in zip(names, order, strict=True)],
        similarity[np.ix_(order, order)],
        spread[np.ix_(order, order)],
    )


def _counted(record: Gradients, layer: str, similarity: Array) -> str:
    """Conflicts in words; a layer's are counted here, as the file holds those of all parameters."""
    if layer == "all":
        counts = (int(record.conflicts), int(record.pairs), int(record.dominated))
    else:
        at = [str(name) for name in record.layer].index(layer)
        pairs = np.argwhere(np.triu(np.isfinite(similarity), 1))
        norm, to_mean = record.layer_norm[at], record.layer_similarity_to_mean[at]
        negative = [(i, j) for i, j in pairs if similarity[i, j] < 0]
        shorter = [i if norm[i] < norm[j] else j for i, j in negative]
        counts = (len(negative), len(pairs), sum(to_mean[c] < 0 for c in shorter))
    conflicts, number, dominated = counts
    if number == 0:
        return "no pair of classes to compare"
    share = 100 * conflicts / number
    return f"conflicts {conflicts} of {number} pairs ({share:.0f} %),\ndominated {dominated}"


def _thinning(classes: int) -> int:
    return 1 if classes <= MOST_NAMED else -(-classes // 10)


def _draw_panel(axes: Axes, panel: Panel) -> AxesImage:
    image = axes.imshow(np.ma.masked_invalid(panel.similarity), cmap="RdBu", vmin=-1, vmax=1)
    axes.set_facecolor(_GREY)
    axes.set_title(f"{panel.title}\n{panel.summary}", fontsize=6.5)
    axes.set_xlabel("class, head to tail")
    classes = len(panel.ticks)
    shown = range(0, classes, _thinning(classes))
    ticks = [panel.ticks[k] for k in shown]
    axes.set_xticks(shown, ticks, rotation=90 if max(map(len, ticks)) > 2 else 0)
    axes.set_yticks(shown, ticks)
    if classes <= _MOST_NUMBERED:
        for (r, c), value in np.ndenumerate(panel.similarity):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.7 else "black"
                number = f"{value:.2f}".replace("0.", ".").replace("-", "−")
                axes.text(c, r, number, ha="center", va="center", fontsize=4.3, color=colour)
    return image


def _heat_map(panel: Panel) -> go.Heatmap:
    spread = " ± %{customdata:.3f}" if np.isfinite(panel.spread).any() else ""
    return go.Heatmap(
        x=panel.names,
        y=panel.names,
        z=panel.similarity,
        customdata=panel.spread,
        coloraxis="coloraxis",
        hoverongaps=False,
        hovertemplate="%{y}<br>%{x}<br>cosine %{z:.3f}" + spread + "<extra></extra>",
    )
