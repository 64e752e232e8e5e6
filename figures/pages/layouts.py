"""Lay out a page's panels: side by side on a wide window, one below the other on a narrow one."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from figures.charts.names import short_names

Fields = dict[str, Any]
_WIDE, _NARROW = 1000, 350  # pixels that a window leaves for panels, at least
_CHARACTER = 6.4  # width of a title's character, pixels
_LINE = 16  # height of a title's line, pixels
_TITLE, _KEY, _BAR = 50, 26, 62  # pixels of a title above, of a row of the legend, of a colour bar
_PANEL, _BETWEEN = 250, 64  # height of a stacked panel, and room for its axis, pixels
_TOOLS = 26  # height of the buttons, pixels
_LEFT, _TICK = 58, 14  # margin for numbers, pixels; characters of a name at an axis
_KEY_CHARACTERS = 45  # of a legend's row on a narrow window


@dataclass(frozen=True)
class Place:
    """Where a panel lies: its axes or its scene, and its part of the page."""

    keys: tuple[str, ...]  # of the layout: xaxis and yaxis, or scene
    x: tuple[float, float]
    y: tuple[float, float]


def places(figure: go.Figure) -> list[Place]:
    """List the panels of a page, row by row.

    Args:
        figure: the page.
    """
    found = [
        Place((scene.plotly_name,), tuple(scene.domain.x), tuple(scene.domain.y))
        for scene in figure.select_scenes()
        if scene.domain.x is not None
    ]
    for x in figure.select_xaxes():
        y = figure.layout[_key(x.anchor or "y")]
        found.append(Place((x.plotly_name, y.plotly_name), _whole(x.domain), _whole(y.domain)))
    return sorted(found, key=lambda place: (-round(place.y[1], 3), place.x[0]))


def wide_layout(figure: go.Figure) -> Fields:
    """Describe the layout of a wide window: without a title, which is a heading above the page.

    Args:
        figure: the page.
    """
    columns = column_count(figure)
    lines, notes = _titles(figure, places(figure), _WIDE / columns)
    below = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    height = (figure.layout.height or 450) - _TITLE + _TOOLS
    bottom = figure.layout.margin.b or 60
    top = _TOOLS + 14 + _LINE * lines  # the buttons stand above the titles
    margin = {"t": top, "b": bottom + (_KEY if _names(figure) else 0), "l": 70, "r": 20}
    found = {"height": height, "margin": margin, "legend": below, "annotations": notes}
    return found | {"title": None, "width": None, "autosize": True}


def narrow_layout(figure: go.Figure) -> Fields:
    """Describe what differs on a narrow window: panels stand one below the other.

    Args:
        figure: the page.
    """
    stacked = places(figure)
    left, below = _tick_room(figure, stacked)
    lines, notes = _titles(figure, stacked, _NARROW - 2 * (left - _LEFT))
    between = _BETWEEN + _LINE * lines + below
    inner = len(stacked) * _PANEL + (len(stacked) - 1) * between
    found: Fields = {}
    moved: dict[Any, float] = {}
    for k, place in enumerate(stacked):
        top = 1 - k * (_PANEL + between) / inner
        domain = [max(top - _PANEL / inner, 0.0), top]
        moved[place.x, place.y] = top
        found |= _placed(figure, place, domain)
    notes = _stacked_titles(notes, stacked, moved)
    top = _TOOLS + 14 + _LINE * lines
    bars, bottom = _bars(figure)
    rows = sum(len(name) + 6 for name in _names(figure)) // _KEY_CHARACTERS + 1
    bottom += below + (_KEY * rows if _names(figure) else 0)
    margin = {"t": top, "b": bottom + _BETWEEN, "l": left, "r": 12}
    height = inner + margin["t"] + margin["b"]
    found |= {name: _bar_at((up - margin["b"]) / inner) for name, up in bars.items()}
    return found | {"height": height, "margin": margin, "annotations": notes, "font": {"size": 11}}


def _stacked_titles(
    notes: list[Fields], stacked: list[Place], moved: dict[Any, float]
) -> list[Fields]:
    """Move the titles above their panels; one without has that of the panel atop its column."""
    others = [note for note in notes if not any(_is_title(note, place) for place in stacked)]
    atop: dict[float, Fields] = {}
    for place in stacked:
        own = next((note for note in notes if _is_title(note, place)), None)
        note = own or atop.get(place.x[0])
        if note is not None:
            atop[place.x[0]] = note
            others.append(note | {"x": 0.5, "y": moved[place.x, place.y]})
    return others


def column_count(figure: go.Figure) -> int:
    """Count the panels that stand side by side."""
    return max(len({round(place.x[0], 3) for place in places(figure)}), 1)


def _placed(figure: go.Figure, place: Place, domain: list[float]) -> Fields:
    """Move a panel's axes to a part of the page's height; each has its labels there."""
    if len(place.keys) == 1:
        return {place.keys[0]: {"domain": {"x": [0, 1], "y": domain}}}
    found: Fields = {}
    x, y = place.keys
    for key, part in ((x, [0, 1]), (y, domain)):
        found[key] = {"domain": part, "showticklabels": _shows(figure, key)}
        found[key] |= {"title": _title(figure, key)} | _short_ticks(figure, key)
    for other in figure.select_yaxes():
        if other.overlaying and _key(other.overlaying) == y:
            found[other.plotly_name] = {"domain": domain, "showticklabels": True}
    return found


def _short_ticks(figure: go.Figure, key: str) -> Fields:
    """Shorten the names at an axis, if it has long ones."""
    axis = figure.layout[key]
    names = _tick_texts(figure, key)
    if max(map(len, names), default=0) <= _TICK:
        return {}
    at = list(names if axis.ticktext is None else axis.tickvals)
    return {"tickvals": at, "ticktext": short_names(names, _TICK)}


def _tick_texts(figure: go.Figure, key: str) -> list[str]:
    """List the names at an axis: those it is given, or its categories; none of a scale."""
    if figure.layout[key].ticktext is not None:
        return [str(text) for text in figure.layout[key].ticktext]
    side, found = key[0], dict[str, None]()
    for trace in figure.data:
        if (getattr(trace, f"{side}axis", None) or side) == key.replace("axis", ""):
            values = getattr(trace, side, None)
            names = () if values is None else values
            found |= {name: None for name in names if isinstance(name, str)}
    return list(found)


def _tick_room(figure: go.Figure, stacked: list[Place]) -> tuple[int, int]:
    """Measure what names take to the left of the panels, and below where they stand upright."""
    left, below = _LEFT, 0
    for place in stacked:
        for key in place.keys if len(place.keys) > 1 else ():
            lengths = [min(len(name), _TICK) for name in _tick_texts(figure, key)]
            longest = round(_CHARACTER * max(lengths, default=0))
            if key.startswith("y"):
                left = max(left, longest + 24)
            elif _CHARACTER * sum(lengths) > _NARROW - left:
                below = max(below, longest)
    return left, below


def _shows(figure: go.Figure, key: str) -> bool:
    """Tell whether an axis has tick labels; one that has the scale of another takes these too."""
    axis = figure.layout[key]
    return bool(axis.matches) or axis.showticklabels is not False


def _title(figure: go.Figure, key: str) -> Fields:
    """Name an axis as itself, or as another of its row or column that has its scale."""
    side = "x" if key.startswith("x") else "y"
    others = figure.select_xaxes() if side == "x" else figure.select_yaxes()
    own = figure.layout[key]
    same = [axis for axis in others if axis.title.text and _same_scale(own, axis)]
    text = own.title.text or (same[-1].title.text if same else None)
    return {"text": text, "font": {"size": 11}, "standoff": 4}


def _same_scale(one: Any, other: Any) -> bool:
    scales = {axis.matches or axis.plotly_name.replace("axis", "") for axis in (one, other)}
    return len(scales) == 1


def _titles(figure: go.Figure, found: list[Place], width: float) -> tuple[int, list[Fields]]:
    """Wrap the panels' titles to a width; count the most lines, and list all annotations."""
    notes, most = [], 0
    for annotation in figure.layout.annotations:
        note = annotation.to_plotly_json()
        if any(_is_title(note, place) for place in found):
            lines = list(_wrapped(note.get("text") or "", int(width / _CHARACTER)))
            most = max(most, len(lines))
            note |= {"text": "<br>".join(lines), "font": {"size": 12}}
        notes.append(note)
    return most, notes


