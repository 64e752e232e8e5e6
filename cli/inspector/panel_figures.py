"""From a panel of a view to the figure's module and its request."""

from cli.inspector.panel_catalogue import PANELS
from cli.inspector.view import View
from figures.catalogue import FigureModule, figure_module
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.surface import Surface


def import_figures() -> None:
    """Import the figures of every panel, so that the first page need not wait for them.

    Plotly imports its parts and reads its template when a first figure is made.
    """
    from plotly.subplots import make_subplots

    for kind in PANELS.values():
        figure_module(kind.figure.replace("_", "-"))
    first = make_subplots(1, 2, subplot_titles=["", ""]).add_scatter(y=[0]).add_heatmap(z=[[0]])
    first.update_layout(template="plotly_white").to_json()


def figure_request(
    view: View,
    panel: str,
    runs: tuple[RunResults, ...],
    checkpoint: str,
    scopes: tuple[str, ...] = (),
) -> tuple[FigureModule, Request]:
    """Find the figure that shows a panel, and build its request.

    Args:
        view: with the options of surfaces and similarities.
        panel: a key of :data:`PANELS`.
        runs: to show together.
        checkpoint: of figures that show one.
        scopes: of figures that have some.

    Raises:
        InputError: a surface cannot be read.
    """
    options: dict[str, str] = {}
    figure = PANELS[panel].figure
    if panel == "surface":
        options = {"view": view.surface, "quantity": view.quantity}
        if _shows_path(view, runs, checkpoint):
            figure, options = "trajectory", {}
    elif panel in {"cca", "similarity"}:
        options = {"measure": view.measure}
    elif panel == "feature-quality":
        scopes = ("head", "tail", *view.followed_scope())
    return figure_module(figure.replace("_", "-")), Request(runs, checkpoint, scopes, options)


def _shows_path(view: View, runs: tuple[RunResults, ...], checkpoint: str) -> bool:
    """Tell whether the checkpoints' path is requested and known in a plane of every run."""
    records = [run.load(Surface, checkpoint)[0] for run in runs]
    for run, record in zip(runs, records, strict=True):
        if not (record.done[..., None] & (record.loss == record.loss)).any():
            raise InputError(f"no point of the surface of '{run.name}' is a finite number")
    if not view.path or view.surface != "contour" or view.quantity != "loss":
        return False
    return all(len(record.trajectory_epoch) > 0 and len(record.y) > 1 for record in records)
