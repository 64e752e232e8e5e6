"""From a view to pictures; what cannot be drawn becomes a sentence in its place."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from cli.inspector.follow import link, mark_class, mark_epoch, settle
from cli.inspector.kinds import KINDS, Kind, asked
from cli.inspector.library import Library
from cli.inspector.state import View
from cli.inspector.stored import StoredRun
from figures.runs import scope_label
from landscape.errors import InputError
from landscape.results import Spectrum

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """An analysis that would fill a place."""

    run: str
    recipe: str
    checkpoints: tuple[str, ...]
    again: bool = False  # overwrite what is there


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
    """Name the checkpoint of a run that is in view.

    Raises:
        InputError: the run has none, or none of this epoch.
    """
    known = library.checkpoints(name)
    if not known:
        raise InputError("This run has no checkpoint yet.")
    if view.epoch is None:
        return known[-1]
    wanted = f"epoch_{view.epoch:04d}"
    if wanted not in known:
        epochs = ", ".join(str(int(n.removeprefix("epoch_"))) for n in known)
        raise InputError(f"This run kept no checkpoint of epoch {view.epoch}; it kept {epochs}.")
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
        words = [heading, "" if kind.over_time else _epoch(checkpoint)]
        run = library.run(name)
        shown = _held(run, checkpoint, scope) if panel == "spectrum" else scope
        words.append(_scope_words(library, name, shown))
        figure, caption = _figure(view, panel, (run,), checkpoint, (shown,) if shown else ())
        if shown != scope:
            caption = f"This result has no scope '{scope}'; its last scope is shown."
        return Cell(" · ".join(filter(None, words)), figure, caption)

    return _guarded(heading, draw, _again(library, view, panel, name))


def _joint(library: Library, view: View, panel: str) -> list[Cell]:
    """Draw the runs that have results together; the others are named."""
    places, runs, names, checkpoints = [], [], [], []
    for name in view.runs:
        try:
            checkpoint, missing = _present(library, view, panel, name)
        except InputError as error:
            missing = Cell(name, sentence=str(error))
        if missing is not None:
            places.append(replace(missing, heading=name))
            continue
        readable = _guarded(name, _reader(library.run(name), KINDS[panel], checkpoint), None)
        if readable.sentence:
            places.append(replace(readable, offer=_again(library, view, panel, name)()))
            continue
        names.append(name)
        runs.append(library.run(name))
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
    figure = module.page(request)
    caption = settle(figure, KINDS[panel].height)
    if view.focus is not None:
        mark_class(figure, panel, view.focus)
    if view.epoch is not None and KINDS[panel].over_time:
        mark_epoch(figure, view.epoch)
    return figure, caption


def _present(library: Library, view: View, panel: str, name: str) -> tuple[str, Cell | None]:
    """Name the checkpoint to show, or say that its result is missing."""
    kind, run = KINDS[panel], library.run(name)
    made = run.checkpoints(kind.record)
    if kind.over_time:
        if made:
            return made[-1], None
        sentence = f"No {_noun(kind)} of any checkpoint yet."
        return "", Cell(name, sentence=sentence, offer=Offer(name, kind.recipe, ("all",)))
    checkpoint = checkpoint_in_view(library, view, name)
    if checkpoint in made:
        return checkpoint, None
    sentence = f"No {_noun(kind)} of {_epoch(checkpoint)} yet."
    if made:
        sentence += f" There is one of {', '.join(map(_epoch, made[-5:]))}."
    offer = Offer(name, kind.recipe, (checkpoint,)) if _kept(run, checkpoint) else None
    return checkpoint, Cell(name, sentence=sentence, offer=offer)


def _again(library: Library, view: View, panel: str, name: str) -> Callable[[], Offer | None]:
    """Offer to redo a result that cannot be drawn; made only when it is needed."""

    def offer() -> Offer | None:
        try:
            run, kind = library.run(name), KINDS[panel]
            checkpoint = checkpoint_in_view(library, view, name)
        except InputError:
            return None
        made = checkpoint in run.checkpoints(kind.record)
        return (
            Offer(name, kind.recipe, (checkpoint,), again=made) if _kept(run, checkpoint) else None
        )

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


def _kept(run: StoredRun, checkpoint: str) -> bool:
    return (run.path / "checkpoints" / f"{checkpoint}.pt").is_file()


def _epoch(checkpoint: str) -> str:
    return f"epoch {int(checkpoint.removeprefix('epoch_'))}"


def _noun(kind: Kind) -> str:
    words = {"Gradients": "class gradients", "Features": "features", "Accuracy": "accuracy"}
    return words.get(kind.record.__name__, kind.record.__name__.lower())


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
