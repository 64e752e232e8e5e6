"""Draw the noise of the classes' gradients against what a mini-batch holds of them.

A row a run, classes from head to tail. Left: the noise scale tr Σ_c / ‖g_c‖², the samples that a
class's gradient takes to be resolved, with 95 % intervals, and the samples of the class in a batch.
Right: the share of a batch's noise that comes from each class, and its share of the samples.
"""

import numpy as np

from figures.charts.class_colours import MOST_NAMED, head_to_tail
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, Style, marker
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import Snapshot, snapshots
from landscape.results import InputError
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.fields import Array
from landscape.results.gradient_noise import GradientNoise
from landscape.results.result import scope_members
from landscape.results.table import percent

_NOISE, _SAMPLES = "#D55E00", "#0072B2"


def read(request: Request) -> Chart:
    """Read the gradient noise of every run.

    Raises:
        InputError: a run lacks the result.
    """
    found = snapshots(request.runs, GradientNoise, request.checkpoint)
    return Chart(
        [[_scales(one), _shares(one)] for one in found],
        "Noise of the classes' gradients",
        (PAGE, 2.4 * len(found) + 0.4),
        420 * len(found),
        key=Key(4),
        note="bars: 95 % over micro-batches; a class is resolved where a batch holds more of it "
        "than the upper end of its noise scale's bar",
        title_style={"fontsize": 6.5},
    )


def finding(record: GradientNoise) -> str:
    """Say how many classes a batch resolves: those it holds more of than the scale's upper end.

    Args:
        record: the noise.
    """
    if not np.isfinite(record.batch):
        return "the batch of the training is not known"
    upper = record.scale_interval[:, 1]
    known = np.isfinite(record.scale)
    resolved = int((record.batch * record.share > upper)[known].sum())
    return (
        f"a batch of {int(record.batch)} resolves the gradient of {resolved} of {int(known.sum())} "
        "classes"
    )


def tail_finding(record: GradientNoise) -> str:
    """Say what share of a batch's noise comes from the tail.

    Args:
        record: the noise.
    """
    try:
        fields = record.training_count, record.samples, record.split
        tail = list(scope_members("tail", *fields))
    except (InputError, KeyError):
        return "shares of a batch's noise and of its samples"
    noise, samples = record.noise_share[tail].sum(), record.share[tail].sum()
    return f"the tail, {percent(samples)} of a batch, makes {percent(noise)} of its noise"


def _places(one: Snapshot[GradientNoise]) -> tuple[list[int], Array, Axis]:
    record = one.record
    order = head_to_tail(record.training_count)
    places = np.arange(len(order), dtype=float)
    every = 1 if len(order) <= MOST_NAMED else -(-len(order) // 10)
    names = [str(record.class_name[c]) for c in order]
    return (
        order,
        places,
        Axis("class, head to tail", ticks=(places[::every].tolist(), names[::every])),
    )


def _scales(one: Snapshot[GradientNoise]) -> Panel:
    record = one.record
    order, places, axis = _places(one)
    ends = record.scale_interval[order].T - record.scale[order]
    style: Style = {"joined": False, "error": np.nan_to_num(np.abs(ends))}
    lines = [
        Line("noise scale", places, record.scale[order], _NOISE, marker(0), **style),
        Line("in a batch", places, (record.batch * record.share)[order], _SAMPLES, marker(1)),
    ]
    y = Axis("samples", scale="log", margin=0.1, round_ticks=True)
    title = f"{one.label}, {checkpoint_label(one.origin.checkpoint)}\n{finding(record)}"
    return Panel(title, lines[: 1 + int(np.isfinite(record.batch))], axis, y)


def _shares(one: Snapshot[GradientNoise]) -> Panel:
    record = one.record
    order, places, axis = _places(one)
    lines = [
        Line("of the noise", places, 100 * record.noise_share[order], _NOISE, marker(2)),
        Line("of the samples", places, 100 * record.share[order], _SAMPLES, marker(3)),
    ]
    y = Axis("share of a batch, %", scale="log", margin=0.1, round_ticks=True)
    return Panel(tail_finding(record), lines, axis, y)
