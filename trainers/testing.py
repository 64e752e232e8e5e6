"""Contracts of methods and gradient rules, which an author of either tests with; ours pass them.

Each function raises an ``AssertionError`` that says which promise is broken.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.config import TrainConfig
from trainers.forward import ForwardPass
from trainers.methods.grammar import parse_method
from trainers.methods.part import Part
from trainers.models.catalogue import build_model
from trainers.objective import Objective, on_logits
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder
from trainers.training import train

EPOCHS = 4
BATCHES = ((0, 0, 1, 1, 1, 0), (0, 1, 2, 3, 0, 0), (2, 2, 2, 2, 2, 2))  # labels


class Stop(Exception):
    """Raised in place of a kill."""


def check_method(method: str, folder: Path, **options: Any) -> RunFolder:
    """Train digits by a method: it learns, stays finite, and a stopped run goes on bit for bit.

    Args:
        method: its name, such as ``ce+mine``.
        folder: empty; the trainings are written below it.
        options: further settings of :class:`trainers.config.TrainConfig`.

    Returns:
        The run that was not stopped.

    Raises:
        AssertionError: naming the broken promise.
    """
    parsed = parse_method(method)
    staged = "stage_epochs" in parsed.settings().get("stages", {})
    further = 2 if staged else int(bool(parsed.words["stages"]))

    def config(name: str) -> TrainConfig:
        own = {"settings": ("stage_epochs=0.6",)} if staged else {}
        given = {"epochs": EPOCHS, "imbalance": 20, "device": "cpu", "eval_every": 2}
        return TrainConfig(method=method, out=folder / name, **{**given, **own, **options})

    stops = (2, EPOCHS, EPOCHS + 1)[: 1 + further] if further else (2,)

    def keep(entry: dict[str, Any]) -> None:
        """Keep what a kill at this moment would leave."""
        if entry["epoch"] in (1, stops[0]):
            copytree(folder / "whole", folder / f"cut-{entry['epoch']}")

    whole = train(config("whole"), keep).folder
    metrics = whole.metrics()
    losses = [entry["train_loss"] for entry in metrics if entry["stage"] == 1]
    assert all(math.isfinite(e["train_loss"]) for e in metrics), "a loss is not finite"
    assert min(losses[1:]) < losses[0], f"it does not learn: losses {losses}"
    _stop(config("anew"), 1)
    begun, anew = (load_checkpoint(RunFolder(folder / f).last) for f in ("cut-1", "anew"))
    assert same(begun, anew), "the first epoch differs between two trainings of one seed"
    cut = config(f"cut-{stops[0]}")
    for epoch in stops[1:]:
        _stop(cut, epoch)
    outcome = train(cut)
    assert outcome.resumed_from == stops[-1], f"it resumed from {outcome.resumed_from}"
    assert outcome.epochs == EPOCHS + further, f"it has {outcome.epochs} epochs"
    one, other = load_checkpoint(whole.last), load_checkpoint(outcome.folder.last)
    assert same(one, other), "a run that was stopped ends otherwise than one that was not"
    return whole


def check_rule(
    part: Part, variant: str = "", *, batches: Sequence[Sequence[int]] = BATCHES
) -> None:
    """Apply a gradient rule to batches that lack classes: finite gradients, weights in place.

    Args:
        part: of the table, or as a plugin declares it.
        variant: of its settings.
        batches: the labels of each, of four classes of 40, 20, 8 samples and one.

    Raises:
        AssertionError: naming the broken promise.
    """
    for labels in batches:
        objective = _objective(torch.tensor(labels))
        before = [p.detach().clone() for p in objective.parameters]
        each: Tensor = part.build(**part.resolved(variant))(objective)
        assert each.shape == (len(labels),), (
            f"it returns {tuple(each.shape)}, not one loss a sample"
        )
        assert not each.requires_grad, "the losses that it returns are not detached"
        filled = [p.grad for p in objective.parameters]
        assert all(g is not None for g in filled), "a parameter has no gradient; fill p.grad of all"
        assert all(g.isfinite().all() for g in filled if g is not None), "a gradient is not finite"
        assert any(g.any() for g in filled if g is not None), "every gradient is zero"
        if part.resolved(variant).get("kept", 0) == 0:
            moved = not all(map(torch.equal, before, objective.parameters))
            assert not moved, "the weights are not where they were"


def same(a: Any, b: Any) -> bool:
    """Tell whether contents of two checkpoints are equal, but for the seconds that they took."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        timed = {key for key in a if "seconds" in str(key)}
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a.keys() - timed)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def _stop(config: TrainConfig, epoch: int) -> None:
    def report(entry: dict[str, Any]) -> None:
        if entry["epoch"] == epoch:
            raise Stop

    try:
        train(config, report)
    except Stop:
        return
    raise AssertionError(f"the training had ended before epoch {epoch}")


def _objective(labels: Tensor) -> Objective:
    """The cross-entropy of one batch of small images."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((len(labels), 1, 8, 8), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model("resnet8", 4, 1).train()
    loss = on_logits(lambda logits, given: F.cross_entropy(logits, given, reduction="none"))
    return Objective(
        ForwardPass(model),
        inputs,
        labels,
        loss,
        class_counts=torch.tensor([40, 20, 8, 1]),
        groups=torch.tensor([0, 0, 1, 1]),
        epochs=10,
    )
