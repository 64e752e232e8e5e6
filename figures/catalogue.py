"""The table of figures; drawing libraries are imported when one is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from figures.request import Request


class FigureModule(Protocol):
    """What a figure's file offers."""

    draw: "Callable[[Request], Figure]"
    page: "Callable[[Request], go.Figure]"
    write: "Callable[[Request, Path], list[Path]]"


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    summary: str
    module: str
    shows: str = ""  # the analysis whose results records in memory have to be of, if it is one
    over_training: bool = False  # takes results by epoch
    reads_folders: bool = False  # takes no records in memory


FIGURES = {
    "spectrum": Kind(
        "eigenvalue density of the Hessian; rows are runs, columns scopes",
        "figures.kinds.spectrum",
        shows="spectrum",
    ),
    "nonconvexity": Kind(
        "|λmin/λmax| of each class against epoch, with error bars",
        "figures.kinds.nonconvexity",
        shows="spectrum",
        over_training=True,
    ),
    "curvature": Kind(
        "λmin, λmax and trace of each class against epoch, with error bars",
        "figures.kinds.curvature",
        shows="spectrum",
        over_training=True,
    ),
    "protocol": Kind(
        "λmin and density by the released Saddle-LongTail analysis against the exact ones",
        "figures.kinds.protocol",
        reads_folders=True,
    ),
    "accuracy": Kind(
        "test accuracy of each class and group; also as Markdown, LaTeX and CSV",
        "figures.kinds.accuracy",
        shows="accuracy",
    ),
    "conflicts": Kind(
        "cosine similarity of the classes' gradients, with the share of conflicts",
        "figures.kinds.conflicts",
        shows="gradients",
    ),
    "gradient-similarity": Kind(
        "cosine of each class's gradient with the average over training; lines or bars",
        "figures.kinds.gradient_similarity",
        shows="gradients",
        over_training=True,
    ),
    "gradient-norm": Kind(
        "norm of each class's gradient over that of the average, over training",
        "figures.kinds.gradient_norm",
        shows="gradients",
        over_training=True,
    ),
    "feature-quality": Kind(
        "quality, separation and log-variance of head and tail features over training",
        "figures.kinds.feature_quality",
        shows="features",
        over_training=True,
    ),
    "cca": Kind(
        "similarity of head and tail features over training, with its shuffled baseline",
        "figures.kinds.cca",
        shows="similarity",
        over_training=True,
    ),
    "embedding": Kind(
        "t-SNE of penultimate features, classes coloured head to tail",
        "figures.kinds.embedding",
        shows="features",
    ),
    "surface": Kind(
        "loss or accuracy around a checkpoint, contours or relief; rows are runs, columns scopes",
        "figures.kinds.surface",
        shows="surface",
    ),
    "trajectory": Kind(
        "path of the checkpoints over the loss of the plane they are projected on",
        "figures.kinds.trajectory",
        shows="surface",
    ),
    "noise": Kind(
        "loss against the size of random noise on the weights",
        "figures.kinds.noise",
        shows="sharpness",
    ),
    "class-loss": Kind(
        "what each class adds to the mean loss, against epoch",
        "figures.kinds.class_loss",
        shows="sharpness",
        over_training=True,
    ),
    "sweep": Kind(
        "accuracy, λmin, trace or conflicts against one setting; a line a method, over seeds",
        "figures.kinds.sweep",
    ),
    "cost": Kind(
        "seconds an epoch, and their ratio to SAM's, against accuracy",
        "figures.kinds.cost",
        reads_folders=True,
    ),
    "flattening": Kind(
        "gain in accuracy over the first run, overall and by group",
        "figures.kinds.flattening",
        shows="accuracy",
    ),
    "focal-weights": Kind(
        "weights (1 - π)^γ that Focal-SAM gives the classes, for several γ",
        "figures.kinds.focal_weights",
    ),
}


def load_figure(kind: str) -> FigureModule:
    """Import a figure's file."""
    return cast(FigureModule, import_module(FIGURES[kind].module))
