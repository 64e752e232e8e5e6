"""Draw how large each class's basin is, over the seeds of random directions.

A row a run. Left: the share of the plane with a loss below twice the least found on it, of overall,
head, mid, tail and the classes from head to tail. Right: the loss at the checkpoint over that least
one. A dot is a seed's plane; a bar is the 95 % interval of the geometric mean over seeds. All runs
have the same axes, and what is far from the others is marked at their edge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from figures.charts.class_colours import MOST_NAMED, head_to_tail
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Marker, Panel, Style
from figures.output import COLOURS, PAGE
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.history import Snapshot, snapshots
from figures.runs.scalars import GROUPS
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.fields import Array
from landscape.results.surface import Surface

_BEYOND = "beyond the axis"
_FAR = 100.0  # from the middle value: what lies beyond is marked at the edge
_GAP = 1.5  # between groups, over that between classes
_SHARE = "basin, % of the plane"
_EXCESS = "loss at the checkpoint / least"


@dataclass(frozen=True)
class Basins:
    """The surfaces of one run over several seeds."""

    seeds: Sequence[Snapshot[Surface]]

    @property
    def first(self) -> Surface:
        """The first seed's."""
        return self.seeds[0].record

    def scopes(self) -> list[str]:
        """List the whole, the groups and the classes from head to tail."""
        present = self.first.scope.tolist()
        classes = [f"class/{c}" for c in head_to_tail(self.first.training_count)]
        return [s for s in (*GROUPS, *classes) if s in present]

    def values(self, of: Callable[[Surface], Array]) -> Array:
        """Take a number of each scope and seed (S, R)."""
        rows = []
        for one in self.seeds:
            known = dict(zip(one.record.scope.tolist(), of(one.record), strict=True))
            rows.append([known.get(scope, np.nan) for scope in self.scopes()])
        return np.array(rows).T


def read(request: Request) -> Chart:
    """Read the surfaces of every run over random directions of all seeds there are.

    Raises:
        InputError: a run has none; the message gives the command that makes it.
    """
    found = _read(request)
    rows = [[_panel(one, found, _share), _panel(one, found, _excess)] for one in found]
    is_beyond = any(line.label == _BEYOND for row in rows for panel in row for line in panel.lines)
    return Chart(
        rows,
        "Basins around the checkpoint",
        (PAGE, 2.4 * len(found) + 0.4),
        420 * len(found),
        key=Key(4),
        note=_note(found, is_beyond=is_beyond),
        title_style={"fontsize": 6.5},
    )


def _read(request: Request) -> list[Basins]:
    """Read every seed of random directions; other directions or one seed where they are named."""
    chosen = request.surface_runs()
    if not {"directions", "seed"} & request.options.keys():
        seeds = [run.surface_seeds() or [""] for run in request.runs]
    else:
        seeds = [[run.surface_kind] for run in chosen]
    runs = [
        [replace(run, surface_kind=kind) for kind in kinds]
        for run, kinds in zip(request.runs, seeds, strict=True)
    ]
    firsts = snapshots([own[0] for own in runs], Surface, request.checkpoint)
    return [
        Basins([first, *(_beside(first, run, request.checkpoint) for run in own[1:])])
        for first, own in zip(firsts, runs, strict=True)
    ]


def _beside(first: Snapshot[Surface], run: RunResults, checkpoint: str) -> Snapshot[Surface]:
    return Snapshot(first.label, run, *run.load(Surface, checkpoint))


def _share(record: Surface) -> Array:
    return 100 * record.basin_share


def _excess(record: Surface) -> Array:
    centre = [record.basin(str(scope)).centre for scope in record.scope]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.array(centre) / record.basin_minimum
    return found


