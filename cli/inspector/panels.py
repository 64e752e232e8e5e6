"""From a view to pictures; what cannot be drawn becomes a sentence in its place."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from cli.inspector.checkpoint_names import epoch_of, epochs, words
from cli.inspector.library import Library
from cli.inspector.linking import link, mark_class, mark_epoch, settle
from cli.inspector.panel_catalogue import KINDS, Kind, asked
from cli.inspector.stored import StoredRun
from cli.inspector.view import View
from figures.runs.labels import scope_label
from landscape.errors import InputError
from landscape.results.spectrum import Spectrum

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """An analysis that would fill a place."""

    run: str
    recipe: str
    checkpoints: tuple[str, ...]  # or none, for the only one of a model trained elsewhere
    again: bool = False  # overwrite what is there
    command: str | None = None  # of a model trained elsewhere, to be typed: its code is not started


@dataclass(frozen=True)
class Cell:
    """One place of a panel: a picture, or the sentence that stands for it."""

    heading: str
    figure: go.Figure | None = None
    caption: str = ""
    sentence: str = ""
    offer: Offer | None = None


def cells(library: Library, view: View, panel: str) -> list[list[Cell]]:
    """Draw a panel.

    Args:
        library: the folder of runs.
        view: what to show.
        panel: a key of :data:`KINDS`.

    Returns:
        Rows of places, with a column a run; linked places stand in one row.
    """
    kind = KINDS[panel]
    if kind.joint:
        return [_joint(library, view, panel)]
    rows = []
    for scope in view.shown_scopes() if kind.scoped else ("",):
        row = [_single(library, view, panel, name, scope) for name in view.runs]
        link([cell.figure for cell in row if cell.figure is not None])
        rows.append(row)
    return rows


def checkpoint_in_view(library: Library, view: View, name: str) -> str:
    """Name the checkpoint of a run that is in view; one without epochs shows what it has.

    Raises:
        InputError: the run has none, or not the one that is asked for.
    """
    known = library.checkpoints(name)
    if not known:
        raise InputError("This run has no checkpoint yet.")
    trained = epochs(known)
    if not trained:
        return view.checkpoint if view.checkpoint in known else known[-1]
    if not view.checkpoint and view.epoch is None:
        return trained[-1]
    wanted = view.checkpoint or f"epoch_{view.epoch:04d}"
    if wanted not in known:
        held = ", ".join(str(n if epoch_of(n) is None else epoch_of(n)) for n in known)
        of = "of " if epoch_of(wanted) is not None else ""
        raise InputError(f"This run kept no checkpoint {of}{words(wanted)}; it kept {held}.")
    return wanted


def _single(library: Library, view: View, panel: str, name: str, scope: str) -> Cell:
    """Draw one run, and one scope of panels that have some."""
    kind, heading = KINDS[panel], name if name != "." else library.root.name
    try:
        _scope_words(library, name, scope)
    except InputError as error:
        return Cell(heading, sentence=_sentence(str(error)))

    def draw() -> Cell:
        checkpoint, missing = _present(library, view, panel, name)
        if missing is not None:
            return replace(missing, heading=heading)
        said = [heading, "" if kind.over_time else words(checkpoint)]
        run = library.run(name, shown="" if kind.over_time else checkpoint)
        shown = _held(run, checkpoint, scope) if panel == "spectrum" else scope
        said.append(_scope_words(library, name, shown))
        figure, caption = _figure(view, panel, (run,), checkpoint, (shown,) if shown else ())
        if shown != scope:
            caption = f"This result has no scope '{scope}'; its last scope is shown."
        return Cell(" · ".join(filter(None, said)), figure, caption)

    return _guarded(heading, draw, _again(library, view, panel, name))


def _joint(library: Library, view: View, panel: str) -> list[Cell]:
    """Draw the runs that have results together; the others are named."""
    kind = KINDS[panel]
    places, runs, names, checkpoints = [], [], [], []
    for name in view.runs:
        try:
            checkpoint, missing = _present(library, view, panel, name)
        except InputError as error:
            missing = Cell(name, sentence=str(error))
        if missing is not None:
            places.append(replace(missing, heading=name))
            continue
        run = library.run(name, shown="" if kind.over_time else checkpoint)
        readable = _guarded(name, _reader(run, kind, checkpoint), None)
        if readable.sentence:
            places.append(replace(readable, offer=_again(library, view, panel, name)()))
            continue
        names.append(name)
        runs.append(run)
        checkpoints.append(checkpoint)
    if runs:
        shown = checkpoints[0] if len(set(checkpoints)) == 1 else "last"
        heading = ", ".join(names)

        def draw() -> Cell:
            return Cell(heading, *_figure(view, panel, tuple(runs), shown, ()))

        places.insert(0, _guarded(heading, draw, None))
    return places


def _figure(
    view: View, panel: str, runs: tuple[StoredRun, ...], checkpoint: str, scopes: tuple[str, ...]
) -> tuple[go.Figure, str]:
    module, request = asked(view, panel, runs, checkpoint, scopes)
    figure = module.read(request).page()
    caption = settle(figure, KINDS[panel].height)
    if view.focus is not None:
        mark_class(figure, panel, view.focus)
    if view.epoch is not None and not view.checkpoint and KINDS[panel].over_time:
        mark_epoch(figure, view.epoch)
    return figure, caption


def _present(library: Library, view: View, panel: str, name: str) -> tuple[str, Cell | None]:
    """Name the checkpoint to show, or say that its result is missing."""
    kind, run = KINDS[panel], library.run(name)
    if kind.over_time:
        made = run.checkpoints(kind.record)
        return (made[-1], None) if made else ("", _without_epochs(library, kind, name))
    checkpoint, made = checkpoint_in_view(library, view, name), run.saved(kind.record)
    if checkpoint in made:
        return checkpoint, None
    sentence = f"No {_noun(kind)} of {words(checkpoint)} yet."
    if made:
        sentence += f" There is one of {', '.join(map(words, made[-5:]))}."
    return checkpoint, Cell(name, sentence=sentence, offer=_offer(library, kind, name, checkpoint))


def _without_epochs(library: Library, kind: Kind, name: str) -> Cell:
    command = library.outside_command(name)
    if command is not None and not epochs(library.checkpoints(name)):
        sentence = f"No {_noun(kind)} over epochs: this model came without any."
        return Cell(name, sentence=sentence)
    sentence = f"No {_noun(kind)} of any checkpoint yet."
    return Cell(name, sentence=sentence, offer=Offer(name, kind.recipe, ("all",), command=command))


def _offer(library: Library, kind: Kind, name: str, checkpoint: str) -> Offer | None:
    """Offer an analysis of a checkpoint: to type it, or to start it where its weights were kept."""
    again = checkpoint in library.run(name).saved(kind.record)
    command = library.outside_command(name)
    if command is not None:
        several = len(library.checkpoints(name)) > 1
        return Offer(name, kind.recipe, (checkpoint,) if several else (), again, command)
    if not (library.path(name) / "checkpoints" / f"{checkpoint}.pt").is_file():
        return None
    return Offer(name, kind.recipe, (checkpoint,), again)


def _again(library: Library, view: View, panel: str, name: str) -> Callable[[], Offer | None]:
    """Offer to redo a result that cannot be drawn; made only when it is needed."""

    def offer() -> Offer | None:
        try:
            checkpoint = checkpoint_in_view(library, view, name)
            return _offer(library, KINDS[panel], name, checkpoint)
        except InputError:
            return None

    return offer


def _guarded(
    heading: str, draw: Callable[[], Cell], offer: Callable[[], Offer | None] | None
) -> Cell:
    """Draw, or say why not: one panel's failure must not take the others along."""
    try:
        return draw()
    except InputError as error:
        sentence = str(error)
    except Exception as error:
        _LOG.exception("a panel of %s failed", heading)
        sentence = f"This could not be drawn ({type(error).__name__}: {error})"
    return Cell(heading, sentence=_sentence(sentence), offer=None if offer is None else offer())


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _reader(run: StoredRun, kind: Kind, checkpoint: str) -> Callable[[], Cell]:
    def read() -> Cell:
        run.load(kind.record, checkpoint)
        return Cell(run.name)

    return read


def _noun(kind: Kind) -> str:
    nouns = {"Gradients": "class gradients", "Features": "features", "Accuracy": "accuracy"}
    return nouns.get(kind.record.__name__, kind.record.__name__.lower())


def _held(run: StoredRun, checkpoint: str, scope: str) -> str:
    """The scope, or the last that a spectrum holds where nobody asked for all classes together."""
    names = [str(name) for name in run.load(Spectrum, checkpoint)[0].scope]
    return names[-1] if scope == "overall" and scope not in names and names else scope


def _scope_words(library: Library, name: str, scope: str) -> str:
    """Name a scope for people.

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
