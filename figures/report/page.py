"""Write all figures and numbers of some runs on one page, which opens without a network.

A folder of two files: ``index.html`` and the plotting library it loads, ``plotly.min.js``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from figures.catalogue import FIGURES, read_figure
from figures.output import OFFLINE, screen_style
from figures.report.conclusion import conclusions
from figures.report.rows import HEADINGS, Origin, origin, summary_rows
from figures.request import Request
from landscape.results import InputError
from landscape.results.atomic import atomic_write

_LIBRARY = "plotly.min.js"
_TOP, _HEIGHT = 100, 450  # pixels, where a figure leaves them to the library
_TITLE = 50  # pixels that a figure keeps for its title
_PANEL = 330  # least width of a panel in pixels; narrower screens scroll sideways
_CONFIG = OFFLINE | {"responsive": True}


@dataclass(frozen=True)
class Section:
    """A figure of the report."""

    kind: str
    title: str
    note: str
    drawing: str  # HTML
    width: int  # least, in pixels


def write_report(request: Request, folder: Path) -> list[Path]:
    """Write the report of some runs.

    Args:
        request: the runs, and the checkpoint of figures that show one.
        folder: to write to; created if needed.

    Returns:
        The page and the library.

    Raises:
        InputError: there is no run, or one of them cannot be read.
    """
    if not request.runs:
        raise InputError("give the runs to report: tailscape report RUN [RUN…]")
    sections, missing = _sections(request)
    origins = [origin(run) for run in request.runs]
    page = _page(summary_rows(request), conclusions(request), sections, missing, origins)
    paths = [folder / "index.html", folder / _LIBRARY]
    atomic_write(paths[1], get_plotlyjs())
    atomic_write(paths[0], page)
    return paths


def _sections(request: Request) -> tuple[list[Section], dict[str, str]]:
    """Draw every kind; collect the errors of the kinds that cannot be drawn of all runs."""
    sections, missing = [], {}
    for kind in FIGURES:
        try:
            sections.append(_section(kind, read_figure(kind, request).page()))
        except InputError as error:
            missing[kind] = str(error)
            part = _drawable(kind, request)
            if part is not None:
                sections.append(part)
    return sections, missing


def _drawable(kind: str, request: Request) -> Section | None:
    """Draw a kind of the runs that have its results; ``None`` if no run has."""
    able = []
    for run in request.runs:
        try:
            read_figure(kind, replace(request, runs=(run,)))
        except InputError:
            continue
        able.append(run)
    if not able:
        return None
    try:
        return _section(kind, read_figure(kind, replace(request, runs=tuple(able))).page())
    except InputError:
        return None


def _section(kind: str, figure: go.Figure) -> Section:
    """Turn a figure into a section; its title becomes the heading, its legend goes below."""
    layout = figure.layout
    title, _, note = str(layout.title.text or kind).partition("<br>")
    top = (layout.margin.t or _TOP) - _TITLE
    below = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    screen_style(figure).update_layout(title=None)
    figure.update_layout(legend=below, margin_t=top, height=(layout.height or _HEIGHT) - _TITLE)
    drawing = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=f"figure-{kind}", config=_CONFIG
    )
    note = note.replace("<br>", ", ").removeprefix("<sup>").removesuffix("</sup>")
    width = max(_PANEL * _columns(figure), layout.width or 0)
    return Section(kind, title, note, drawing, width)


def _columns(figure: go.Figure) -> int:
    """Count the panels that stand side by side."""
    axes = [*figure.select_xaxes(), *figure.select_scenes()]
    domains = (axis.domain.x if axis.plotly_name == "scene" else axis.domain for axis in axes)
    return max(len({round(domain[0], 3) if domain else 0.0 for domain in domains}), 1)


def _page(
    rows: Sequence[Sequence[str]],
    sentences: Sequence[str],
    sections: Sequence[Section],
    missing: dict[str, str],
    origins: Sequence[Origin],
) -> str:
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    count = f"{len(rows)} run{'s' if len(rows) > 1 else ''}"
    places = [*(s.kind for s in sections), *(["missing"] if missing else []), "provenance"]
    links = "".join(f'<a href="#{place}">{place}</a>' for place in places)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Tailscape: {escape(', '.join(row[0] for row in rows))}</title>",
            f"<style>{style}</style>",
            f'<script src="{_LIBRARY}" charset="utf-8"></script>',
            "</head><body>",
            f'<h1>Tailscape report</h1><p class="dim">{count}; λ as a bracket: its inner value is '
            "proved, its outer one holds with 99 %. The best epoch is chosen on the test set, as "
            "the papers do; the last is not chosen.</p>",
            *(f"<p>{escape(sentence)}.</p>" for sentence in sentences),
            _table(HEADINGS, rows),
            f"<nav>{links}</nav>",
            *map(_section_html, sections),
            _missing_html(missing),
            _origins_html(origins),
            "</body></html>\n",
        ]
    )


def _section_html(section: Section) -> str:
    about = FIGURES[section.kind].summary + (f" ({section.note})" if section.note else "")
    return (
        f'<section id="{section.kind}"><h2>{escape(section.title)}</h2>'
        f'<p class="dim">{escape(about)}</p>'
        f'<div class="wide"><div style="min-width:{section.width}px">{section.drawing}</div></div>'
        "</section>"
    )


def _missing_html(missing: dict[str, str]) -> str:
    if not missing:
        return ""
    items = "".join(
        f"<li><code>{escape(kind)}</code>: {escape(sentence)}</li>"
        for kind, sentence in missing.items()
    )
    return f'<section id="missing"><h2>Not drawn of all runs</h2><ul>{items}</ul></section>'


def _origins_html(origins: Sequence[Origin]) -> str:
    runs = "".join(map(_origin_html, origins))
    return (
        '<section id="provenance"><h2>Provenance</h2><details><summary>Versions, hashes and '
        f"settings</summary>{runs}</details></section>"
    )


def _origin_html(found: Origin) -> str:
    trained = [(name, _text(value)) for name, value in found.trained.items()]
    names = list(found.results[0]) if found.results else []
    rows = [[_text(result[name]) for name in names] for result in found.results]
    plan = escape(json.dumps(found.plan, indent=2, ensure_ascii=False))
    return (
        f"<details open><summary><b>{escape(found.name)}</b></summary>"
        f"{_table(('trained', ''), trained) if trained else ''}"
        f"{_table(names, rows) if rows else ''}"
        f"<details><summary>settings</summary><pre>{plan}</pre></details></details>"
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
