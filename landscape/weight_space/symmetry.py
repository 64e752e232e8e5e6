"""Find which axes of a network's weights can be permuted together without changing its outputs.

One forward pass is watched operation by operation. Every axis of a tensor is a row of atoms, each a
run of units that are permuted as one; an operation ties the axes it joins (a convolution the input
channels of its weight to those of its input, an addition both of its inputs), concatenation and
padding put atoms side by side. What an operation does that is not known here pins its atoms: they
stay in place. So the permutations found are a part of the network's symmetries, and always valid;
in particular whatever the inputs and outputs touch is pinned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from landscape.subject.batch import Batch
from landscape.subject.calling import outputs_of
from landscape.weight_space.axes import Atom, Axes, Labels, Units
from landscape.weight_space.axis_rules import LINEAR, RULES

Kept = tuple[Tensor, tuple[Units | None, ...]]  # an output and its axes


@dataclass(frozen=True)
class Symmetry:
    """The atoms of a network, and where they lie in its parameters and buffers."""

    sizes: dict[Atom, int]  # of those that can be permuted
    places: dict[str, tuple[Units | None, ...]]  # by the name of a parameter or buffer
    lengths: dict[Atom, int]  # of all atoms, pinned ones too

    def index(self, axis: Units, permutations: Mapping[Atom, Tensor]) -> Tensor:
        """Build the index (n,) that permutes an axis; missing atoms stay in place."""
        parts, start = [], 0
        for atom, repeat in axis.pieces:
            own = permutations.get(atom)
            units = torch.arange(self.lengths[atom]) if own is None else own
            parts.append(start + (units[:, None] * repeat + torch.arange(repeat)).flatten())
            start += len(units) * repeat
        return torch.cat(parts)

    def occurrences(self, atom: Atom, axes: Sequence[Units | None]) -> list[tuple[int, int, int]]:
        """List where an atom lies in a tensor: axis, first entry, and entries of a unit."""
        found = []
        for dim, axis in enumerate(axes):
            start = 0
            for other, repeat in () if axis is None else axis.pieces:
                if other == atom:
                    found.append((dim, start, repeat))
                start += self.lengths[other] * repeat
        return found

    def permuted(
        self, name: str, value: Tensor, permutations: Mapping[Atom, Tensor], but: int | None = None
    ) -> Tensor:
        """Permute the axes of a parameter or buffer, but one."""
        for dim, axis in enumerate(self.places.get(name, ())):
            if axis is not None and dim != but:
                value = value.index_select(dim, self.index(axis, permutations).to(value.device))
        return value


def find_symmetry(model: nn.Module, batch: Batch) -> tuple[Symmetry, list[Kept]]:
    """Watch a forward pass of a model in eval mode.

    Args:
        model: a copy without hooks of its own; BatchNorm as torch computes it.
        batch: of a few samples.

    Returns:
        The symmetry, and the outputs (B, units, …) of linear maps with their axes, resolved.
    """
    watch = _Watch()
    labels = watch.labels
    state = dict(model.named_parameters(remove_duplicate=True)) | dict(model.named_buffers())
    for tensor in state.values():
        labels.label(tensor, tuple(Units(((labels.atoms.new(n), 1),)) for n in tensor.shape))
    with torch.no_grad(), watch:
        outputs = outputs_of(model, batch)
    for tensor in tree_leaves(outputs):
        if isinstance(tensor, Tensor):
            labels.pin(tensor)
    for name, tensor in state.items():
        if tensor not in watch.seen:
            labels.pin(state[name])
    places = {name: labels.resolved(labels.axes(tensor)) for name, tensor in state.items()}
    free = {
        atom
        for axes in places.values()
        for axis in axes
        if axis is not None
        for atom, _ in axis.pieces
        if atom not in labels.atoms.pinned
    }
    lengths = dict(labels.atoms.sizes)
    sizes = {atom: lengths[atom] for atom in sorted(free) if lengths[atom] > 1}
    kept = [(output, labels.resolved(axes)) for output, axes in watch.linear]
    return Symmetry(sizes, places, lengths), kept


class _Watch(TorchDispatchMode):
    """Follow the axes of tensors through the operations of a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = Labels()
        self.seen = WeakIdKeyDictionary()
        self.linear: list[tuple[Tensor, Axes]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and label what comes out."""
        given = kwargs or {}
        used = [t for t in tree_leaves((args, given)) if isinstance(t, Tensor)]
        for tensor in used:
            self.seen[tensor] = True
        found = func(*args, **given)
        name = func.overloadpacket.__name__.rstrip("_")
        first = found[0] if isinstance(found, (tuple, list)) else found
        rule = RULES.get(name)
        axes = None
        if rule is not None and isinstance(first, Tensor):
            axes = rule(self.labels, first, *args, **given)
        if axes is None:
            for tensor in used:
                self.labels.pin(tensor)
        elif isinstance(first, Tensor):
            self.labels.label(first, axes)
            if name in LINEAR and first.dim() >= 2:
                self.linear.append((first, axes))
        return found
