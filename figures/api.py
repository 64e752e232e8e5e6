"""The Python interface: figures of records in memory, of result files and of run folders."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures.catalogue import FIGURES, load_figure
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.in_memory import HeldResults, is_epoch
from landscape.results import InputError, unknown
from landscape.results.load import record_type
from landscape.results.result import Result
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

One = Result | str | Path
Given = One | Sequence[One] | Mapping[int, One | Sequence[One]]


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
        InputError: an unknown figure, or results that lack what it shows.
    """
    import matplotlib.pyplot as plt

    request = _request(kind, results, scopes, checkpoint, options)
    with _paper_style():
        figure = load_figure(kind).draw(request)
    plt.close(figure)
    _refuse_unread(kind, request, options)
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
        InputError: an unknown figure, or results that lack what it shows.
    """
    request = _request(kind, results, scopes, checkpoint, options)
    found = load_figure(kind).page(request)
    _refuse_unread(kind, request, options)
    return found.update_layout(template="plotly_white", font={"family": "sans-serif"})


class _Options(dict[str, str]):
    """Options of a figure that remember which of them it knows."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__(texts)
        self.known: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.known.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.known.add(str(name))
        return super().__contains__(name)


def _refuse_unread(kind: str, request: Request, given: Mapping[str, Any]) -> None:
    assert isinstance(request.options, _Options)
    known = request.options.known
    for name in given:
        if name not in known:
            if known:
                raise unknown(f"option of figure '{kind}'", name, known)
            raise InputError(f"figure '{kind}' has no options, and '{name}' is given")


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
    texts = _options_held(runs, _shown(kind)) | texts
    return Request(runs, str(checkpoint), named, _Options(texts))


def _opened(kind: str, given: Given) -> RunResults:
    if isinstance(given, str | Path) and Path(given).suffix != ".h5":
        return RunResults.open(Path(given))
    found = HeldResults.of(given)
    if FIGURES[kind].reads_folders:
        raise InputError(f"figure '{kind}' reads run folders; give the folder of '{found.name}'")
    shown = _shown(kind)
    made = {type(h.record): f"landscape.{h.origin.analysis}" for h in found.held}
    if shown is not None and shown not in made:
        raise InputError(
            f"figure '{kind}' shows results of landscape.{shown.analysis_name()}, and those given "
            f"of '{found.name}' are of {' and '.join(made.values())}"
        )
    if (
        shown is not None
        and FIGURES[kind].over_training
        and not all(map(is_epoch, found.checkpoints(shown)))
    ):
        raise InputError(
            f"figure '{kind}' is over training; give results of '{found.name}' by epoch, "
            "{epoch: record}"
        )
    return found


def _shown(kind: str) -> type[Result] | None:
    """Find the record that a figure shows, if it shows those of one analysis."""
    shows = FIGURES[kind].shows
    return record_type(shows) if shows else None


def _options_held(runs: Sequence[RunResults], shown: type[Result] | None) -> dict[str, str]:
    """Choose the one surface or the one matrix's spectrum that records in memory have."""
    held = [h for run in runs if isinstance(run, HeldResults) for h in run.held]
    variants = {h.variant for h in held if isinstance(h.record, shown or ())}
    if len(variants) != 1 or shown not in (Surface, Spectrum):
        return {}
    variant = variants.pop()
    if shown is Spectrum:
        return {"matrix": variant[1:]} if variant else {}
    directions, _, seed = variant.partition("-seed")
    return {"directions": directions[1:] or "random", "seed": seed or "0"}


def _text(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@contextmanager
def _paper_style() -> Iterator[None]:
    """Draw in the project's style, whatever shows figures here."""
    import matplotlib.pyplot as plt

    with plt.style.context(Path(__file__).parent / "paper.mplstyle"):
        yield
