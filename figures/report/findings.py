"""Say what a figure shows of these runs: where its lines end, or what its panels' titles count."""

from collections.abc import Iterator

import numpy as np

from figures.charts.lines import Chart
from figures.charts.panel import Line, Panel
from figures.output import Drawing

_TRAINING = ("epoch", "step")
_MOST = 4  # panels that are spoken of
_LONG = 24  # characters of a label that are too many for a sentence


def finding(drawing: Drawing) -> str:
    """Say what a figure shows of these runs; empty where it counts nothing.

    Args:
        drawing: the figure, with its names as they are.
    """
    own = getattr(drawing, "finding", "")
    if isinstance(own, str) and own:
        return own
    every = _of_chart(drawing) if isinstance(drawing, Chart) else _of_titles(drawing)
    found = list(dict.fromkeys(every))
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(found[:_MOST]) + more


def _of_chart(chart: Chart) -> Iterator[str]:
    """Quote what a title says below its name, or name the lines that end highest and lowest."""
    units = {label for panel in chart.panels if (label := panel.x.label) in _TRAINING}
    for row in chart.rows:
        for c, panel in enumerate(row):
            head, said = _parts(panel.title or chart.rows[0][c].title)
            if said:
                yield f"{head or _parts(row[0].title)[0]}: {said}"
            elif len(units) == 1:
                quantity = (panel.y.label or row[0].y.label).partition("\n")[0]
                several = len(row) > 1 or len({r[0].y.label for r in chart.rows}) > 1
                names = [head, quantity if several and len(quantity) <= _LONG else ""]
                name = ", ".join(filter(None, names))
                ends = _ends(panel, *units)
                if ends:
                    yield f"{name}: {ends}" if name else ends


def _parts(title: str) -> tuple[str, str]:
    """Part the name in a panel's title from what is said below it; a sentence has no name."""
    head, _, below = title.partition("\n")
    if head.endswith(","):  # a sentence in two lines
        return "", " ".join(title.split())
    return head, "; ".join(" ".join(line.split()).rstrip(";") for line in below.splitlines())


def _ends(panel: Panel, unit: str) -> str:
    """Compare where the lines of a panel end, if they end together."""
    lines = [line for line in panel.lines if _counts(line)]
    last = max((float(line.x[-1]) for line in lines), default=0.0)
    ends = {line.label: float(line.y[-1]) for line in lines if float(line.x[-1]) == last}
    known = {label: value for label, value in ends.items() if np.isfinite(value)}
    if len(known) == 1:
        ((label, value),) = known.items()
        return f"at {unit} {last:g} {label} is at {value:.3g}"
    if not known:
        return ""
    high, low = (choose(known, key=lambda label: known[label]) for choose in (max, min))
    most, least = (f"{known[label]:.3g}" for label in (high, low))
    if most == least:
        return f"at {unit} {last:g} all are {most}"
    return f"at {unit} {last:g} {high} is highest ({most}), {low} lowest ({least})"


def _counts(line: Line) -> bool:
    """Tell whether a line is numbers over numbers, and no level to read them against."""
    numeric = all(np.asarray(side).dtype.kind in "fiu" for side in (line.x, line.y))
    return numeric and line.joined and not line.across and len(line.x) > 0 and line.key == "both"


def _of_titles(drawing: Drawing) -> Iterator[str]:
    for panel in getattr(drawing, "panels", ()):
        title = getattr(panel, "title", "")
        if not isinstance(title, str):
            continue
        head, below = _parts(title)
        said = " ".join(getattr(panel, "summary", "").split()) or below
        if said:
            yield f"{head}: {said}"
