"""Loss against the size of random noise on the weights (CC-SAM Fig. 1); columns are runs.

Lines are means over draws, bands reach from the least to the most. The first row shows all sizes on
a logarithmic loss, the second the neighbourhood of the checkpoint; the mark at the left edge is the
loss without noise.
"""

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from figures.charts.surface_panels import Array, Style
from figures.output import COLOURS, MARKERS, PAGE, paper_style, write_figure
from figures.request import Request
from figures.runs.labels import run_labels, scope_label
from landscape.results import InputError, unknown
from landscape.results.provenance import Provenance
from landscape.results.sharpness import Sharpness

_DEFAULT = ("overall", "head", "mid", "tail")
_LOCAL = 0.1  # ‖ε‖/‖w‖ up to which noise is a perturbation, ‖ε‖ ≪ ‖w‖ (CC-SAM Sec. 2.2.1)
_COLUMN = 3.25  # inches
_WHERE = {"classifier": "the classifier", "all": "all parameters"}


@dataclass(frozen=True)
class Curve:
    """One scope of one run."""

    label: str
    ratio: Array  # (R,) ‖ε‖/‖w‖ above 0, rising
    loss: Array  # (R, draws)
    start: float  # loss without noise

    @property
    def mean(self) -> Array:
        """Mean over draws (R,); NaN where one is not finite."""
        finite = np.isfinite(self.loss).all(axis=1)
        return np.where(finite, np.where(np.isfinite(self.loss), self.loss, 0).mean(axis=1), np.nan)

    @property
    def low(self) -> Array:
        """The least over draws (R,); NaN like the mean."""
        return np.where(np.isfinite(self.mean), self.loss.min(axis=1), np.nan)

    @property
    def high(self) -> Array:
        """The most over draws (R,); NaN like the mean."""
        return np.where(np.isfinite(self.mean), self.loss.max(axis=1), np.nan)

    def within(self, most: float) -> "Curve":
        """The part with noise of at most this size."""
        kept = self.ratio <= most
        return Curve(self.label, self.ratio[kept], self.loss[kept], self.start)


@dataclass(frozen=True)
class Panel:
    """One run."""

    run: str
    perturbed: str  # what the noise is added to
    draws: int
    curves: list[Curve]

    @property
    def title(self) -> str:
        """The run, what is perturbed, and how many losses are missing."""
        broken = sum(int((~np.isfinite(curve.loss)).sum()) for curve in self.curves)
        lost = f"\n{broken} of {sum(c.loss.size for c in self.curves)} losses are not finite"
        return f"{self.run}\nnoise on {self.perturbed}" + (lost if broken else "")


def panels(request: Request) -> list[Panel]:
    """Read the curves of every run.

    Raises:
        InputError: a run lacks the result or the result a scope, or no size is above 0.
    """
    loaded = [run.load(Sharpness, request.checkpoint) for run in request.runs]
    labels = run_labels([origin for _, origin in loaded], request.runs)
    return [
        _panel(label, request.scopes, record, origin)
        for label, (record, origin) in zip(labels, loaded, strict=True)
    ]


