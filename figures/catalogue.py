"""List the kinds of figures; drawing libraries are imported when one is read."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from landscape.results.plugins import Table, located

if TYPE_CHECKING:
    from figures.output import Drawing
    from figures.request import Request


class FigureModule(Protocol):
    """A figure's file."""

    def read(self, request: "Request") -> "Drawing":
        """Read the results that the figure shows."""


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure; its file in ``figures/kinds`` has its name."""

    summary: str
    shows: str = ""  # the one analysis whose results it shows; empty for several
    over_training: bool = False  # shows every checkpoint
    needs_folder: bool = False  # reads more of a run than the records of its results
    joins_seeds: bool = False  # averages runs that differ only in their seed
    any_method: bool = False  # shows nothing that depends on the method
    animates: bool = False  # shows one checkpoint, and can be played over several
    options: tuple[str, ...] = ()  # that it may read
    module: str = ""  # of its file, where it is another package's


FIGURES = {
    "spectrum": FigureKind(
        "eigenvalue density of the Hessian; rows are runs, columns scopes",
        shows="spectrum",
        animates=True,
        options=("matrix",),
    ),
    "head-tail": FigureKind(
        "spectra of head and tail on one axis, a panel a run, with the numbers of both",
        shows="spectrum",
        animates=True,
        options=("matrix",),
    ),
    "nonconvexity": FigureKind(
        "|λmin/λmax| of groups or classes over training, with error bars",
        shows="spectrum",
        over_training=True,
        options=("matrix",),
    ),
    "curvature": FigureKind(
        "λmin, λmax and trace of groups or classes over training, with error bars",
        shows="spectrum",
        over_training=True,
        options=("matrix",),
    ),
    "recording": FigureKind(
        "λmax η/2 of a recorded training against the edge of stability",
        needs_folder=True,
    ),
    "protocol": FigureKind(
        "λmin and density by the released Saddle-LongTail analysis against the exact ones",
        needs_folder=True,
    ),
    "accuracy": FigureKind(
        "accuracy of each class and group; also as Markdown, LaTeX and CSV",
        shows="accuracy",
        animates=True,
        options=("on",),
    ),
    "confusion": FigureKind(
        "share of each class's samples judged that is taken for each class",
        shows="accuracy",
        animates=True,
        options=("measure",),
    ),
    "conflicts": FigureKind(
        "cosine similarity of the classes' gradients, with the share of conflicts",
        shows="gradients",
        animates=True,
        options=("layer",),
    ),
    "gradient-similarity": FigureKind(
        "cosine of class gradients with the average over training; lines or bars",
        shows="gradients",
        over_training=True,
        options=("against", "view"),
    ),
    "gradient-norm": FigureKind(
        "norm of class gradients over that of the average, over training",
        shows="gradients",
        over_training=True,
    ),
    "feature-quality": FigureKind(
        "quality, separation and log-variance of head and tail features over training",
        shows="features",
        over_training=True,
        options=("formula",),
    ),
    "cca": FigureKind(
        "similarity of head and tail features over training, with its shuffled baseline",
        shows="similarity",
        over_training=True,
        options=("measure",),
    ),
    "embedding": FigureKind(
        "t-SNE of penultimate features, classes coloured head to tail",
        shows="features",
        animates=True,
    ),
    "surface": FigureKind(
        "loss or accuracy around a checkpoint, contours or relief; rows are runs, columns scopes",
        shows="surface",
        animates=True,
        options=("view", "quantity", "directions", "seed"),
    ),
    "basin": FigureKind(
        "share of the plane near each class's least loss, over seeds of random directions",
        shows="surface",
        animates=True,
        options=("directions", "seed"),
    ),
    "trajectory": FigureKind(
        "path of the checkpoints over the loss of the plane they are projected on",
        shows="surface",
        options=("directions", "seed"),
    ),
    "spikes": FigureKind(
        "which class each outlier eigenvalue of the Hessian belongs to: shares of its curvature, "
        "overlap with class gradients",
        shows="spikes",
        animates=True,
    ),
    "path": FigureKind(
        "loss between two checkpoints or runs, and the barrier of every class, before and after "
        "matching units",
        shows="path",
        animates=True,
        options=("quantity",),
    ),
    "stability": FigureKind(
        "sharpness over the edge of stability over training, and how far steps and gradients go "
        "along extreme eigenvectors",
        shows="stability",
        over_training=True,
        options=("show",),
    ),
    "gradient-noise": FigureKind(
        "noise scale of the classes' gradients against what a batch holds, and each class's share "
        "of a batch's noise",
        shows="gradient_noise",
        animates=True,
    ),
    "noise": FigureKind("loss against the size of random noise on the weights", shows="sharpness"),
    "class-loss": FigureKind(
        "what each group or class adds to the mean loss, over training",
        shows="sharpness",
        over_training=True,
    ),
    "sweep": FigureKind(
        "accuracy, λmin, trace or conflicts against one setting; a line a method, over seeds",
        joins_seeds=True,
        options=("y", "scope", "x"),
    ),
    "cost": FigureKind(
        "seconds an epoch, and their ratio to SAM's, against accuracy",
        needs_folder=True,
        joins_seeds=True,
        options=("y",),
    ),
    "flattening": FigureKind(
        "gain in accuracy over the first run, overall and by group",
        shows="accuracy",
        joins_seeds=True,
    ),
    "compare": FigureKind(
        "how two settings differ in every number of every class, paired over seeds, with intervals",
        joins_seeds=True,
        options=("show",),
    ),
    "focal-weights": FigureKind(
        "weights (1 - π)^γ that Focal-SAM gives the classes, for several γ",
        any_method=True,
        options=("gammas",),
    ),
}
FIGURES = Table("figures", FigureKind, FIGURES)


def figure_module(kind: str) -> FigureModule:
    """Import the file of a kind of figure.

    Args:
        kind: a name of :data:`FIGURES`.
    """
    name = FIGURES[kind].module or f"figures.kinds.{kind.replace('-', '_')}"
    return cast(FigureModule, located(name))


def read_figure(kind: str, request: "Request") -> "Drawing":
    """Read the results that a figure shows.

    Args:
        kind: a name of :data:`FIGURES`.
        request: the runs and options.

    Raises:
        InputError: a run lacks the results; the message gives the command that makes them. Or the
            figure does not know an option.
    """
    from figures.request import Options

    options = Options(request.options)
    drawing = figure_module(kind).read(replace(request, options=options))
    options.check(kind)
    return drawing


def read_both(kind: str, request: "Request") -> "tuple[Drawing, Drawing]":
    """Read a figure for paper, and again for a page, where names are escaped; each file once.

    Args:
        kind: see :func:`read_figure`.
        request: likewise.

    Raises:
        InputError: likewise.
    """
    kept = replace(request, runs=tuple(replace(run, kept={}) for run in request.runs))
    return read_figure(kind, kept), read_figure(kind, kept.escaped())
