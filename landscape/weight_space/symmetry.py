"""Find which axes of a network's weights can be permuted together without changing its outputs.

One forward pass is watched operation by operation. Every axis of a tensor is a row of atoms, each a
run of units that are permuted as one; an operation ties the axes it joins (a convolution the input
channels of its weight to those of its input, an addition both of its inputs), concatenation and
padding put atoms side by side. What an operation does that is not known here pins its atoms: they
stay in place. So the permutations found are a part of the network's symmetries, and always valid;
in particular whatever the inputs and outputs touch is pinned.
"""

# ruff: noqa: ARG001  # rules have the arguments of the operations that they follow

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary, WeakTensorKeyDictionary

from landscape.subject.batch import Batch
from landscape.subject.calling import outputs_of

Atom = int
_CONSTANT: Literal["constant"] = "constant"  # an axis along which all values are the same


Piece = tuple[Atom, int]  # an atom, and how many entries in a row each of its units has


@dataclass(frozen=True)
class Units:
    """An axis that atoms lie along."""

    pieces: tuple[Piece, ...]


Axis = Units | Literal["constant"] | None  # None: fixed
Axes = tuple[Axis, ...]
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
    state = dict(model.named_parameters(remove_duplicate=True)) | dict(model.named_buffers())
    for tensor in state.values():
        watch.label(tensor, tuple(Units(((watch.atoms.new(n), 1),)) for n in tensor.shape))
    with torch.no_grad(), watch:
        outputs = outputs_of(model, batch)
    for tensor in tree_leaves(outputs):
        if isinstance(tensor, Tensor):
            watch.pin(tensor)
    for name, tensor in state.items():
        if tensor not in watch.seen:
            watch.pin(state[name])
    places = {name: watch.resolved(watch.axes(tensor)) for name, tensor in state.items()}
    free = {
        atom
        for axes in places.values()
        for axis in axes
        if axis is not None
        for atom, _ in axis.pieces
        if atom not in watch.atoms.pinned
    }
    sizes = {atom: watch.atoms.sizes[atom] for atom in sorted(free) if watch.atoms.sizes[atom] > 1}
    kept = [(output, watch.resolved(axes)) for output, axes in watch.linear]
    return Symmetry(sizes, places, dict(watch.atoms.sizes)), kept


