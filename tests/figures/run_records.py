"""Made-up runs: their plan, metrics and results, as training and diagnosis write them."""

import json
from dataclasses import replace

import numpy as np

from figures.request import Request
from figures.runs.folder import RunResults
from landscape.results.accuracy import Accuracy
from landscape.results.gradients import Gradients
from landscape.results.hdf5 import save
from landscape.results.provenance import Provenance
from landscape.results.recording import Recording
from landscape.results.spectrum import Spectrum

GROUPS = ("overall", "head", "mid", "tail")
SCOPES = ("overall", "head", "mid", "tail", "class/0", "class/9")


def counts(classes=10, imbalance=100):
    most = 50_000 // classes
    return [int(most * imbalance ** (-c / (classes - 1))) for c in range(classes)]


def plan(method="ce", *, data="cifar10", imbalance=100, seed=0, rule=None, loss=None, **changes):
    """A resolved configuration; ``changes`` are the recipe's where it has them, or the plan's."""
    recipe = {"epochs": 200, "batch_size": 128, "lr": 0.1, "weight_decay": 2e-4}
    recipe |= {"schedule": "step", "warmup_epochs": 5, "milestones": [160, 180]}
    own = {name: changes.pop(name) for name in list(changes) if name in recipe}
    return {
        "method": method,
        "data": data,
        "imbalance": imbalance,
        "image_size": None,
        "model": "resnet32",
        "recipe": recipe | own,
        "settings": {"loss": loss or {}, "weighting": {}, "rule": rule or {}},
        "checkpoints": [0, 200],
        "eval_every": 1,
        "seed": seed,
        "classes": [],
        "reweighting_epoch": 160 if "drw" in method else None,
    } | changes


def provenance(analysis, checkpoint, run, stored, classes=10, weights="ab" * 32, class_names=None):
    return Provenance(
        analysis=analysis,
        checkpoint=checkpoint,
        config={
            "run": run,
            "plan": stored,
            "class_names": list(class_names or map(str, range(classes))),
            "class_counts": counts(classes, stored["imbalance"]),
        },
        created="2026-01-01T00:00:00+00:00",
        seed=0,
        dtype="float32",
        device="cuda",
        torch="2.6",
        weights_sha256=weights,
        data_sha256="cd" * 32,
        bn_mode="eval",
        loss="cross_entropy",
        seconds=1.0,
    )


def accuracy(group=(0.75, 0.9, 0.7, 0.5), classes=10, imbalance=100, split="saddle"):
    per_class = np.linspace(group[1], group[3], classes)
    return Accuracy(
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=np.array(counts(classes, imbalance)),
        confusion=np.eye(classes, dtype=np.int64),
        per_class=per_class,
        group_name=np.array(GROUPS),
        group=np.array(group),
        ece=np.array([0.1, 0.05, 0.1, 0.2]),
        split=np.array(split),
        open_set=np.full(4, np.nan),
    )


def spectrum(lambda_min=-2.0, scopes=SCOPES, seed=0):
    rng = np.random.default_rng(seed)
    many = len(scopes)
    left_out = ("ritz", "negative")
    names = [n for n in Spectrum.__dataclass_fields__ if not n.startswith(left_out)]
    columns = {name: np.full(many, 0.1) for name in names}
    values = np.sort(rng.exponential(3, (many, 2, 20)), axis=2)
    values[..., 0], values[..., -1] = lambda_min, 40
    columns |= {
        "scope": np.array(scopes),
        "lambda_min": np.full(many, lambda_min),
        "lambda_max": np.full(many, 40.0),
        "lowest": np.full(many, lambda_min - 0.1),
        "highest": np.full(many, 40.1),
        "orthogonality_loss": np.full(many, 1e-12),
        "dimension": np.full(many, 1000),
        "verdict": np.array(["saddle"] * many),
        "converged": np.ones(many, bool),
        "gradient_small": np.ones(many, bool),
        "training_count": np.full(many, 50),
        "samples": np.full(many, 50),
    }
    columns |= {"ritz_values": values, "ritz_weights": np.full((many, 2, 20), 0.05)}
    return Spectrum(**Spectrum.completed(columns))


def gradients(dominated=9, classes=10):
    matrix = np.where(np.eye(classes, dtype=bool), 1.0, -0.1)
    shapes = {"class": np.full(classes, 0.5), "pair": matrix, "": np.array(1.0)}
    fields = {}
    for name, field in Gradients.__dataclass_fields__.items():
        axes = field.metadata["axes"]
        fields[name] = shapes["pair" if "other" in axes else "class" if "class" in axes else ""]
    fields |= {"layer": np.array(["stem"]), "layer_similarity": matrix[None]}
    fields |= {"layer_norm": np.ones((1, classes)), "mode": np.array("eval")}
    fields["layer_similarity_to_mean"] = np.ones((1, classes))
    fields |= {"class_name": np.array([str(c) for c in range(classes)])}
    return Gradients(**fields | {"dominated": np.array(dominated), "pairs": np.array(45)})


def recording(steps=6, scopes=("overall", "head", "tail")):
    shapes = {"record": (steps,), "scope": (len(scopes),)}
    found = {}
    for name, field in Recording.__dataclass_fields__.items():
        shape = [n for axis in field.metadata["axes"] for n in shapes[axis]]
        found[name] = np.full(shape, 0.1)
    found["scope"] = np.array(scopes)
    found["step"] = 100 * np.arange(1, steps + 1)
    found["checkpoint"] = np.array([f"epoch_{step:04d}" for step in found["step"]])
    found["lambda_max"] = np.outer(np.linspace(2, 25, steps), np.linspace(1, 2, len(scopes)))
    found["edge"] = np.full(steps, 1.9)
    return Recording(**found)


def metrics(seconds, epochs=20, accuracy=0.7):
    """A line an epoch; the best on test is the one before the last."""
    lines = []
    for epoch in range(1, epochs + 1):
        judged = accuracy + (0.01 if epoch == epochs - 1 else 0) - 0.1 * (epochs - epoch) / epochs
        took = seconds * (1.3 if epoch == 1 else 1)
        lines.append({"epoch": epoch, "train_seconds": took, "test_accuracy": judged})
    return "".join(json.dumps(line) + "\n" for line in lines)


def write_run(
    folder,
    method="ce",
    *records,
    checkpoint="epoch_0200",
    seconds=None,
    weights="ab" * 32,
    class_names=None,
    **options,
):
    """Write a run folder with results of one checkpoint, and its metrics if seconds are given."""
    stored = plan(method, **options)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"plan": stored, "device": "cuda"}))
    if seconds is not None:
        (folder / "metrics.jsonl").write_text(metrics(seconds))
    for record in records:
        analysis = record.analysis_name()
        names = getattr(record, "class_name", ())
        if len(names) and class_names:
            record = replace(record, class_name=np.array(class_names))
        classes = len(names) or 10
        origin = provenance(
            analysis, checkpoint, folder.name, stored, classes, weights, class_names
        )
        save(record, origin, folder / "results" / analysis / f"{checkpoint}.h5")
    return RunResults(folder)


def request(*runs, **options):
    return Request(tuple(runs), **options)
