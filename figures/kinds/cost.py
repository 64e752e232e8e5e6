"""Draw the cost of methods, seconds an epoch, against their test accuracy.

A point is the median of ``train_seconds`` over all epochs, its bar the span from the 10th to the
90th percentile: wide for methods that do more in some epochs than in others. The upper axis is the
ratio to the run with the rule ``sam`` (Focal-SAM Fig. 1b and Tab. 1). The option ``y`` names the
group whose accuracy is drawn: mean over seeds, with their standard deviation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, colour, marker
from figures.charts.point_labels import label_points
from figures.output import COLUMN, Drawing
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.scalars import GROUPS, Scalars, one_split, read_scalars, scalar_label
from figures.runs.settings import (
    check_same_data,
    run_config,
    run_metrics,
    seed_note,
    seeds_joined,
    setting_labels,
)
from landscape.results import InputError
from landscape.results.fields import Array


@dataclass(frozen=True)
class Point:
    """Runs that differ only in their seed."""

    label: str
    seconds: tuple[float, float, float]  # of an epoch: 10th percentile, median, 90th
    mean: float  # accuracy over seeds, per cent
    std: float  # 0 for one seed
    is_sam: bool

    @property
    def bars(self) -> list[tuple[float, float, float, float]]:
        """Left, bottom, right and top of both error bars."""
        (low, x, high), y = self.seconds, self.mean
        return [(low, y, high, y), (x, y - self.std, x, y + self.std)]

    def line(self, k: int, base: "Point | None") -> Line:
        """Describe the k-th point; its ratio is that to the base."""
        low, middle, high = self.seconds
        text = f"{self.label}: {self.mean:.1f} %, {middle:.3g} s"
        if base is not None:
            text += f", {middle / base.seconds[1]:.2f} of {base.label}"
        return Line(
            self.label,
            np.array([middle]),
            np.array([self.mean]),
            colour(k),
            marker(k),
            joined=False,
            error=np.array([self.std]),
            x_error=np.array([[middle - low], [high - middle]]),
            width=0.7,
            hover=f"{text}<extra></extra>",
        )


@dataclass(frozen=True)
class Cost(Drawing):
    """All points of a request."""

    points: list[Point]
    quantity: str  # the accuracy's name
    unit: str  # of the seconds, with the device they were taken on

    @property
    def base(self) -> Point | None:
        """The unit of the ratios: the first point of the rule ``sam``, if there is one."""
        return next((point for point in self.points if point.is_sam), None)

    @property
    def finding(self) -> str:
        """The most accurate point, and the cheapest."""
        best = max(self.points, key=lambda point: point.mean)
        first = min(self.points, key=lambda point: point.seconds[1])
        said = (
            f"{p.label}, {p.mean:.1f} % at {p.seconds[1]:.3g} s an epoch" for p in (best, first)
        )
        return "most accurate: {}; cheapest: {}".format(*said)

    def draw(self) -> Figure:
        """Draw the figure for paper, column width."""
        figure = self._chart().draw()
        (axes,) = figure.axes
        axes.set_xlim(0, 1.08 * max(point.seconds[2] for point in self.points))
        axes.margins(y=0.15)
        if self.base is not None:
            unit = np.float64(self.base.seconds[1])
            scales: Any = (lambda seconds: seconds / unit, lambda ratio: ratio * unit)
            axes.secondary_xaxis("top", functions=scales).set_xlabel(f"ratio to {self.base.label}")
        bars = np.array([bar for point in self.points for bar in point.bars])
        places = np.array([(point.seconds[1], point.mean) for point in self.points])
        colours = [colour(k) for k in range(len(self.points))]
        label_points(figure, axes, [p.label for p in self.points], places, bars, colours)
        return figure

    def page(self) -> go.Figure:
        """Build the interactive page."""
        most = max(point.seconds[2] for point in self.points)
        figure = self._chart().page().update_xaxes(range=[0, 1.15 * most])
        return figure.update_traces(marker_size=10).update_layout(showlegend=True)

    def _chart(self) -> Chart:
        lines = [point.line(k, self.base) for k, point in enumerate(self.points)]
        panel = Panel("", lines, Axis(self.unit), Axis(self.quantity))
        return Chart([[panel]], "Accuracy against cost", (COLUMN, 2.5), 480)


def read(request: Request) -> Cost:
    """Read the seconds and accuracies of every run.

    Raises:
        InputError: a run lacks its accuracy or its ``metrics.jsonl``, or the runs train on
            different data, networks or splits.
    """
    name = request.option("y", GROUPS)
    reads = [read_scalars(run, (name,), checkpoint=request.checkpoint) for run in request.runs]
    check_same_data([read.origin for read in reads], "costs")
    groups = seeds_joined(reads, lambda read: read.origin)
    labels = setting_labels([group[0].settings for group in groups])
    points = [_point(label, group) for label, group in zip(labels, groups, strict=True)]
    devices = sorted({str(run_config(run).get("device", "")) for run in request.runs} - {""})
    note = f" on {devices[0]}" if len(devices) == 1 else ""
    note = f" on {' and '.join(devices)}, which do not compare" if len(devices) > 1 else note
    seeds = seed_note([len(group) for group in groups])
    label = f"{scalar_label(name, split=one_split(reads))}{seeds}"
    return Cost(points, label, f"seconds an epoch{note}")


def _point(label: str, group: list[Scalars]) -> Point:
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


def _epoch_seconds(run: RunResults) -> Array:
    entries = run_metrics(run)
    seconds = [entry["train_seconds"] for entry in entries if "train_seconds" in entry]
    if not seconds:
        raise InputError(
            f"'{run.path}' has no metrics.jsonl with train_seconds, which 'tailscape train' "
            "writes; give the folder it trained in"
        )
    return np.array(seconds, float)
