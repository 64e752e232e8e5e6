"""What a method costs and what it brings: seconds an epoch against test accuracy.

A point is the median of ``train_seconds`` over all epochs, its bar the span from the 10th to the
90th percentile: wide for methods that do more in some epochs than in others. The upper axis is the
ratio to the run with the rule ``sam`` (Focal-SAM Fig. 1b and Tab. 1). The option ``y`` names the
group whose accuracy is drawn: mean over seeds, with their standard deviation.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.charts.point_labels import label_points
from figures.output import COLOURS, MARKERS, paper_style, write_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.scalars import GROUPS, Read, one_split, read_scalars, scalar_label
from figures.runs.settings import (
    refuse_other_data,
    run_config,
    run_metrics,
    seed_note,
    seeds_joined,
    setting_labels,
)
from landscape.results import InputError

_COLUMN = 3.25  # inches


@dataclass(frozen=True)
class Point:
    """Runs that differ only in their seed."""

    label: str
    seconds: tuple[float, float, float]  # of an epoch: 10th percentile, median, 90th
    mean: float  # accuracy over seeds, per cent
    std: float  # 0 for one seed
    is_sam: bool


@dataclass(frozen=True)
class Cost:
    """All points of a request."""

    points: list[Point]
    quantity: str  # the accuracy's name
    unit: str  # of the seconds, with the device they were taken on

    @property
    def base(self) -> Point | None:
        """What ratios refer to: the first point of the rule ``sam``, if there is one."""
        return next((point for point in self.points if point.is_sam), None)


def cost(request: Request) -> Cost:
    """Read the seconds and accuracies of every run.

    Raises:
        InputError: a run lacks its accuracy or its ``metrics.jsonl``, or the runs train on
            different data, networks or splits.
    """
    name = request.option("y", GROUPS)
    reads = [read_scalars(run, (name,), checkpoint=request.checkpoint) for run in request.runs]
    refuse_other_data([read.origin for read in reads], "costs")
    groups = seeds_joined(reads, lambda read: read.origin)
    labels = setting_labels([group[0].settings for group in groups])
    points = [_point(label, group) for label, group in zip(labels, groups, strict=True)]
    devices = sorted({str(run_config(run).get("device", "")) for run in request.runs} - {""})
    note = f" on {devices[0]}" if len(devices) == 1 else ""
    note = f" on {' and '.join(devices)}, which do not compare" if len(devices) > 1 else note
    seeds = seed_note([len(group) for group in groups])
    label = f"{scalar_label(name, split=one_split(reads))}{seeds}"
    return Cost(points, label, f"seconds an epoch{note}")


def draw(request: Request) -> Figure:
    """Draw the figure for paper, column width."""
    found = cost(request)
    figure, axes = plt.subplots(figsize=(_COLUMN, 2.5))
    for k, point in enumerate(found.points):
        low, middle, high = point.seconds
        style: dict[str, Any] = {
            "color": COLOURS[k % len(COLOURS)],
            "fmt": MARKERS[k % len(MARKERS)],
        }
        style |= {"xerr": [[middle - low], [high - middle]], "yerr": point.std}
        axes.errorbar(middle, point.mean, elinewidth=0.7, capsize=1.5, **style)
    axes.set_xlim(0, 1.08 * max(point.seconds[2] for point in found.points))
    axes.margins(y=0.15)
    axes.set_xlabel(found.unit)
    axes.set_ylabel(found.quantity)
    base = found.base
    if base is not None:
        unit = np.float64(base.seconds[1])
        scales: Any = (lambda seconds: seconds / unit, lambda ratio: ratio * unit)
        ratio = axes.secondary_xaxis("top", functions=scales)
        ratio.set_xlabel(f"ratio to {base.label}")
    _write_labels(figure, axes, found.points)
    return figure


def page(request: Request) -> go.Figure:
    """Build the interactive page."""
    found = cost(request)
    figure, base = go.Figure(), found.base
    for k, point in enumerate(found.points):
        low, middle, high = point.seconds
        text = f"{point.label}: {point.mean:.1f} %, {middle:.3g} s"
        if base is not None:
            text += f", {middle / base.seconds[1]:.2f} of {base.label}"
        span = {"type": "data", "symmetric": False, "thickness": 1}
        trace = go.Scatter(x=[middle], y=[point.mean], mode="markers", hovertext=text)
        trace.update(hoverinfo="text")
        trace.update(error_x={**span, "array": [high - middle], "arrayminus": [middle - low]})
        trace.update(error_y={"array": [point.std], "thickness": 1}, name=point.label)
        trace.update(marker={"color": COLOURS[k % len(COLOURS)], "symbol": k % 8, "size": 10})
        figure.add_trace(trace)
    most = max(point.seconds[2] for point in found.points)
    figure.update_xaxes(title_text=found.unit, range=[0, 1.15 * most])
    figure.update_yaxes(title_text=found.quantity)
    return figure.update_layout(height=480, showlegend=True, title="Accuracy against cost")


def write(request: Request, folder: Path) -> list[Path]:
    """Write PDF, PNG and HTML."""
    with paper_style():
        return write_figure(draw(request), page(request), "cost", folder)


def _write_labels(figure: Figure, axes: Axes, points: list[Point]) -> None:
    places = np.array([(point.seconds[1], point.mean) for point in points])
    bars = [
        bar
        for (x, y), point in zip(places, points, strict=True)
        for bar in (
            (point.seconds[0], y, point.seconds[2], y),
            (x, y - point.std, x, y + point.std),
        )
    ]
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(points))]
    labels = [point.label for point in points]
    label_points(figure, axes, labels, places, np.array(bars), colours)


def _point(label: str, group: list[Read]) -> Point:
    seconds = np.concatenate([_epoch_seconds(read.run) for read in group])
    values = np.array([read.values[0] for read in group])
    low, middle, high = (float(v) for v in np.percentile(seconds, (10, 50, 90)))
    method = str(group[0].settings["method"]).partition("@")[0]
    return Point(
        label,
        (low, middle, high),
        float(values.mean()),
        float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        method == "saddle" or method.split("+")[1:] == ["sam"],
    )


def _epoch_seconds(run: RunResults) -> NDArray[np.float64]:
    entries = run_metrics(run)
    seconds = [entry["train_seconds"] for entry in entries if "train_seconds" in entry]
    if not seconds:
        raise InputError(
            f"'{run.path}' has no metrics.jsonl with train_seconds, which 'tailscape train' "
            "writes; give the folder it trained in"
        )
    return np.array(seconds, float)