@dataclass
class _Atoms:
    """Atoms, and what became of them: equal to others, or made of smaller or coarser ones."""

    sizes: dict[Atom, int] = field(default_factory=dict)
    parts: dict[Atom, tuple[Piece, ...]] = field(default_factory=dict)
    pinned: set[Atom] = field(default_factory=set)

    def new(self, size: int) -> Atom:
        atom = len(self.sizes)
        self.sizes[atom] = size
        return atom

    def resolve(self, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
        found: list[Piece] = []
        for atom, repeat in pieces:
            own = self.parts.get(atom)
            inner = [(a, r * repeat) for a, r in own] if own is not None else []
            found += self.resolve(inner) if own is not None else [(atom, repeat)]
        return tuple(found)

    def pin(self, pieces: Iterable[Piece]) -> None:
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


class _Watch(TorchDispatchMode):
    """Follow the axes of tensors through the operations of a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms = _Atoms()
        self._known = WeakTensorKeyDictionary()
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
        rule = _RULES.get(name)
        axes = None
        if rule is not None and isinstance(first, Tensor):
            axes = rule(self, first, *args, **given)
        if axes is None:
            for tensor in used:
                self.pin(tensor)
        elif isinstance(first, Tensor):
            self.label(first, axes)
            if name in _LINEAR and first.dim() >= 2:
                self.linear.append((first, axes))
        return found

    def label(self, tensor: Tensor, axes: Axes) -> None:
        self._known[tensor] = axes

    def axes(self, tensor: Tensor) -> Axes:
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
        for axis in self.axes(tensor):
            self.fix(axis)

    def fix(self, axis: Axis) -> None:
        if isinstance(axis, Units):
            self.atoms.pin(axis.pieces)

    def tie(self, one: Axis, other: Axis) -> Axis:
        """Let two axes move together; return the common one."""
        if one == _CONSTANT or other == _CONSTANT:
            return other if one == _CONSTANT else one
        if isinstance(one, Units) and isinstance(other, Units):
            self.atoms.tie(one.pieces, other.pieces)
            return one
        self.fix(one)
        self.fix(other)
        return None


def _same(watch: _Watch, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes | None:
    axes = watch.axes(x)
    return axes if len(axes) == out.dim() else None


def _elementwise(watch: _Watch, out: Tensor, *operands: Any, **_: Any) -> Axes:
    """Tie the axes of operands as they broadcast."""
    found: list[Axis] = [_CONSTANT] * out.dim()
    for operand in operands:
        if not isinstance(operand, Tensor):
            continue
        shift = out.dim() - operand.dim()
        for d, axis in enumerate(watch.axes(operand)):
            if operand.shape[d] > 1 or out.shape[d + shift] == 1:
                found[d + shift] = watch.tie(found[d + shift], axis)
    return tuple(found)


def _convolution(
    watch: _Watch,
    out: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Axes | None:
    rows, columns, *window = watch.axes(weight)
    channels = watch.axes(x)[1]
    if transposed or groups not in (1, x.shape[1]) or 1 < groups != len(weight):
        return None
    for axis in window:
        watch.fix(axis)
    if groups == 1:
        watch.tie(columns, channels)
    else:
        watch.fix(columns)
        rows = watch.tie(rows, channels)
    if bias is not None:
        watch.tie(watch.axes(bias)[0], rows)
    return (None, rows, *[None] * len(window))


def _mm(watch: _Watch, out: Tensor, x: Tensor, weight: Tensor, **_: Any) -> Axes:
    left, inner = watch.axes(x)
    other, right = watch.axes(weight)
    watch.tie(inner, other)
    return left, right


def _addmm(
    watch: _Watch, out: Tensor, bias: Tensor, x: Tensor, weight: Tensor, **_: Any
) -> Axes | None:
    if bias.dim() != 1:
        return None
    left, right = _mm(watch, out, x, weight)
    return left, watch.tie(right, watch.axes(bias)[0])


def _batch_norm(watch: _Watch, out: Tensor, x: Tensor, *rest: Any, **_: Any) -> Axes:
    axes = list(watch.axes(x))
    for own in rest[:4]:
        if isinstance(own, Tensor) and own.numel():
            axes[1] = watch.tie(axes[1], watch.axes(own)[0])
    return tuple(axes)


def _layer_norm(
    watch: _Watch, out: Tensor, x: Tensor, shape: Any, *rest: Any, **_: Any
) -> Axes | None:
    if len(shape) != 1:
        return None
    axes = list(watch.axes(x))
    for own in rest[:2]:
        if isinstance(own, Tensor):
            axes[-1] = watch.tie(axes[-1], watch.axes(own)[0])
    return tuple(axes)


def _reduced(
    watch: _Watch,
    out: Tensor,
    x: Tensor,
    *rest: Any,
    dim: Any = None,
    keepdim: bool = False,
    **_: Any,
) -> Axes:
    lists = [a for a in (dim, *rest) if isinstance(a, (list, tuple))]
    dims = {d % x.dim() for d in lists[0]} if lists else set(range(x.dim()))
    axes = watch.axes(x)
    if out.dim() == x.dim():
        return tuple(None if d in dims else axis for d, axis in enumerate(axes))
    return tuple(axis for d, axis in enumerate(axes) if d not in dims)


def _pooled(watch: _Watch, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes:
    axes = watch.axes(x)
    for axis in axes[2:]:
        watch.fix(axis)
    return (*axes[:2], *[None] * (out.dim() - 2))


def _transposed(watch: _Watch, out: Tensor, x: Tensor, *dims: Any, **_: Any) -> Axes:
    axes = list(watch.axes(x))
    if len(dims) == 1:  # permute
        return tuple(axes[d] for d in dims[0])
    one, other = (d % x.dim() for d in dims) if dims else (0, x.dim() - 1)
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


def _expanded(watch: _Watch, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes:
    shift, axes = out.dim() - x.dim(), watch.axes(x)
    return tuple(
        _CONSTANT
        if d < shift or (x.shape[d - shift] == 1 and out.shape[d] > 1)
        else axes[d - shift]
        for d in range(out.dim())
    )


def _reshaped(watch: _Watch, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes | None:
    """Match runs of old axes with runs of new ones that hold as many entries."""
    old = [(n, a) for n, a in zip(x.shape, watch.axes(x), strict=True) if n != 1]
    found: list[Axis] = []
    sizes = list(out.shape)
    while sizes:
        if sizes[0] == 1:
            sizes.pop(0)
            found.append(None)
            continue
        before, after = [old.pop(0)], [sizes.pop(0)]
        while _product(n for n, _ in before) != _product(after):
            if _product(n for n, _ in before) < _product(after):
                before.append(old.pop(0))
            else:
                after.append(sizes.pop(0))
        found += _joined(watch, before, after)
    return tuple(found)


def _joined(watch: _Watch, before: list[tuple[int, Axis]], after: list[int]) -> list[Axis]:
    """Axes of a run of new axes; units may be repeated in a row, or stand apart again."""
    (_, first), *others = before
    inner = _product(after[1:])
    if len(after) == 1 and isinstance(first, Units):
        for _, axis in others:
            watch.fix(axis)
        inner = _product(n for n, _ in others)
        return [Units(tuple((atom, repeat * inner) for atom, repeat in first.pieces))]
    if not others and isinstance(first, Units):
        pieces = watch.atoms.resolve(first.pieces)
        if all(repeat % inner == 0 for _, repeat in pieces):
            outer = Units(tuple((atom, repeat // inner) for atom, repeat in pieces))
            return [outer, *[None] * (len(after) - 1)]
    for _, axis in before:
        watch.fix(axis)
    return [None] * len(after)


def _product(sizes: Iterable[int]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def _joined_in_a_row(watch: _Watch, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> Axes:
    dim %= out.dim()
    pieces: list[Piece] = []
    for part in parts:
        axis = watch.axes(part)[dim]
        if isinstance(axis, Units):
            pieces += axis.pieces
            continue
        fixed = (watch.atoms.new(part.shape[dim]), 1)
        watch.atoms.pin((fixed,))
        pieces.append(fixed)
    columns = zip_longest(*(watch.axes(part) for part in parts))
    found: list[Axis] = []
    for d, axes in enumerate(columns):
        common: Axis = _CONSTANT
        for axis in axes if d != dim else ():
            common = watch.tie(common, axis)
        found.append(Units(tuple(pieces)) if d == dim else common)
    return tuple(found)


def _padded(watch: _Watch, out: Tensor, x: Tensor, pad: Sequence[int], value: float = 0) -> Axes:
    """Put units that are zero, which may stand in any order, beside those of an axis."""
    found = list(watch.axes(x))
    for k in range(len(pad) // 2):
        d, (low, high) = x.dim() - 1 - k, pad[2 * k : 2 * k + 2]
        axis = found[d]
        if not (low or high):
            continue
        if isinstance(axis, Units) and value == 0 and min(low, high) >= 0:
            before, after = (((watch.atoms.new(n), 1),) if n else () for n in (low, high))
            found[d] = Units((*before, *axis.pieces, *after))
            continue
        watch.fix(axis)
        found[d] = None
    return tuple(found)


def _sliced(watch: _Watch, out: Tensor, x: Tensor, dim: int = 0, *_: Any, **__: Any) -> Axes:
    axes, dim = list(watch.axes(x)), dim % x.dim()
    if out.shape[dim] != x.shape[dim]:
        watch.fix(axes[dim])
        axes[dim] = None
    return tuple(axes)


_LINEAR = {"convolution", "mm", "addmm"}
_SAME = (
    "relu tanh sigmoid gelu silu hardtanh leaky_relu elu softplus mish hardswish neg exp log sqrt "
    "rsqrt abs square pow clamp clamp_min detach alias clone _to_copy contiguous native_dropout "
    "_softmax _log_softmax lift_fresh"
)
_RULES: dict[str, Callable[..., Axes | None]] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum"), _elementwise),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze"), _reshaped),
    **dict.fromkeys(("t", "transpose", "permute"), _transposed),
    **dict.fromkeys(("mean", "sum", "amax", "linalg_vector_norm"), _reduced),
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit_no_training",
            "_native_batch_norm_legit",
            "cudnn_batch_norm",
            "_batch_norm_no_update",
        ),
        _batch_norm,
    ),
    **dict.fromkeys(
        (
            "max_pool2d_with_indices",
            "avg_pool2d",
            "_adaptive_avg_pool2d",
            "adaptive_avg_pool2d",
        ),
        _pooled,
    ),
    "convolution": _convolution,
    "mm": _mm,
    "addmm": _addmm,
    "native_layer_norm": _layer_norm,
    "expand": _expanded,
    "cat": _joined_in_a_row,
    "constant_pad_nd": _padded,
    "slice": _sliced,
}
