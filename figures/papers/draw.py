"""Draw a figure of a paper from the runs that it shows: ``tailscape figure paper:NAME``.

Runs are told by their method; where runs or results are missing, the message gives the commands
that make them.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from figures.catalogue import read_both
from figures.output import paper_style
from figures.pages.about import command, facts
from figures.pages.write import write_pictures
from figures.papers.catalogue import PAPER_FIGURES
from figures.papers.figure import PaperFigure
from figures.papers.selection import CandidateRun, Choice, choose, places, read_runs
from figures.papers.verdict import side_by_side
from figures.request import Request
from figures.runs.markup import page_text
from landscape.results import InputError, unknown

_OWN_OPTIONS = ("partial", "data")
_CHARACTERS = 20  # of a title's line to an inch
_LINE = 0.12  # height of such a line, inches


def draw_paper(name: str, request: Request, folder: Path, *, embed: bool = False) -> list[Path]:
    """Draw a figure of a paper.

    Args:
        name: such as ``saddle-2``.
        request: the runs to choose from; its checkpoint and scopes replace the figure's own, its
            options go to the kind, but for ``partial=yes``, which draws the runs there are, and
            ``data=given``, which takes the runs' data for the paper's.
        folder: to write to.
        embed: write the plotting library into the page, not beside it.

    Returns:
        Paths of ``paper-NAME`` as PDF, PNG and page.

    Raises:
        InputError: no such figure, or runs or results are lacking; the message gives the commands
            that make them.
    """
    if name not in PAPER_FIGURES:
        raise unknown("figure of a paper", name, PAPER_FIGURES)
    figure = PAPER_FIGURES[name]
    if request.checkpoint != "last" and not figure.over_time:
        shown = request.checkpoint
        figure = replace(figure, checkpoint=shown, checkpoints=shown)
    if request.scopes:
        figure = replace(figure, scopes=request.scopes)
    options = {n: v for n, v in request.options.items() if n not in _OWN_OPTIONS}
    figure = replace(figure, options={**figure.options, **options})
    given, data = read_runs(request.runs), request.option("data", ("paper", "given"))
    found = choose(figure, given, data=data)
    partial = request.option("partial", ("no", "yes")) == "yes"
    if found.lacking and not (partial and found.shown):
        raise InputError(_sentence(name, figure, found, given, request))
    asked = Request(tuple(found.shown), figure.checkpoint, figure.scopes, figure.options)
    title = f"{figure.title}: {figure.summary} ({found.place.label})"
    lines = [title, *side_by_side(figure.claim, asked)]
    about = facts(f"paper:{name}", replace(request, runs=asked.runs), folder)
    with paper_style():
        drawing, on_page = read_both(figure.kind, asked)
        drawn, page = drawing.fitted(), on_page.page()
        _write_above(drawn, lines)
        _, _, note = str(page.layout.title.text).partition("<br>")
        said = [*map(page_text, lines), *([note] if note else [])]
        page.update_layout(title_text="<br>".join(said))
        return write_pictures(drawn, page, f"paper-{name}", folder, about, embed=embed)


def _write_above(figure: Figure, sentences: Sequence[str]) -> None:
    """Write a title above a figure, which grows by its lines."""
    width = int(_CHARACTERS * figure.get_figwidth())
    lines = [line for one in sentences for line in textwrap.wrap(one, width)]
    figure.set_figheight(figure.get_figheight() + _LINE * len(lines))
    figure.suptitle("\n".join(lines), fontsize=6.5, color="0.35")


def _sentence(
    name: str, figure: PaperFigure, found: Choice, given: list[CandidateRun], request: Request
) -> str:
    folders = [*(str(one.run.path) for one in given), *found.coming]
    lines = [f"paper:{name} lacks what these commands make", *dict.fromkeys(found.lacking)]
    lines.append(f"  then: {command(f'paper:{name}', list(map(Path, folders)), request)}")
    if found.shown:
        count = len(found.shown)
        lines.append(f"  or with the {count} that there are: --options partial=yes")
    others = [place for place in places(figure, given) if not place.is_like(found.place)]
    if len(others) == 1:
        lines.append(f"  or on {others[0].label}, where runs are: --options data=given")
    return "\n".join(lines)
