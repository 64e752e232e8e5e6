"""What a gradient rule is: from a batch's losses to the direction the optimiser follows."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from trainers.objective import Objective


class Rule(Protocol):
    """Fills ``p.grad`` of every trainable parameter; knows neither the loss nor the optimiser."""

    def __call__(self, objective: Objective) -> Tensor:
        """Take one step's gradients.

        Args:
            objective: of the batch; the model's gradients are cleared.

        Returns:
            The detached per-sample losses (B,) at the unperturbed parameters.
        """
        ...


@runtime_checkable
class ChecksData(Protocol):
    """A rule that not all data suit."""

    def check(self, class_counts: Tensor) -> None:
        """Look at the data before the first step.

        Args:
            class_counts: (K,) training samples.

        Raises:
            InputError: the rule could not do on them what it is for.
        """
        ...


@runtime_checkable
class Stateful(Protocol):
    """A rule that carries something from step to step, which a checkpoint has to hold."""

    def state(self) -> dict[str, Any]:
        """Return tensors and plain types."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what :meth:`state` returned."""
        ...