def _wrapped(text: str, width: int) -> Iterator[str]:
    for line in text.replace("<sup>", "").replace("</sup>", "").split("<br>"):
        yield from textwrap.wrap(line, width) or [""]


def _is_title(note: Fields, place: Place) -> bool:
    """Tell whether an annotation is the title of a panel: centred above it."""
    if note.get("xref") != "paper" or note.get("yref") != "paper":
        return False
    middle = sum(place.x) / 2
    return abs(note.get("x", -1) - middle) < 1e-3 and abs(note.get("y", -1) - place.y[1]) < 1e-3


def _bars(figure: go.Figure) -> tuple[dict[str, int], int]:
    """Place the colour bars above the lower edge, in pixels, and add up the room they take."""
    shown = [axis for axis in figure.select_coloraxes() if axis.showscale is not False]
    return {axis.plotly_name: k * _BAR + 8 for k, axis in enumerate(shown)}, len(shown) * _BAR


def _bar_at(y: float) -> Fields:
    """Lay a colour bar below the panels, of whose height ``y`` is a part."""
    lying = {"orientation": "h", "thickness": 12, "x": 0.5, "xanchor": "center", "len": 0.9}
    lying |= {"yref": "paper", "y": y, "yanchor": "bottom"}
    return {"colorbar": lying | {"title": {"side": "top"}}}


def _names(figure: go.Figure) -> list[str]:
    """List the names in the legend; a page of one line has none."""
    if figure.layout.showlegend is False:
        return []
    shown = [str(t.name) for t in figure.data if t.name and t.showlegend is not False]
    return shown if len(shown) > 1 else []


def _key(anchor: str) -> str:
    """Name the axis ``y2`` as the layout does: ``yaxis2``."""
    return f"{anchor[0]}axis{anchor[1:]}"


def _whole(domain: Any) -> tuple[float, float]:
    return (float(domain[0]), float(domain[1])) if domain else (0.0, 1.0)
