"""Evaluate several points of a plane in one forward pass, by vmap over the weights.

The same operations on stacked weights: values agree with those of one point after the other to
rounding. It saves launches, not arithmetic (``python -m tests.benchmarks.surface`` measures it).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from landscape.distributed import is_sharing
from landscape.errors import InputError
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch, mapped, tensors
from landscape.subject.calling import outputs_of
from landscape.subject.out_of_memory import halved, with_less_memory
from landscape.weight_space.evaluator import ClassLosses, Evaluator

Steps = tuple[float, ...]


class Points:
    """Evaluate points of a plane, several at once where the model allows it.

    Models that vmap refuses, losses that are no function of outputs, statistics of batches and
    samples shared by processes are evaluated one point after the other.

    Args:
        evaluator: at whose centre the plane is.
        directions: each one tensor a parameter.
        at_once: points of a forward pass.
    """

    def __init__(
        self, evaluator: Evaluator, directions: Sequence[Sequence[Tensor]], at_once: int = 1
    ) -> None:
        self._evaluator, self._directions, self.at_once = evaluator, directions, at_once
        self._stacks: bool | None = None  # not tried yet

    def at(self, steps: Sequence[Steps]) -> list[ClassLosses]:
        """Evaluate points.

        Args:
            steps: of each point along the directions.
        """
        if self.at_once == 1 or not self._can_stack():
            return [self._evaluator.at(self._directions, point) for point in steps]
        return with_less_memory(lambda: self._in_parts(steps), self._take_less)

    def _take_less(self) -> bool:
        before, self.at_once = self.at_once, halved(self.at_once, "points")
        return self.at_once < before

    @controlled_state()
    def _in_parts(self, steps: Sequence[Steps]) -> list[ClassLosses]:
        found: list[ClassLosses] = []
        for start in range(0, len(steps), self.at_once):
            part = steps[start : start + self.at_once]
            if len(part) == 1:
                found.append(self._evaluator.at(self._directions, part[0]))
            else:
                found += self._stacked(part)
        return found

    def _stacked(self, steps: Sequence[Steps]) -> list[ClassLosses]:
        weights, evaluator = self._weights(steps), self._evaluator
        parts: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in steps]
        seen = 0
        for batch in evaluator.batches():
            outputs = self._outputs(weights, batch)
            for k, own in enumerate(parts):
                own.append(evaluator.judged(batch, seen, mapped(partial(_row, k), outputs)))
            seen += batch.size
        return [evaluator.tallied(own) for own in parts]

    def _weights(self, steps: Sequence[Steps]) -> dict[str, Tensor]:
        """Stack the weights of points (G, …)."""
        moved = []
        for point in steps:
            self._evaluator.move(self._directions, point)
            moved.append([p.detach().clone() for p in self._evaluator.parameters])
        return {
            f"model.{name}": torch.stack(parts)
            for name, parts in zip(self._evaluator.names, zip(*moved, strict=True), strict=True)
        }

    def _outputs(self, weights: dict[str, Tensor], batch: Batch) -> Any:
        network = _Outputs(self._evaluator.model)
        with torch.no_grad():
            return vmap(lambda own: functional_call(network, own, (batch,)))(weights)

    def _can_stack(self) -> bool:
        """Tell whether stacked weights give a few samples the outputs that single ones do."""
        if self._stacks is None:
            self._stacks = (
                not is_sharing() and self._evaluator.is_of_outputs and self._agrees_on_few()
            )
        return self._stacks

    @controlled_state()
    def _agrees_on_few(self) -> bool:
        evaluator, at = self._evaluator, len(self._directions)
        batch, points = evaluator.few(), [(0.1,) * at, (-0.2,) * at]
        try:
            stacked = tensors(self._outputs(self._weights(points), batch))
        except (InputError, RuntimeError, TypeError, ValueError):  # what vmap cannot follow
            return False
        for k, point in enumerate(points):
            evaluator.move(self._directions, point)
            with torch.no_grad():
                alone = tensors(outputs_of(evaluator.model, batch))
            for many, one in zip(stacked, alone, strict=True):
                within = torch.finfo(one.dtype).eps ** 0.5 if one.is_floating_point() else 0.0
                if not torch.allclose(many[k], one, rtol=within, atol=within, equal_nan=True):
                    return False
        return True


def _row(k: int, stacked: Tensor) -> Tensor:
    return stacked[k]


class _Outputs(nn.Module):
    """A model as a module of batches, whose weights can be given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> Any:
        return outputs_of(self.model, batch)
