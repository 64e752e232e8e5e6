"""Batches of any form: inputs and targets are tensors, or tuples, lists and mappings of tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from landscape.errors import InputError


class Batch(tuple[Any, Any]):
    """Inputs and targets of B samples; a pair, so that it unpacks as one."""

    samples: Tensor | None  # (B,) their numbers in the data

    def __new__(cls, inputs: Any, targets: Any, samples: Tensor | None = None) -> "Batch":
        """Join inputs and targets."""
        made = super().__new__(cls, (inputs, targets))
        made.samples = samples
        return made

    @staticmethod
    def of(pair: tuple[Any, Any]) -> "Batch":
        """Take inputs and targets as a batch."""
        return pair if isinstance(pair, Batch) else Batch(*pair)

    @property
    def size(self) -> int:
        """Number of samples B: rows of the first tensor among the targets, else the inputs.

        Raises:
            InputError: there is no tensor with rows.
        """
        inputs, targets = self
        rows = [len(t) for part in (targets, inputs) for t in tensors(part) if t.dim()]
        if not rows:
            raise InputError(
                f"a batch holds {type(inputs).__name__} and {type(targets).__name__} without a "
                "tensor of one row a sample; give the data a collate function that joins samples"
            )
        return rows[0]

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Batch":
        """Apply a function to every tensor."""
        inputs, targets = (mapped(function, part) for part in self)
        return Batch(inputs, targets, self.samples)

    def rows(self, at: slice | Tensor) -> "Batch":
        """Take some of the samples; a tensor without one row a sample is shared by all."""
        count = self.size
        inputs, targets = (
            mapped(lambda t: t[at] if t.dim() and len(t) == count else t, part) for part in self
        )
        place = at.cpu() if isinstance(at, Tensor) else at
        return Batch(inputs, targets, None if self.samples is None else self.samples[place])

    def number(self, place: int) -> int:
        """Number of a sample in the data; its place where that is not known."""
        return place if self.samples is None else int(self.samples[place])

    def described(self) -> str:
        """Name the samples and the kinds of their inputs."""
        held = ", ".join(f"{tuple(t.shape)} of {t.dtype}" for t in tensors(self[0])[:3])
        inputs = f"inputs {held.replace('torch.', '')}" if held else "inputs without a tensor"
        if self.samples is None or len(self.samples) == 0:
            return inputs
        return f"{named_samples(self.samples.tolist())}, {inputs}"


def named_samples(numbers: list[int]) -> str:
    """Name samples by their numbers: a range, or the first of them."""
    first, count = numbers[0], len(numbers)
    if count <= 3:
        return f"sample{'s' * (count > 1)} {', '.join(map(str, numbers))}"
    if numbers == list(range(first, first + count)):
        return f"samples {first} … {numbers[-1]}"
    return f"samples {', '.join(map(str, numbers[:3]))} and {count - 3} more"


def mapped(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Apply a function to every tensor of a nest of tuples, lists and mappings."""

    def leaf(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            value = torch.from_numpy(value)
        if isinstance(value, Tensor):
            return function(value)
        if isinstance(value, Mapping):  # of a type that PyTorch does not know, as transformers'
            return {name: mapped(function, part) for name, part in value.items()}
        return value

    return tree_map(leaf, tree)


def tensors(tree: Any) -> list[Tensor]:
    """List the tensors of a nest."""
    found: list[Tensor] = []
    mapped(found.append, tree)
    return found


def check_finite(values: Tensor, batch: Batch, what: str) -> None:
    """Check that the values of each sample of a batch are numbers.

    Args:
        values: (B, …).
        batch: whose samples and inputs are named.
        what: one of the values, such as ``the loss``.

    Raises:
        InputError: a value is NaN or infinite.
    """
    values = values.detach()
    finite = values.isfinite()
    if finite.all():
        return
    place = int((~finite).view(len(values), -1).any(dim=1).nonzero()[0])
    wrong = values[place][~values[place].isfinite()]
    given = tensors(batch.rows(slice(place, place + 1))[0])
    odd = any(t.is_floating_point() and not t.isfinite().all() for t in given)
    cause = (
        "its inputs hold values that are no finite numbers; mend the data"
        if odd
        else "its inputs are finite; the model or the loss overflows there, or the model reads "
        "what it kept from an earlier pass"
    )
    number = batch.number(place)
    raise InputError(f"{what} of sample {number} is {float(wrong[0]):g}: {cause}")
