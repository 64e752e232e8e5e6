"""Stochastic weight averaging (Izmailov et al. 2018): a stage ends at the mean of its last epochs.

After every epoch from the start on, w̄ ← (k w̄ + w) / (k + 1); at the end of the stage w̄ takes the
place of w, and where the backbone was trained BatchNorm's statistics are estimated anew, over one
epoch of augmented images.
"""

from typing import Any

import torch
from torch import Tensor, nn

from trainers.data.images import Images
from trainers.models.bilateral import Bilateral
from trainers.objective import Objective
from trainers.rules.rule import StageChoice

_BATCH = 512


class WeightAverage:
    """Average the weights of the last epochs.

    Args:
        start: share of the stage's epochs after which weights are averaged.
        stage: whose weights are averaged.
    """

    groups: Tensor | None = None

    def __init__(self, start: float = 0.75, stage: StageChoice = "first") -> None:
        self._start, self.stage = start, stage
        self._mean: list[Tensor] = []
        self._epochs = 0  # averaged so far, k

    def add(self, objective: Objective) -> None:
        """Leave the rule's direction as it is."""

    def end_epoch(
        self,
        objective: Objective,
        train: Images,
        test: Images,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> None:
        """Average; at the end of the stage, put the mean in place."""
        ended, parameters = objective.epoch + 1, objective.parameters
        if ended > round(self._start * objective.epochs) or ended == objective.epochs:
            self._take_in(parameters)
        if ended < objective.epochs:
            return
        with torch.no_grad():
            for parameter, mean in zip(parameters, self._mean, strict=True):
                parameter.copy_(mean)
        self._mean, self._epochs = [], 0
        if all(p.requires_grad for p in objective.model.last_parameters()):
            estimate_statistics(objective, train)

    def _take_in(self, parameters: list[nn.Parameter]) -> None:
        if not self._epochs:
            self._mean = [torch.zeros_like(p) for p in parameters]
        self._epochs += 1
        for mean, parameter in zip(self._mean, parameters, strict=True):
            mean.lerp_(parameter.detach(), 1 / self._epochs)

    def state(self) -> dict[str, Any]:
        """Return the mean and the number of its epochs."""
        return {"mean": self._mean, "epochs": self._epochs}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self._mean, self._epochs = state["mean"], state["epochs"]


def estimate_statistics(objective: Objective, train: Images) -> None:
    """Estimate BatchNorm's running statistics anew, as the mean over the batches of an epoch.

    Args:
        objective: with the network.
        train: training set.
    """
    contrast = objective.model.contrast  # serves training alone, and no image passes it here
    outside = set() if contrast is None else {id(m) for m in contrast.modules()}
    norms = [
        m
        for m in objective.model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and id(m) not in outside
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
    order = torch.randperm(
        len(train.labels), generator=objective.generator, device=objective.generator.device
    ).cpu()
    size = min(_BATCH, len(order))
    pairs = isinstance(objective.model, Bilateral) and objective.model.paired
    with torch.no_grad():
        whole = order[: len(order) // size * size]
        for inputs, _ in train.batches(whole, size, objective.generator):
            # each half of a batch of pairs goes through a branch of its own
            objective.forward.features(torch.cat([inputs, inputs]) if pairs else inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
