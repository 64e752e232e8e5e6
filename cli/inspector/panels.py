"""From a view to pictures; a picture that cannot be drawn is replaced by a sentence."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import plotly.graph_objects as go

from cli.inspector.library import Library
from cli.inspector.linking import colour_runs, fit_to_page, link_axes, mark_class, mark_epoch
from cli.inspector.panel_catalogue import PANELS, PanelKind
from cli.inspector.panel_figures import figure_request
from cli.inspector.stored import StoredRun
from cli.inspector.view import View
from figures.catalogue import FIGURES
from figures.charts.panel import colour
from figures.output import typeset_page
from figures.runs.labels import scope_label
from landscape.errors import InputError
from landscape.results.checkpoint_names import (
    checkpoint_label,
    counted,
    course,
    number_of,
    numbered,
    unit_of,
)
from landscape.results.spectrum import Spectrum

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """An analysis that would compute the result of a cell."""

    run: str
    recipe: str
    checkpoints: tuple[str, ...]  # empty for the only checkpoint of an external model
    again: bool = False  # overwrite the existing result
    command: str | None = None  # to type, of an external model: its code is not started here


@dataclass(frozen=True)
class Cell:
    """A cell of a panel: a picture, or a sentence in its place."""

    heading: str
    figure: go.Figure | None = None
    colour: str = ""  # of the run; none where several are drawn together
    caption: str = ""
    sentence: str = ""
    offer: Offer | None = None


def cells(library: Library, view: View, panel: str) -> list[list[Cell]]:
    """Draw a panel.

    Args:
        library: the folder of runs.
        view: the view to draw.
        panel: a key of :data:`PANELS`.

    Returns:
        Rows of cells, with one column a run; the axes of a row are linked.
    """
    kind = PANELS[panel]
    if kind.joint:
        return [_joint(library, view, panel)]
    rows = []
    for scope in view.shown_scopes() if kind.scoped else ("",):
        row = [_single(library, view, panel, name, scope) for name in view.runs]
        link_axes([cell.figure for cell in row if cell.figure is not None])
        rows.append(row)
    return rows


def checkpoint_in_view(library: Library, view: View, name: str) -> str:
    """Find the checkpoint of a run that is in view; a run without a course shows the one it has.

    Raises:
        InputError: the run has none, or not the requested one.
    """
    known = library.checkpoints(name)
    if not known:
        raise InputError("This run has no checkpoint yet.")
    trained = course(known)
    if not trained:
        return view.checkpoint if view.checkpoint in known else known[-1]
    if not view.checkpoint and view.epoch is None:
        return trained[-1]
    wanted = view.checkpoint or numbered(unit_of(trained[0]), view.epoch or 0)
    if wanted not in known:
        held = ", ".join(str(number_of(n)) if n in trained else checkpoint_label(n) for n in known)
        of = "of " if counted(wanted) else ""
        raise InputError(
            f"This run kept no checkpoint {of}{checkpoint_label(wanted)}; it kept {held}."
        )
    return wanted


def _single(library: Library, view: View, panel: str, name: str, scope: str) -> Cell:
    """Draw one run, and one scope if the panel has scopes."""
    kind, heading = PANELS[panel], name if name != "." else library.root.name
    try:
        _scope_label(library, name, scope)
    except InputError as error:
        return Cell(heading, sentence=_capitalise(str(error)))

    def draw() -> Cell:
        checkpoint, missing = _find_result(library, view, panel, name)
        if missing is not None:
            return replace(missing, heading=heading)
        parts = [heading, "" if kind.over_time else checkpoint_label(checkpoint)]
        run = library.run(name, shown="" if kind.over_time else checkpoint)
        shown = _available_scope(run, checkpoint, scope) if panel == "spectrum" else scope
        parts.append(_scope_label(library, name, shown))
        figure, caption = _figure(library, view, panel, {name: run}, checkpoint, shown)
        if shown != scope:
            caption = f"This result has no scope '{scope}'; its last scope is shown."
        offer = _offer_lacking(library, name) if panel == "nonconvexity" else None
        return Cell(" · ".join(filter(None, parts)), figure, caption=caption, offer=offer)

    cell = _draw_safely(heading, draw, partial(_offer_again, library, view, panel, name))
    return replace(cell, colour=colour(view.runs.index(name)))


def _joint(library: Library, view: View, panel: str) -> list[Cell]:
    """Draw the runs that have the result together; each of the others has a sentence."""
    kind = PANELS[panel]
    cells: list[Cell] = []
    found: dict[str, tuple[StoredRun, str]] = {}  # run and checkpoint by name
    for name in view.runs:
        try:
            checkpoint, missing = _find_result(library, view, panel, name)
        except InputError as error:
            missing = Cell(name, sentence=str(error))
        if missing is not None:
            cells.append(replace(missing, heading=name))
            continue
        run = library.run(name, shown="" if kind.over_time else checkpoint)
        offer = partial(_offer_again, library, view, panel, name)
        cell = _draw_safely(name, partial(_check_readable, run, kind, checkpoint), offer)
        if cell.sentence:
            cells.append(cell)
        else:
            found[name] = run, checkpoint
    if found:
        runs = {name: run for name, (run, _) in found.items()}
        checkpoints = {checkpoint for _, checkpoint in found.values()}
        shown = checkpoints.pop() if len(checkpoints) == 1 else "last"
        heading = ", ".join(found)

        def draw() -> Cell:
            figure, caption = _figure(library, view, panel, runs, shown)
            return Cell(heading, figure, caption=caption)

        cells.insert(0, _draw_safely(heading, draw, None))
    return cells


def _figure(
    library: Library,
    view: View,
    panel: str,
    runs: dict[str, StoredRun],
    checkpoint: str,
    scope: str = "",
) -> tuple[go.Figure, str]:
    kind, scopes = PANELS[panel], (scope,) if scope else ()
    if view.focus is not None and kind.over_time and kind.record is Spectrum:
        scopes = scopes or ("classes",)
    module, request = figure_request(view, panel, tuple(runs.values()), checkpoint, scopes)
    played = _played(library, view, panel, scope)
    if checkpoint in played:
        others = tuple(library.run(name) for name in view.runs if name not in runs)
        request = replace(request, over=played, beside=others)
    figure = module.read(request).page()
    if kind.by_run:
        figure = colour_runs(figure, [view.runs.index(name) for name in runs])
    caption = fit_to_page(typeset_page(figure), kind.height)
    if view.focus is not None:
        mark_class(figure, panel, view.focus)
    if view.epoch is not None and not view.checkpoint and kind.over_time and not kind.whole:
        mark_epoch(figure, view.epoch)
    return figure, caption


def _played(library: Library, view: View, panel: str, scope: str) -> tuple[str, ...]:
    """List the checkpoints that all runs have results of: their scales are the same over a play."""
    kind = PANELS[panel]
    if kind.over_time or view.checkpoint or not FIGURES[kind.figure.replace("_", "-")].animates:
        return ()
    stored = [set(library.run(name).checkpoints(kind.record)) for name in view.runs]
    common = sorted(set.intersection(*stored))
    if kind.record is Spectrum:
        common = [
            name
            for name in common
            if all(scope in library.run(run).load(Spectrum, name)[0].scope for run in view.runs)
        ]
    return tuple(common)


def _offer_lacking(library: Library, name: str) -> Offer | None:
    """Offer the spectra of the checkpoints that lack scopes which others have."""
    run = library.run(name)
    known = {c: {str(s) for s in run.load(Spectrum, c)[0].scope} for c in run.checkpoints(Spectrum)}
    every = set().union(*known.values())
    lacking = tuple(checkpoint for checkpoint, scopes in known.items() if scopes < every)
    if not lacking or library.external_command(name) is not None:
        return None
    return Offer(name, "spectrum", lacking, again=True)


def _find_result(library: Library, view: View, panel: str, name: str) -> tuple[str, Cell | None]:
    """Find the checkpoint to show, and a cell that reports a missing result."""
    kind, run = PANELS[panel], library.run(name)
    if kind.whole:
        sentence = "No recording of this training; landscape.Recorder measures inside a loop."
        return "last", None if run.saved(kind.record) else Cell(name, sentence=sentence)
    if kind.over_time:
        saved = run.checkpoints(kind.record)
        return (saved[-1], None) if saved else ("", _without_course(library, kind, name))
    checkpoint, saved = checkpoint_in_view(library, view, name), run.saved(kind.record)
    if checkpoint in saved:
        return checkpoint, None
    sentence = f"No {_result_name(kind)} of {checkpoint_label(checkpoint)} yet."
    if saved:
        sentence += f" There is one of {', '.join(map(checkpoint_label, saved[-5:]))}."
    return checkpoint, Cell(name, sentence=sentence, offer=_offer(library, kind, name, checkpoint))


def _without_course(library: Library, kind: PanelKind, name: str) -> Cell:
    command = library.external_command(name)
    if command is not None and not course(library.checkpoints(name)):
        sentence = (
            f"No {_result_name(kind)} over training: the names of this model's checkpoints say no "
            "epoch or step."
        )
        return Cell(name, sentence=sentence)
    sentence = f"No {_result_name(kind)} of any checkpoint yet."
    return Cell(name, sentence=sentence, offer=Offer(name, kind.recipe, ("all",), command=command))


def _offer(library: Library, kind: PanelKind, name: str, checkpoint: str) -> Offer | None:
    """Offer an analysis of a checkpoint: as a command, or as a job if its weights are stored."""
    again = checkpoint in library.run(name).saved(kind.record)
    command = library.external_command(name)
    if command is not None:
        several = len(library.checkpoints(name)) > 1
        return Offer(name, kind.recipe, (checkpoint,) if several else (), again, command)
    if not (library.path(name) / "checkpoints" / f"{checkpoint}.pt").is_file():
        return None
    return Offer(name, kind.recipe, (checkpoint,), again)


def _offer_again(library: Library, view: View, panel: str, name: str) -> Offer | None:
    """Offer to recompute a result that cannot be drawn."""
    try:
        return _offer(library, PANELS[panel], name, checkpoint_in_view(library, view, name))
    except InputError:
        return None


def _draw_safely(
    heading: str, draw: Callable[[], Cell], offer: Callable[[], Offer | None] | None
) -> Cell:
    """Draw, or report why not: the failure of one panel must not affect the others."""
    try:
        return draw()
    except InputError as error:
        sentence = str(error)
    except Exception as error:
        _LOG.exception("a panel of %s failed", heading)
        sentence = f"This could not be drawn ({type(error).__name__}: {error})"
    return Cell(heading, sentence=_capitalise(sentence), offer=None if offer is None else offer())


def _capitalise(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _check_readable(run: StoredRun, kind: PanelKind, checkpoint: str) -> Cell:
    run.load(kind.record, checkpoint)
    return Cell(run.name)


def _result_name(kind: PanelKind) -> str:
    nouns = {"gradients": "class gradients"}
    name: str = kind.record.analysis_name()
    return nouns.get(name, name.replace("_", " "))


def _available_scope(run: StoredRun, checkpoint: str, scope: str) -> str:
    """Select the scope, or the last one of a spectrum that was computed without ``overall``."""
    names = [str(name) for name in run.load(Spectrum, checkpoint)[0].scope]
    return names[-1] if scope == "overall" and scope not in names and names else scope


def _scope_label(library: Library, name: str, scope: str) -> str:
    """Write a scope for readers.

    Raises:
        InputError: the run has no such class.
    """
    try:
        return scope_label(scope, library.config(name)) if scope else ""
    except (IndexError, KeyError):
        count = len(library.config(name).get("class_names", ()))
        raise InputError(
            f"this run has no {scope.replace('/', ' ')}; it has {count} classes"
        ) from None