def _panel(one: Basins, found: Sequence[Basins], of: Callable[[Surface], Array]) -> Panel:
    """Describe a panel, on the scale of all runs."""
    scopes, values = one.scopes(), one.values(of)
    limits = _limits(np.concatenate([basins.values(of).ravel() for basins in found]), of)
    wide = np.array([_GAP if "/" not in scope else 1.0 for scope in scopes])
    places = np.cumsum(wide) - wide[0]
    mean, (low, high) = _interval(values)
    error = np.nan_to_num(np.stack([mean - low, high - mean]))
    dots: Style = {"joined": False, "marker": ("o", 0)}
    name = "one plane" if values.shape[1] == 1 else "mean over planes"
    lines = [
        Line("a plane", np.repeat(places, values.shape[1]), values.ravel(), "#999999", **dots),
        Line(name, places, mean, COLOURS[0], ("D", 2), joined=False, error=error),
        *_beyond(places, mean, limits),
    ]
    names = [_short(one.first, scope) for scope in scopes]
    every = 1 if len(scopes) <= MOST_NAMED + 4 else -(-len(scopes) // 14)
    axis = Axis("scope; classes from head to tail", ticks=(places[::every], names[::every]))
    about = f"{one.seeds[0].label}, {checkpoint_label(one.seeds[0].origin.checkpoint)}"
    title = f"{about}\n{finding(one)}" if of is _share else "the checkpoint over the least loss"
    page: Style = {"range": list(map(np.log10, limits))}
    page |= {"dtick": 1} if limits[1] / limits[0] > 100 else {}
    label = _SHARE if of is _share else _EXCESS
    y = Axis(label, scale="log", round_ticks=True, limits=limits, page=page)
    return Panel(title, lines if values.shape[1] > 1 else lines[1:], axis, y)


def _limits(values: Array, of: Callable[[Surface], Array]) -> tuple[float, float]:
    """Choose an axis for all values within a hundredth, or a hundredfold, of the middle one.

    The least loss of a class that is fitted may be no more than rounding, and its basin a point.
    """
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return 0.1, 10.0
    middle = float(np.median(known))
    near = known[(known > middle / _FAR) & (known < middle * _FAR)]
    low, high = float(near.min()) / 1.6, float(near.max()) * 1.6
    return (min(low, 0.8), high) if of is _excess else (low, high)


def _beyond(places: Array, mean: Array, limits: tuple[float, float]) -> list[Line]:
    """Mark at the edge the scopes whose mean lies beyond the axis."""
    low, high = limits
    edges: list[tuple[Array, float, Marker]] = [
        (mean < low, low * 1.15, ("v", "triangle-down")),
        (mean > high, high / 1.15, ("^", "triangle-up")),
    ]
    return [
        Line(
            _BEYOND,
            places[is_out],
            np.full(int(is_out.sum()), height),
            COLOURS[1],
            mark,
            joined=False,
            key="none",
            customdata=mean[is_out],
            hover="%{customdata:.2g}<extra></extra>",
        )
        for is_out, height, mark in edges
        if is_out.any()
    ]


def _short(record: Surface, scope: str) -> str:
    """Name a scope below an axis: classes by their names, the whole as all."""
    kind, _, number = scope.partition("/")
    return str(record.class_name[int(number)]) if number else {"overall": "all"}.get(kind, kind)


def finding(one: Basins) -> str:
    """Compare the basins of head and tail.

    Args:
        one: the surfaces of a run.
    """
    scopes = one.scopes()
    mean, (low, high) = _interval(one.values(_share))
    said = []
    pair = [s for s in scopes if s in ("head", "tail")] or ["overall"]
    for scope in pair:
        k = scopes.index(scope)
        within = f" ({low[k]:.2g} to {high[k]:.2g})" if np.isfinite(low[k]) else ""
        said.append(f"{scope} {mean[k]:.2g} %{within}")
    return f"basin of the {', of the '.join(said)}"


def _interval(values: Array) -> tuple[Array, tuple[Array, Array]]:
    """Geometric mean (S,) over seeds (S, R) and its 95 % interval by Student's t of logarithms."""
    count = values.shape[1]
    with np.errstate(divide="ignore"):
        logarithms = np.log(values)
    mean = logarithms.mean(axis=1)
    half = np.full(len(mean), np.nan)
    if count > 1:
        sem = logarithms.std(axis=1, ddof=1) / np.sqrt(count)
        half = stats.t.ppf(0.975, count - 1) * sem
    return np.exp(mean), (np.exp(mean - half), np.exp(mean + half))


def _note(found: Sequence[Basins], *, is_beyond: bool) -> str:
    counts = {len(one.seeds) for one in found}
    cut = any(one.first.basin_cut.any() for one in found)
    edge = "; some basins reach the plane's edge and go on beyond it" if cut else ""
    edge += "; triangles: beyond the axis" if is_beyond else ""
    if counts == {1}:
        return f"one plane of random directions; --surface.seeds 0,1,2 adds others{edge}"
    seeds = " or ".join(map(str, sorted(counts)))
    return f"{seeds} planes of random directions; bars: 95 % of the geometric mean over them{edge}"
