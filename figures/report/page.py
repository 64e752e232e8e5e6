"""Write all figures and numbers of some runs on one page, which opens without a network.

A folder of two files, ``index.html`` and the plotting library it loads, ``plotly.min.js``; or of
one that holds the library.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from figures.catalogue import FIGURES, read_both, read_figure
from figures.output import Drawing
from figures.pages.about import command, facts
from figures.pages.html import facts_html, page_html, plot_part, table_html, write_library
from figures.report.conclusion import conclusions
from figures.report.findings import finding
from figures.report.rows import HEADINGS, Origin, any_best, origin, summary_rows
from figures.report.tables import tables_html
from figures.request import Request
from landscape.results import InputError
from landscape.results.atomic import atomic_write
from landscape.results.checkpoint_names import ordered, short, spelled
from landscape.results.remedy import remedy
from landscape.results.table import typeset

_NOTHING = "No run has a spectrum of its classes yet"
_BRACKETS = "λ as a bracket: its inner value is proved, its outer one holds with 99 %."
_BEST = " The best epoch is chosen on the test set, as the papers do; the last is not chosen."


@dataclass(frozen=True)
class Section:
    """A figure of the report."""

    kind: str
    title: str
    about: str
    html: str


def write_report(request: Request, folder: Path, *, embed: bool = False) -> list[Path]:
    """Write the report of some runs.

    Args:
        request: the runs, and the checkpoint of figures that show one.
        folder: to write to; created if needed.
        embed: write the library into the page, not beside it.

    Returns:
        The page, and the library where it is a file.

    Raises:
        InputError: there is no run, one of them cannot be read, or some lack the checkpoint.
    """
    if not request.runs:
        raise InputError("give the runs to report: tailscape report RUN [RUN…]")
    _check_checkpoint(request)
    sections, missing = _sections(request)
    origins = [origin(run) for run in request.runs]
    head, *body = _page(request, sections, missing, origins, folder)
    library = [] if embed else [write_library(folder)]
    atomic_write(folder / "index.html", page_html(head, body, embed=embed))
    return [folder / "index.html", *library]


def _check_checkpoint(request: Request) -> None:
    """Check that every run has a result of the checkpoint asked for.

    Raises:
        InputError: some have none; the message lists those that all have.
    """
    if request.checkpoint == "last":
        return
    stored = [
        {path.stem for path in (run.path / "results").glob("*/[!.]*.h5")} for run in request.runs
    ]
    lacking = [
        run
        for run, names in zip(request.runs, stored, strict=True)
        if spelled(request.checkpoint, names) not in names
    ]
    if not lacking:
        return
    common = ", ".join(map(short, ordered(set.intersection(*stored)))) or "none"
    if len(lacking) == len(stored):
        of = "there is no result"
    else:
        of = f"{', '.join(repr(run.name) for run in lacking)} has no result"
    raise InputError(
        f"{of} of checkpoint '{request.checkpoint}'; "
        f"{'those with results' if len(stored) == 1 else 'all runs have results of'}: {common}; "
        f"{remedy(lacking[0].path, 'spectrum', request.checkpoint)}"
    )


def _sections(request: Request) -> tuple[list[Section], dict[str, str]]:
    """Draw every kind; collect the errors of the kinds that cannot be drawn of all runs."""
    sections, missing = [], {}
    for kind in FIGURES:
        try:
            sections.append(_section(kind, *read_both(kind, request)))
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
        return _section(kind, *read_both(kind, replace(request, runs=tuple(able))))
    except InputError:
        return None


def _section(kind: str, drawing: Drawing, on_page: Drawing) -> Section:
    """Turn a figure into a section; its title becomes the heading."""
    part, numbers = plot_part(on_page.page(), kind), drawing.numbers()
    found = typeset(finding(drawing))
    said = [found, "" if found and found in part.note else part.note]
    about = "; ".join(filter(None, said)) or FIGURES[kind].summary
    below = "" if numbers is None else table_html(numbers)
    return Section(kind, part.title, about, part.html + below)


def _page(
    request: Request,
    sections: Sequence[Section],
    missing: dict[str, str],
    origins: Sequence[Origin],
    folder: Path,
) -> list[str]:
    """Write the window's title, and the parts of the page."""
    rows, sentences = summary_rows(request), conclusions(request) or [_NOTHING]
    drawn = [section.kind for section in sections]
    places = ["tables", *drawn, *(["missing"] if missing else []), "provenance"]
    best = _BEST if any_best(request) else ""
    links = "".join(f'<a href="#{place}">{place}</a>' for place in places)
    body = [
        "<h1>Tailscape report</h1>",
        facts_html(_facts(request, folder)),
        '<section id="conclusion"><h2>What it found</h2>',
        *(f"<p>{escape(typeset(sentence))}.</p>" for sentence in sentences),
        "</section>",
        _table(HEADINGS, rows),
        f'<p class="dim">{_BRACKETS}{best}</p>',
        f"<nav>{links}</nav>",
        tables_html(request),
        *map(_section_html, sections),
        _missing_html(missing),
        _origins_html(origins),
    ]
    return [f"Tailscape: {', '.join(row[0] for row in rows)}", *body]


def _facts(request: Request, folder: Path) -> list[tuple[str, str]]:
    paths = [run.path for run in request.runs]
    asked = command("", paths, request, verb="report", out=folder)
    return [("command", asked), *facts("", request)[:2], facts("", request)[-1]]


def _section_html(section: Section) -> str:
    return (
        f'<section id="{section.kind}"><h2>{escape(section.title)}</h2>'
        f'<p class="dim">{escape(section.about)}</p>{section.html}</section>'
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
        f"<tr>{''.join(f'<td>{escape(typeset(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
