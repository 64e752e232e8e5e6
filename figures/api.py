"""Draw figures of records in memory, of result files and of run folders: the Python API."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures.catalogue import FIGURES, FigureKind, read_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.in_memory import InMemoryResults
from landscape.results import InputError, unknown
from landscape.results.checkpoint_names import counted
from landscape.results.result import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

OneResult = Result | str | Path
Given = OneResult | Sequence[OneResult] | Mapping[int, OneResult | Sequence[OneResult]]


def draw(
    kind: str,
    *results: Given,
    scopes: str | Sequence[str] = (),
    checkpoint: str | int = "last",
    **options: Any,
) -> "Figure":
    """Draw a figure for paper.

    Args:
        kind: name of the figure, such as ``spectrum``; see :data:`figures.catalogue.FIGURES`.
        results: one a model, drawn side by side: a record with its provenance, the path of a result
            file or of a run folder, a sequence of records of one model, or a mapping from epochs to
            them for figures over training.
        scopes: to show, such as ``("overall", "class/9")``. Default: the figure's own choice.
        checkpoint: of figures that show one: ``last``, ``best`` or an epoch.
        options: the figure's own, such as ``view="3d"``.

    Returns:
        A :class:`matplotlib.figure.Figure`, known to no window; a notebook shows it, and
        ``savefig`` writes it.

    Raises:
        InputError: an unknown figure, or results without the analysis it shows.
    """
    import matplotlib.pyplot as plt

    from figures.output import paper_style

    drawing = read_figure(kind, _request(kind, results, scopes, checkpoint, options))
    with paper_style(backend=None):
        figure = drawing.fitted()
    plt.close(figure)
    return figure


def page(
    kind: str,
    *results: Given,
    scopes: str | Sequence[str] = (),
    checkpoint: str | int = "last",
    **options: Any,
) -> "go.Figure":
    """Build a figure for the screen.

    Args:
        kind: see :func:`draw`.
        results: likewise.
        scopes: likewise.
        checkpoint: likewise.
        options: likewise.

    Returns:
        A :class:`plotly.graph_objects.Figure`; a notebook shows it, and ``write_html`` writes it.

    Raises:
        InputError: an unknown figure, or results without the analysis it shows.
    """
    from figures.output import screen_style

    asked = _request(kind, results, scopes, checkpoint, options)
    return screen_style(read_figure(kind, asked.escaped()).page())


def _request(
    kind: str,
    results: tuple[Given, ...],
    scopes: str | Sequence[str],
    checkpoint: str | int,
    options: Mapping[str, Any],
) -> Request:
    if kind not in FIGURES:
        raise unknown("figure", kind, FIGURES)
    if not results:
        raise InputError(f"there is nothing to draw; give results: figures.draw('{kind}', record)")
    runs = tuple(_opened(kind, given) for given in results)
    named = (scopes,) if isinstance(scopes, str) else tuple(scopes)
    texts = {name: _text(value) for name, value in options.items()}
    known = _only_variant(runs, FIGURES[kind].shows) | texts
    return Request(runs, str(checkpoint), named, known)


def _opened(kind: str, given: Given) -> RunResults:
    if isinstance(given, str | Path) and Path(given).suffix != ".h5":
        return RunResults.open(Path(given))
    found = InMemoryResults.of(given)
    _check_results(kind, FIGURES[kind], found)
    return found


def _check_results(name: str, kind: FigureKind, found: InMemoryResults) -> None:
    if kind.needs_folder:
        raise InputError(f"figure '{name}' reads run folders; give the folder of '{found.name}'")
    if not kind.shows:
        return
    made = {type(one.record): f"landscape.{one.origin.analysis}" for one in found.records}
    shown = [record for record in made if record.analysis_name() == kind.shows]
    if not shown:
        raise InputError(
            f"figure '{name}' shows results of landscape.{kind.shows}, and those given "
            f"of '{found.name}' are of {' and '.join(made.values())}"
        )
    if kind.over_training and not all(map(counted, found.checkpoints(shown[0]))):
        raise InputError(
            f"figure '{name}' is over training; give results of '{found.name}' by epoch, "
            "{epoch: record}"
        )


def _only_variant(runs: Sequence[RunResults], shows: str) -> dict[str, str]:
    """Choose the one surface or the one matrix's spectrum that records in memory have."""
    records = [one for run in runs if isinstance(run, InMemoryResults) for one in run.records]
    variants = {one.variant for one in records if one.record.analysis_name() == shows}
    if len(variants) != 1 or shows not in ("surface", "spectrum"):
        return {}
    variant = variants.pop()
    if shows == "spectrum":
        return {"matrix": variant[1:]} if variant else {}
    directions, _, seed = variant.partition("-seed")
    return {"directions": directions[1:] or "random", "seed": seed or "0"}


def _text(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
