"""Axes of tensors as rows of atoms: runs of units that are permuted as one."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Atom = int
CONSTANT: Literal["constant"] = "constant"  # an axis along which all values are the same


Piece = tuple[Atom, int]  # an atom, and how many entries in a row each of its units has


@dataclass(frozen=True)
class Units:
    """An axis that atoms lie along."""

    pieces: tuple[Piece, ...]


Axis = Units | Literal["constant"] | None  # None: fixed
Axes = tuple[Axis, ...]


@dataclass
class Atoms:
    """Atoms, and what became of them: equal to others, or made of smaller or coarser ones."""

    sizes: dict[Atom, int] = field(default_factory=dict)
    parts: dict[Atom, tuple[Piece, ...]] = field(default_factory=dict)
    pinned: set[Atom] = field(default_factory=set)

    def new(self, size: int) -> Atom:
        """Make an atom of so many units."""
        atom = len(self.sizes)
        self.sizes[atom] = size
        return atom

    def resolve(self, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
        """Write pieces in the atoms that are left."""
        found: list[Piece] = []
        for atom, repeat in pieces:
            own = self.parts.get(atom)
            inner = [(a, r * repeat) for a, r in own] if own is not None else []
            found += self.resolve(inner) if own is not None else [(atom, repeat)]
        return tuple(found)

    def pin(self, pieces: Iterable[Piece]) -> None:
        """Keep the units of pieces in place."""
        self.pinned.update(atom for atom, _ in self.resolve(pieces))

    def tie(self, one: Iterable[Piece], other: Iterable[Piece]) -> None:
        """Let two rows of atoms that are as long move together."""
        left, right = self.resolve(one), self.resolve(other)
        while left and right:
            a, b = left[0], right[0]
            if a == b:
                left, right = left[1:], right[1:]
                continue
            if a[0] == b[0]:  # the same units at other places: none can move
                self.pin((a,))
                left, right = left[1:], right[1:]
            elif a[1] == b[1]:
                self._meet(a[0], b[0])
            elif not self._coarsen(*(a, b) if a[1] < b[1] else (b, a)):
                self.pin((*left, *right))
                return
            left, right = self.resolve(left), self.resolve(right)

    def _meet(self, one: Atom, other: Atom) -> None:
        """Let the shorter of two atoms be the beginning of the longer."""
        large, small = (one, other) if self.sizes[one] >= self.sizes[other] else (other, one)
        rest = self.sizes[large] - self.sizes[small]
        self._replace(large, ((small, 1), *([(self.new(rest), 1)] if rest else [])))

    def _coarsen(self, fine: Piece, coarse: Piece) -> bool:
        """Let entries of one axis move in the blocks of another; false where they do not fit."""
        factor, odd = divmod(coarse[1], fine[1])
        count, left_over = divmod(self.sizes[fine[0]], factor)
        if odd or left_over:
            return False
        self._replace(fine[0], ((self.new(count), factor),))
        return True

    def _replace(self, atom: Atom, parts: tuple[Piece, ...]) -> None:
        self.parts[atom] = parts
        if atom in self.pinned:
            self.pin(parts)


class Labels:
    """The axes of tensors, in atoms that are tied together and pinned as a network is watched."""

    def __init__(self) -> None:
        self.atoms = Atoms()
        self._known = WeakTensorKeyDictionary()

    def label(self, tensor: Tensor, axes: Axes) -> None:
        """Say what lies along the axes of a tensor."""
        self._known[tensor] = axes

    def axes(self, tensor: Tensor) -> Axes:
        """Return what lies along the axes of a tensor; fixed where that is not known."""
        found: Axes = self._known.get(tensor, (None,) * tensor.dim())
        return found

    def resolved(self, axes: Axes) -> tuple[Units | None, ...]:
        """Axes in the atoms that are left; those that hold pinned ones alone are fixed."""
        found: list[Units | None] = []
        for axis in axes:
            pieces = self.atoms.resolve(axis.pieces) if isinstance(axis, Units) else ()
            free = any(atom not in self.atoms.pinned for atom, _ in pieces)
            found.append(Units(pieces) if free else None)
        return tuple(found)

    def pin(self, tensor: Tensor) -> None:
        """Keep all units of a tensor in place."""
        for axis in self.axes(tensor):
            self.fix(axis)

    def fix(self, axis: Axis) -> None:
        """Keep the units of an axis in place."""
        if isinstance(axis, Units):
            self.atoms.pin(axis.pieces)

    def tie(self, one: Axis, other: Axis) -> Axis:
        """Let two axes move together; return the common one."""
        if one == CONSTANT or other == CONSTANT:
            return other if one == CONSTANT else one
        if isinstance(one, Units) and isinstance(other, Units):
            self.atoms.tie(one.pieces, other.pieces)
            return one
        self.fix(one)
        self.fix(other)
        return None