def draw(request: Request) -> Figure:
    """Draw the figure for paper, column width for one run and page width for several."""
    found = panels(request)
    views = _views(found)
    figure, axes = plt.subplots(
        len(views),
        len(found),
        figsize=(PAGE if len(found) > 1 else _COLUMN, 1.75 * len(views) + 0.5),
        squeeze=False,
        sharey="row",
    )
    for row, (name, most) in zip(axes, views, strict=True):
        for place, panel in zip(row, found, strict=True):
            _draw_curves(place, [curve.within(most) for curve in panel.curves])
            place.set_xscale("log")
            if most > _LOCAL:
                place.set_yscale("log")
        row[0].set_ylabel(f"loss ({name})")
    for place, panel in zip(axes[0], found, strict=True):
        place.set_title(panel.title, fontsize=6.5)
    for place in axes[-1]:
        place.set_xlabel("‖ε‖ / ‖w‖")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    title = f"mean and range over {_draws(found)} draws; at the left edge, without noise"
    figure.legend(handles, labels, loc="outside lower center", ncols=4, title=title)
    figure.legends[0].get_title().set_fontsize(6)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = panels(request)
    views = _views(found)
    titles = [panel.title.replace("\n", "<br>") for panel in found]
    figure = make_subplots(
        len(views), len(found), subplot_titles=titles, shared_yaxes=True, vertical_spacing=0.1
    )
    for r, (name, most) in enumerate(views, 1):
        for c, panel in enumerate(found, 1):
            for curve, colour in zip(panel.curves, cycle(COLOURS), strict=False):
                for trace in _traces(curve.within(most), colour, shown=r == c == 1):
                    figure.add_trace(trace, r, c)
        figure.update_yaxes(title_text=f"loss ({name})", row=r, col=1)
        if most > _LOCAL:
            figure.update_yaxes(type="log", exponentformat="power", row=r)
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_xaxes(title_text="‖ε‖ / ‖w‖", row=len(views))
    figure.update_layout(height=340 * len(views) + 140, margin_t=130)
    title = f"Loss under random noise, mean and range over {_draws(found)} draws"
    return figure.update_layout(title=title)


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "noise", folder)


def _panel(label: str, scopes: tuple[str, ...], record: Sharpness, origin: Provenance) -> Panel:
    held = [str(name) for name in record.scope]
    for scope in scopes:
        if scope not in held:
            raise unknown("scope of this result", scope, held)
    order = np.argsort(record.ratio)
    order = order[record.ratio[order] > 0]
    if not order.size:
        raise InputError(
            f"the sharpness of '{label}' has no noise above 0; give --sharpness.ratios"
        )
    chosen = scopes or [name for name in _DEFAULT if name in held] or held[:4]
    curves = [
        Curve(
            scope_label(name, origin.config),
            record.ratio[order],
            record.loss[order, :, held.index(name)],
            float(record.start[held.index(name)]),
        )
        for name in chosen
    ]
    where = str(record.perturbed)
    return Panel(label, _WHERE.get(where, where), record.loss.shape[1], curves)


def _views(found: list[Panel]) -> list[tuple[str, float]]:
    """All sizes, and the local ones where there are some."""
    local = any((p.curves[0].ratio <= _LOCAL).sum() > 1 for p in found)
    return [("global", np.inf), *([("local", _LOCAL)] if local else [])]


def _draws(found: list[Panel]) -> str:
    return " or ".join(str(n) for n in sorted({panel.draws for panel in found}))


def _draw_curves(axes: Axes, curves: list[Curve]) -> None:
    looks = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for curve, (colour, marker) in zip(curves, looks, strict=False):
        axes.fill_between(curve.ratio, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
        style: Style = {"color": colour, "marker": marker, "markevery": 0.15, "label": curve.label}
        axes.plot(curve.ratio, curve.mean, **style)
        across = axes.get_yaxis_transform()
        axes.plot([0, 0.04], [curve.start] * 2, color=colour, lw=2, transform=across, zorder=3)


def _traces(curve: Curve, colour: str, *, shown: bool) -> list[go.Scatter]:
    known = np.isfinite(curve.mean)
    around = np.concatenate([curve.ratio[known], curve.ratio[known][::-1]])
    edge = np.concatenate([curve.high[known], curve.low[known][::-1]])
    band = {"fill": "toself", "fillcolor": colour, "opacity": 0.2, "line": {"width": 0}}
    group = {"legendgroup": curve.label}
    hover = f"{curve.label}, noise %{{x:.3g}}: loss %{{y:.4g}}, "
    hover += f"{curve.start:.4g} without noise<extra></extra>"
    return [
        go.Scatter(
            x=around, y=edge, mode="lines", hoverinfo="skip", showlegend=False, **band, **group
        ),
        go.Scatter(
            x=curve.ratio,
            y=curve.mean,
            mode="lines+markers",
            line={"color": colour},
            hovertemplate=hover,
            name=curve.label,
            showlegend=shown,
            **group,
        ),
    ]
