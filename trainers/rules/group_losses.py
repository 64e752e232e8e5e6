"""The losses of the groups of a batch, under BatchNorm's statistics of the batch or of a group."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from landscape.errors import InputError
from landscape.weight_space.class_gradients import gradients_of
from trainers.objective import Objective


class GroupLosses(Protocol):
    """Compute the losses of the groups of a batch."""

    def gradients(self) -> tuple[Tensor, list[Tensor]]:
        """Return the detached losses (B,), and each group's gradient, one (G, …) a parameter."""
        ...

    def loss(self, group: int) -> Tensor:
        """Return a group's part of the batch loss at the present parameters."""
        ...


class InBatch:
    """Take a group's samples out of a whole batch, which passes once for all of them.

    Args:
        objective: of the batch.
        members: (G, B), boolean.
        contrast_within: whether a loss that compares samples compares those of a group alone.
    """

    def __init__(self, objective: Objective, members: Tensor, *, contrast_within: bool) -> None:
        self._objective, self._members = objective, members
        self._within = members.to(torch.uint8).argmax(dim=0) if contrast_within else None

    def gradients(self) -> tuple[Tensor, list[Tensor]]:
        """Take one forward pass, and one backward pass a group."""
        each = self._objective.losses(self._within)
        means = (self._members.to(each) @ each) / self._members.sum(dim=1)
        batched = self._objective.forward.compile_mode is None
        return each.detach(), gradients_of(means, self._objective.parameters, batched=batched)

    def loss(self, group: int) -> Tensor:
        """Pass the whole batch."""
        each = self._objective.losses(self._within)
        return (self._members[group].to(each) * each).mean()


class Alone:
    """Take each group for a batch of its own, so that each sample passes once.

    Running statistics move by all groups together as they do by one batch, in which a group counts
    by its share.

    Args:
        objective: of the batch; it gets the logits.
        members: (G, B), boolean.
    """

    def __init__(self, objective: Objective, members: Tensor) -> None:
        self._objective = objective
        self._places = [member.nonzero().flatten() for member in members]
        self._parts = [objective.part(places) for places in self._places]

    def gradients(self) -> tuple[Tensor, list[Tensor]]:
        """Take a forward and a backward pass a group."""
        order, parameters = torch.cat(self._places).argsort(), self._objective.parameters
        losses, rows = [], []
        for group in range(len(self._parts)):
            each = self._losses(group)
            losses.append(each.detach())
            rows.append(torch.autograd.grad(each.mean(), parameters, materialize_grads=True))
        if self._objective.logits is None:
            logits = [part.logits for part in self._parts if part.logits is not None]
            self._objective.logits = torch.cat(logits)[order]
        return torch.cat(losses)[order], [torch.stack(row) for row in zip(*rows, strict=True)]

    def loss(self, group: int) -> Tensor:
        """Pass the group's samples."""
        return self._losses(group).sum() / len(self._objective.labels)

    def _losses(self, group: int) -> Tensor:
        part = self._parts[group]
        share = len(part.labels) / len(self._objective.labels)
        with _statistics_move_by(self._objective.model, share):
            return part.losses()


@contextmanager
def _statistics_move_by(model: nn.Module, share: float) -> Iterator[None]:
    """Let running statistics move by a share of a step: (1 - m)^share of them stays."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    former = [norm.momentum for norm in norms]
    for norm, momentum in zip(norms, former, strict=True):
        norm.momentum = None if momentum is None else 1 - (1 - momentum) ** share
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # BatchNorm's words
            raise
        raise InputError(
            f"a group has too few samples in a batch to be normalised by them ({error}); use "
            "--settings statistics=batch, or a larger --batch-size"
        ) from error
    finally:
        for norm, momentum in zip(norms, former, strict=True):
            norm.momentum = momentum
