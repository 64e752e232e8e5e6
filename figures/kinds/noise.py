"""Draw the loss against the size of random noise on the weights (CC-SAM Fig. 1).

Columns are runs. Lines are means over draws, bands reach from the least to the most. The first row
shows all sizes on a logarithmic loss, the second the neighbourhood of the checkpoint, on a linear
one; the mark at the left edge is the loss without noise.
"""

from dataclasses import dataclass

import numpy as np

from figures.charts.class_colours import scope_colours
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Marker, Panel, scope_markers
from figures.output import COLUMN, PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError, unknown
from landscape.results.fields import Array
from landscape.results.sharpness import Sharpness

_DEFAULT = ("overall", "head", "mid", "tail")
_LOCAL = 0.1  # ‖ε‖/‖w‖ up to which noise is a perturbation, ‖ε‖ ≪ ‖w‖ (CC-SAM Sec. 2.2.1)
_ALL, _NEAR = "any size of noise", "near the checkpoint"
_SIZE = "size of the noise / size of the weights, ‖ε‖ / ‖w‖"
_WHERE = {"classifier": "the classifier", "all": "all parameters"}


@dataclass(frozen=True)
class NoiseCurve:
    """One scope of one run."""

    label: str
    ratio: Array  # (R,) ‖ε‖/‖w‖ above 0, rising
    loss: Array  # (R, draws)
    start: float  # loss without noise
    colour: str
    marker: Marker

    def line(self, most: float) -> Line:
        """Describe the line, up to a size of noise; it breaks where a loss is not finite."""
        kept = self.ratio <= most
        loss = self.loss[kept]
        finite = np.isfinite(loss).all(axis=1)
        mean = np.where(np.isfinite(loss), loss, 0).mean(axis=1)
        middle, low, high = (
            np.where(finite, values, np.nan)
            for values in (mean, loss.min(axis=1), loss.max(axis=1))
        )
        hover = f"{self.label}, noise %{{x:.3g}}: loss %{{y:.4g}}, "
        return Line(
            self.label,
            self.ratio[kept],
            middle,
            self.colour,
            self.marker,
            band=(low, high),
            width=0.9,
            end=self.label,
            edge=self.start,
            marked=0.15,
            hover=f"{hover}{self.start:.4g} without noise<extra></extra>",
        )


@dataclass(frozen=True)
class NoiseCurves:
    """One run."""

    run: str
    perturbed: str  # the parameters that the noise is added to
    draws: int
    curves: list[NoiseCurve]

    @property
    def title(self) -> str:
        """Name the run and the perturbed parameters, and count the losses that are missing."""
        broken = sum(int((~np.isfinite(curve.loss)).sum()) for curve in self.curves)
        lost = f"\n{broken} of {sum(c.loss.size for c in self.curves)} losses are not finite"
        return f"{self.run}\nnoise on {self.perturbed}" + (lost if broken else "")


def curves(request: Request) -> list[NoiseCurves]:
    """Read the curves of every run.

    Raises:
        InputError: a run lacks the result or the result a scope, or no size is above 0.
    """
    found = snapshots(request.runs, Sharpness, request.checkpoint)
    return [_curves(one, request.scopes) for one in found]


def read(request: Request) -> Chart:
    """Read the curves of every run, see :func:`curves`."""
    found = curves(request)
    has_local = any((run.curves[0].ratio <= _LOCAL).sum() > 1 for run in found)
    views = [(_ALL, np.inf), *([(_NEAR, _LOCAL)] if has_local else [])]
    rows = []
    for name, most in views:
        is_first, is_last = name == _ALL, name == views[-1][0]
        rows.append(
            [
                Panel(
                    run.title if is_first else "",
                    [curve.line(most) for curve in run.curves],
                    _size_axis(_SIZE if is_last else ""),
                    _loss_axis("" if c else f"training loss\n{name}", is_log=is_first),
                )
                for c, run in enumerate(found)
            ]
        )
    draws = " or ".join(str(n) for n in sorted({run.draws for run in found}))
    note = (
        f"line and band: mean and range over {draws} draws of Gaussian noise; thick mark at the "
        "left edge: the loss without noise"
    )
    return Chart(
        rows,
        "Loss under random noise on the weights",
        (PAGE if len(found) > 1 else COLUMN, 1.75 * len(rows) + 0.5),
        340 * len(rows) + 140,
        note=note,
        share_y="row",
        align_labels=True,
        spacing=0.1,
        title_style={"fontsize": 6.5},
    )


def _size_axis(label: str) -> Axis:
    return Axis(label, scale="log", page={"dtick": 1})


def _loss_axis(label: str, *, is_log: bool) -> Axis:
    return Axis(label, scale="log", round_ticks=True) if is_log else Axis(label)


def _curves(one: Snapshot[Sharpness], scopes: tuple[str, ...]) -> NoiseCurves:
    record, present = one.record, [str(name) for name in one.record.scope]
    for scope in scopes:
        if scope not in present:
            raise unknown("scope of this result", scope, present)
    order = np.argsort(record.ratio)
    order = order[record.ratio[order] > 0]
    if not order.size:
        raise InputError(
            f"the sharpness of '{one.label}' has no noise above 0; give --sharpness.ratios"
        )
    chosen = scopes or [name for name in _DEFAULT if name in present] or present[:4]
    found = [
        NoiseCurve(
            one.scope_label(name),
            record.ratio[order],
            record.loss[order, :, present.index(name)],
            float(record.start[present.index(name)]),
            shade,
            mark,
        )
        for name, shade, mark in zip(
            chosen, scope_colours(chosen), scope_markers(chosen), strict=True
        )
    ]
    where = str(record.perturbed)
    return NoiseCurves(one.label, _WHERE.get(where, where), record.loss.shape[1], found)
