"""Made-up results for figures: records whose every number the test knows, in run folders."""

from pathlib import Path

import numpy as np

from figures.output import paper_style
from figures.runs.folder import RunResults
from landscape.results.hdf5 import save
from landscape.results.provenance import Provenance
from landscape.results.sharpness import Sharpness
from landscape.results.surface import Surface

CLASSES = 10
COUNTS = tuple(int(5000 * 0.01 ** (c / (CLASSES - 1))) for c in range(CLASSES))
NAMES = tuple(str(c) for c in range(CLASSES))


def provenance(
    analysis,
    checkpoint="epoch_0200",
    *,
    run="plain",
    method="ce",
    class_names=NAMES,
    class_counts=COUNTS,
    seed=0,
    reweighting_epoch=None,
):
    """Provenance as a diagnosis writes it, with the parts of the configuration figures read."""
    plan = {
        "method": method,
        "data": "cifar10",
        "imbalance": 100,
        "model": "resnet32",
        "settings": {"loss": {}, "weighting": {}, "rule": {}},
        "recipe": {"epochs": 200},
        "checkpoints": [0, 100, 200],
        "reweighting_epoch": reweighting_epoch,
        "seed": seed,
    }
    return Provenance(
        analysis=analysis,
        checkpoint=checkpoint,
        config={
            "run": run,
            "plan": plan,
            "class_names": list(class_names),
            "class_counts": list(class_counts),
        },
        created="2026-01-01T00:00:00+00:00",
        seed=seed,
        dtype="float32",
        device="cpu",
        torch="2.6",
        weights_sha256="a",
        data_sha256="b",
        bn_mode="eval",
        loss="cross_entropy",
        seconds=1.0,
    )


def saved_run(folder: Path, *results):
    """Save ``(record, provenance)`` pairs as a diagnosis would, and open the run."""
    for record, origin in results:
        save(record, origin, folder / "results" / origin.analysis / f"{origin.checkpoint}.h5")
    return RunResults.open(folder)


def surface_record(
    *, points=(21, 21), reach=1.0, sharp=1.0, counts=COUNTS, kind=("random", "random"), **changes
):
    """Bowls that grow steeper and less round from head to tail; ``changes`` replace fields."""
    columns, rows = points
    x = np.linspace(-reach, reach, columns)
    y = np.linspace(-reach, reach, rows) if rows > 1 else np.zeros(1)
    steep = sharp * np.geomspace(1.5, 9, len(counts))
    X, Y = (grid[..., None] for grid in np.meshgrid(x, y))
    shifted = X - 0.12 * np.linspace(0, 1, len(counts))
    bowl = steep * (shifted**2 + 0.5 * Y**2 + 0.35 * shifted * Y) + 0.3 * (1 - np.cos(5 * X * Y))
    loss = np.geomspace(0.01, 0.3, len(counts)) + bowl + 2 * bowl**2 / (1 + bowl)
    samples = np.array(counts)
    fields = {
        "x": x,
        "y": y,
        "loss": loss,
        "correct": np.round(np.exp(-loss / 3) * samples).astype(np.int64),
        "done": np.ones((rows, columns), bool),
        "class_name": np.array([str(c) for c in range(len(counts))]),
        "training_count": samples,
        "samples": samples,
        "direction_kind": np.array(kind),
        "direction_norm": np.linspace(11.2, 11.5, len(kind)),
        "direction_cosine": np.array(0.01 if len(kind) == 2 else np.nan),
        "normalisation": np.array("filter" if kind[0] == "random" else "none"),
        "explained": np.full(len(kind), np.nan),
        "trajectory_epoch": np.zeros(0, np.int64),
        "trajectory_xy": np.zeros((0, 2)),
        "trajectory_residual": np.zeros(0),
        "mark_name": np.array([], dtype=str),
        "mark_xy": np.zeros((0, 2)),
        "mark_residual": np.zeros(0),
        "split": np.array("saddle"),
    }
    return Surface(**Surface.completed(fields | changes))


def trajectory_fields(points=11):
    """The fields of a run's path in its principal plane, ending at the centre."""
    share = np.linspace(0, 1, points)
    path = np.stack([-0.8 * (1 - share) ** 1.3, 0.75 * np.sin(3 * share) * (1 - share)], axis=1)
    return {
        "kind": ("pca", "pca"),
        "explained": np.array([0.71, 0.18]),
        "trajectory_epoch": np.linspace(0, 200, points).astype(np.int64),
        "trajectory_xy": path,
        "trajectory_residual": 9 * np.sin(np.pi * share),
        "mark_name": np.array(["tail-only"]),
        "mark_xy": np.array([[0.45, 0.6]]),
        "mark_residual": np.array([14.0]),
    }


def sharpness_record(*, draws=5, sharp=1.0, counts=COUNTS, progress=1.0, **changes):
    """Loss that grows with noise, more for the tail; ``progress`` from 0 to 1 is of the training.

    ``changes`` replace fields.
    """
    ratio = np.geomspace(1e-3, 3, 15)
    scope = np.array(["overall", "head", "mid", "tail"])
    start = np.array([0.05, 0.02, 0.12, 0.4])
    slope = sharp * np.array([1.0, 0.6, 1.6, 3.0])
    spread = 1 + 0.3 * np.linspace(-1, 1, draws)[None, :, None]
    rise = slope * spread * (8 * ratio[:, None, None] ** 2 / (1 + ratio[:, None, None]))
    share = np.linspace(0, 1, len(counts))
    class_loss = 2.3 * np.exp(-progress * (5 - 3.5 * share)) + 0.5 * share * (1 - progress)
    fields = {
        "ratio": ratio,
        "scope": scope,
        "loss": start + rise,
        "start": start,
        "perturbed": np.array("classifier"),
        "radius": np.array(0.05),
        "sam_sharpness": 0.2 * slope,
        "sam_sharpness_steps": 0.3 * slope,
        "class_name": np.array([str(c) for c in range(len(counts))]),
        "training_count": np.array(counts),
        "class_loss": class_loss,
        "weighted_loss": class_loss * np.array(counts) / np.sum(counts),
        "characteristic_radius": np.geomspace(0.01, 0.1, len(counts)),
    }
    return Sharpness(**(fields | changes))


def drawn(module, request):
    """Draw in the project's style."""
    with paper_style():
        return module.read(request).draw()


def titled(figure):
    """Axes that are panels, not bars."""
    return [axes for axes in figure.axes if axes.get_title()]


def line(axes, label):
    """The one line of this label."""
    (found,) = [artist for artist in axes.lines if artist.get_label() == label]
    return found
