"""Describe a panel of lines, which both backends draw."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from figures.output import COLOURS, MARKERS
from landscape.results.fields import Array

Style = dict[str, Any]  # keyword arguments of a drawing function
Dash = Literal["solid", "dash", "dashdot", "dot", "longdashdot"]
Marker = tuple[str, int | str]  # of matplotlib and of plotly
POWERS: Style = {"exponentformat": "power"}  # ticks of a page as powers of ten


@dataclass(frozen=True)
class Line:
    """Points of one name, joined or not, with their errors."""

    label: str
    x: Array  # (T,) numbers or names
    y: Array  # (T,) likewise
    colour: str
    marker: Marker | None = None
    dash: Dash = "solid"
    joined: bool = True
    steps: bool = False  # constant from each point to the next
    sparse: bool = False  # points are checkpoints: long gaps between them are dotted
    across: bool = False  # a level over the whole panel; y and error are constant
    error: Array | None = None  # (T,) or (2, T), below and above, of vertical bars
    x_error: Array | None = None  # (T,) or (2, T), below and above, of horizontal bars
    band: tuple[Array, Array] | None = None  # (T,) lower and upper edge
    shade: tuple[float, float] = (0.2, 0.2)  # opacity of the band on paper and on the page
    edge: float | None = None  # value marked at the left edge, on paper
    width: float | None = None  # points, on paper
    page_width: float | None = None  # pixels
    cap: float = 1.5  # length of the error bars' caps in points, on paper
    marked: float | None = None  # markers on paper: every n-th, or a share of the diagonal; 0: none
    hover: str | None = None  # plotly's template
    customdata: Array | None = None  # (T, …) of it
    key: Literal["both", "page", "none"] = "both"  # whose legends name it
    end: str = ""  # short name, at the end of the line on paper


@dataclass(frozen=True)
class Axis:
    """A scale and its label."""

    label: str = ""
    page_label: str = ""  # where the page words it otherwise
    scale: Literal["linear", "log", "symlog"] = "linear"
    threshold: float = 1.0  # up to which symlog is linear
    limits: tuple[float | None, float | None] | None = None  # on paper
    margin: float | None = None  # around the data, relative, on paper
    most_ticks: int | None = None  # on paper
    whole: bool = False  # ticks at whole numbers only, on paper
    round_ticks: bool = False  # 1, 2, 5 over a narrow logarithmic range and decades over a wide one
    ticks: tuple[Sequence[float], Sequence[str]] | None = None  # places and texts
    bare: bool = False  # no smaller ticks between these, on paper
    is_reversed: bool = False
    page: Style = field(default_factory=dict)  # further layout of the page's axis


@dataclass(frozen=True)
class Panel:
    """Lines on common axes."""

    title: str
    lines: Sequence[Line]
    x: Axis = Axis()
    y: Axis = Axis()
    page_title: str | None = None  # where the page words it otherwise
    caption: str = ""  # in the upper right corner
    empty: str = ""  # text of a panel without lines, on paper
    level: float | None = None  # height of a thin line to read the values against
    zero: bool = False  # a thin vertical line at 0, on paper; a page has its own
    reweighting: int | None = None  # epoch at which deferred re-weighting begins
    names_reweighting: bool = True


def has_room_left(panel: Panel, x: float) -> bool:
    """Tell whether a word fits to the left of a place, inside the panel: there is half of it."""
    ends = [float(end) for line in panel.lines for end in (np.min(line.x), np.max(line.x))]
    return not ends or x >= (min(ends) + max(ends)) / 2


def training(*units: str, named: bool = True) -> Axis:
    """Describe the axis of training, which counts epochs or steps, with its name or without."""
    return Axis(" or ".join(dict.fromkeys(units)) if named else "", whole=True)


def long_gaps(x: Array) -> Array:
    """Tell the steps between points (T - 1,) that are over three times the usual one."""
    steps = np.diff(np.asarray(x, dtype=np.float64))
    found: Array = steps > 3 * np.median(steps) if len(steps) > 2 else np.zeros(len(steps), bool)
    return found


def broken_at(line: Line, at: Array) -> Line:
    """Break a line after the points at these positions, by points that are not known."""
    after = at + 1
    error = None if line.error is None else np.insert(line.error, after, 0, axis=-1)
    x = np.insert(line.x.astype(np.float64), after, (line.x[at] + line.x[after]) / 2)
    band = None
    if line.band is not None:
        band = (np.insert(line.band[0], after, np.nan), np.insert(line.band[1], after, np.nan))
    told = None if line.customdata is None else np.insert(line.customdata, after, np.nan, axis=0)
    y = np.insert(line.y, after, np.nan)
    return replace(line, x=x, y=y, error=error, band=band, customdata=told)


def marker(k: int) -> Marker:
    """Return the marker of the k-th line, so that lines differ in grey, too."""
    k += k // len(COLOURS)  # a colour that comes again has another
    return MARKERS[k % len(MARKERS)], k % 8


def scope_markers(scopes: Sequence[str]) -> list[Marker]:
    """Choose markers of scopes: a group has the same wherever others are missing."""
    groups = ("overall", "head", "mid", "tail")
    others = [scope for scope in scopes if scope not in groups]
    first = len(groups) if len(others) < len(scopes) else 0
    places = {scope: k for k, scope in enumerate(groups)}
    places |= {scope: first + k for k, scope in enumerate(others)}
    return [marker(places[scope]) for scope in scopes]


def colour(k: int) -> str:
    """Return the colour of the k-th line."""
    return COLOURS[k % len(COLOURS)]
