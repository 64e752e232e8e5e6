"""The table of panels: which results each shows, and which figure draws it."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from figures.catalogue import FigureModule
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface

if TYPE_CHECKING:
    from cli.inspector.view import View


@dataclass(frozen=True)
class Kind:
    """A kind of panel."""

    record: type
    module: str
    height: int  # pixels
    recipe: str  # of the analysis that makes its results
    scoped: bool = False  # one picture a scope
    over_time: bool = False  # shows every checkpoint
    joint: bool = False  # all runs in one picture


KINDS = {
    "spectrum": Kind(Spectrum, "figures.kinds.spectrum", 330, "spectrum", scoped=True),
    "surface": Kind(Surface, "figures.kinds.surface", 470, "surface", scoped=True),
    "accuracy": Kind(Accuracy, "figures.kinds.accuracy", 380, "accuracy", joint=True),
    "confusion": Kind(Accuracy, "figures.kinds.matrices", 440, "accuracy"),
    "conflicts": Kind(Gradients, "figures.kinds.conflicts", 470, "gradients"),
    "nonconvexity": Kind(Spectrum, "figures.kinds.nonconvexity", 400, "spectrum", over_time=True),
    "gradient-similarity": Kind(
        Gradients, "figures.kinds.gradient_similarity", 400, "gradients", over_time=True
    ),
    "feature-quality": Kind(
        Features, "figures.kinds.feature_quality", 620, "features", over_time=True
    ),
    "cca": Kind(Similarity, "figures.kinds.cca", 420, "similarity", over_time=True, joint=True),
    "similarity": Kind(Similarity, "figures.kinds.matrices", 440, "similarity"),
    "embedding": Kind(Features, "figures.kinds.embedding", 480, "embedding"),
}


def import_figures() -> None:
    """Import the figures of every panel, so that the first page need not wait for them.

    Plotly imports its parts and reads its template when a first figure is made.
    """
    from plotly.subplots import make_subplots

    for kind in KINDS.values():
        import_module(kind.module)
    first = make_subplots(1, 2, subplot_titles=["", ""]).add_scatter(y=[0]).add_heatmap(z=[[0]])
    first.update_layout(template="plotly_white").to_json()


def asked(
    view: "View",
    panel: str,
    runs: tuple[RunResults, ...],
    checkpoint: str,
    scopes: tuple[str, ...] = (),
) -> tuple[FigureModule, Request]:
    """Find the figure that shows a panel, and what to ask it for.

    Args:
        view: with the options of surfaces and similarities.
        panel: a key of :data:`KINDS`.
        runs: to show together.
        checkpoint: of figures that show one.
        scopes: of figures that have some.

    Raises:
        InputError: a surface cannot be read.
    """
    options: dict[str, str] = {}
    module = KINDS[panel].module
    if panel == "surface":
        options = {"view": view.surface, "quantity": view.quantity}
        if _shows_path(view, runs, checkpoint):
            module, options = "figures.kinds.trajectory", {}
    elif panel in {"cca", "similarity"}:
        options = {"measure": view.measure}
    elif panel == "feature-quality":
        followed = () if view.focus is None else (f"class/{view.focus}",)
        scopes = ("head", "tail", *followed)
    return cast(FigureModule, import_module(module)), Request(runs, checkpoint, scopes, options)


def _shows_path(view: "View", runs: tuple[RunResults, ...], checkpoint: str) -> bool:
    """Whether the path of the checkpoints is asked for and known in a plane of every run."""
    records = [run.load(Surface, checkpoint)[0] for run in runs]
    for run, record in zip(runs, records, strict=True):
        if not (record.done[..., None] & (record.loss == record.loss)).any():
            raise InputError(f"no point of the surface of '{run.name}' is a finite number")
    if not view.path or view.surface != "contour" or view.quantity != "loss":
        return False
    return all(len(record.trajectory_epoch) > 0 and len(record.y) > 1 for record in records)
