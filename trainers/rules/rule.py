"""The interface of a gradient rule: from a batch's losses to the optimiser's direction."""

from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from trainers.objective import Objective

StageChoice = Literal["first", "second", "both"]  # in which a rule or regulariser acts


class Rule(Protocol):
    """Fill ``p.grad`` of every trainable parameter, without knowing loss or optimiser."""

    def __call__(self, objective: Objective) -> Tensor:
        """Compute the gradients of one step.

        Args:
            objective: of the batch; the model's gradients are cleared.

        Returns:
            The detached per-sample losses (B,) at the unperturbed parameters.
        """
        ...


@runtime_checkable
class ChecksData(Protocol):
    """Check the data before the first step."""

    def check(self, class_counts: Tensor) -> None:
        """Check that the rule applies to the data.

        Args:
            class_counts: (K,) training samples.

        Raises:
            InputError: the rule does not apply to them.
        """
        ...


@runtime_checkable
class Stateful(Protocol):
    """Carry a state from step to step, which a checkpoint has to hold."""

    def state(self) -> dict[str, Any]:
        """Return tensors and plain types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        ...
