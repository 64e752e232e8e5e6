"""Which axes each operation ties together: a rule an operation of torch's."""

# ruff: noqa: ARG001  # rules have the arguments of the operations that they follow

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any

from torch import Tensor

from landscape.weight_space.axes import CONSTANT, Axes, Axis, Labels, Piece, Units


def _same(labels: Labels, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes | None:
    axes = labels.axes(x)
    return axes if len(axes) == out.dim() else None


def _elementwise(labels: Labels, out: Tensor, *operands: Any, **_: Any) -> Axes:
    """Tie the axes of operands as they broadcast."""
    found: list[Axis] = [CONSTANT] * out.dim()
    for operand in operands:
        if not isinstance(operand, Tensor):
            continue
        shift = out.dim() - operand.dim()
        for d, axis in enumerate(labels.axes(operand)):
            if operand.shape[d] > 1 or out.shape[d + shift] == 1:
                found[d + shift] = labels.tie(found[d + shift], axis)
    return tuple(found)


def _convolution(
    labels: Labels,
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
    rows, columns, *window = labels.axes(weight)
    channels = labels.axes(x)[1]
    if transposed or groups not in (1, x.shape[1]) or 1 < groups != len(weight):
        return None
    for axis in window:
        labels.fix(axis)
    if groups == 1:
        labels.tie(columns, channels)
    else:
        labels.fix(columns)
        rows = labels.tie(rows, channels)
    if bias is not None:
        labels.tie(labels.axes(bias)[0], rows)
    return (None, rows, *[None] * len(window))


def _mm(labels: Labels, out: Tensor, x: Tensor, weight: Tensor, **_: Any) -> Axes:
    left, inner = labels.axes(x)
    other, right = labels.axes(weight)
    labels.tie(inner, other)
    return left, right


def _addmm(
    labels: Labels, out: Tensor, bias: Tensor, x: Tensor, weight: Tensor, **_: Any
) -> Axes | None:
    if bias.dim() != 1:
        return None
    left, right = _mm(labels, out, x, weight)
    return left, labels.tie(right, labels.axes(bias)[0])


def _batch_norm(labels: Labels, out: Tensor, x: Tensor, *rest: Any, **_: Any) -> Axes:
    axes = list(labels.axes(x))
    for own in rest[:4]:
        if isinstance(own, Tensor) and own.numel():
            axes[1] = labels.tie(axes[1], labels.axes(own)[0])
    return tuple(axes)


def _layer_norm(
    labels: Labels, out: Tensor, x: Tensor, shape: Any, *rest: Any, **_: Any
) -> Axes | None:
    if len(shape) != 1:
        return None
    axes = list(labels.axes(x))
    for own in rest[:2]:
        if isinstance(own, Tensor):
            axes[-1] = labels.tie(axes[-1], labels.axes(own)[0])
    return tuple(axes)


def _reduced(
    labels: Labels,
    out: Tensor,
    x: Tensor,
    *rest: Any,
    dim: Any = None,
    keepdim: bool = False,
    **_: Any,
) -> Axes:
    lists = [a for a in (dim, *rest) if isinstance(a, (list, tuple))]
    dims = {d % x.dim() for d in lists[0]} if lists else set(range(x.dim()))
    axes = labels.axes(x)
    if out.dim() == x.dim():
        return tuple(None if d in dims else axis for d, axis in enumerate(axes))
    return tuple(axis for d, axis in enumerate(axes) if d not in dims)


def _pooled(labels: Labels, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes:
    axes = labels.axes(x)
    for axis in axes[2:]:
        labels.fix(axis)
    return (*axes[:2], *[None] * (out.dim() - 2))


def _transposed(labels: Labels, out: Tensor, x: Tensor, *dims: Any, **_: Any) -> Axes:
    axes = list(labels.axes(x))
    if len(dims) == 1:  # permute
        return tuple(axes[d] for d in dims[0])
    one, other = (d % x.dim() for d in dims) if dims else (0, x.dim() - 1)
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


def _expanded(labels: Labels, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes:
    shift, axes = out.dim() - x.dim(), labels.axes(x)
    return tuple(
        CONSTANT if d < shift or (x.shape[d - shift] == 1 and out.shape[d] > 1) else axes[d - shift]
        for d in range(out.dim())
    )


def _reshaped(labels: Labels, out: Tensor, x: Tensor, *_: Any, **__: Any) -> Axes | None:
    """Match runs of old axes with runs of new ones that hold as many entries."""
    old = [(n, a) for n, a in zip(x.shape, labels.axes(x), strict=True) if n != 1]
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
        found += _joined(labels, before, after)
    return tuple(found)


def _joined(labels: Labels, before: list[tuple[int, Axis]], after: list[int]) -> list[Axis]:
    """Axes of a run of new axes; units may be repeated in a row, or stand apart again."""
    (_, first), *others = before
    inner = _product(after[1:])
    if len(after) == 1 and isinstance(first, Units):
        for _, axis in others:
            labels.fix(axis)
        inner = _product(n for n, _ in others)
        return [Units(tuple((atom, repeat * inner) for atom, repeat in first.pieces))]
    if not others and isinstance(first, Units):
        pieces = labels.atoms.resolve(first.pieces)
        if all(repeat % inner == 0 for _, repeat in pieces):
            outer = Units(tuple((atom, repeat // inner) for atom, repeat in pieces))
            return [outer, *[None] * (len(after) - 1)]
    for _, axis in before:
        labels.fix(axis)
    return [None] * len(after)


def _product(sizes: Iterable[int]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def _joined_in_a_row(labels: Labels, out: Tensor, parts: Sequence[Tensor], dim: int = 0) -> Axes:
    dim %= out.dim()
    pieces: list[Piece] = []
    for part in parts:
        axis = labels.axes(part)[dim]
        if isinstance(axis, Units):
            pieces += axis.pieces
            continue
        fixed = (labels.atoms.new(part.shape[dim]), 1)
        labels.atoms.pin((fixed,))
        pieces.append(fixed)
    columns = zip_longest(*(labels.axes(part) for part in parts))
    found: list[Axis] = []
    for d, axes in enumerate(columns):
        common: Axis = CONSTANT
        for axis in axes if d != dim else ():
            common = labels.tie(common, axis)
        found.append(Units(tuple(pieces)) if d == dim else common)
    return tuple(found)


def _padded(labels: Labels, out: Tensor, x: Tensor, pad: Sequence[int], value: float = 0) -> Axes:
    """Put units that are zero, which may stand in any order, beside those of an axis."""
    found = list(labels.axes(x))
    for k in range(len(pad) // 2):
        d, (low, high) = x.dim() - 1 - k, pad[2 * k : 2 * k + 2]
        axis = found[d]
        if not (low or high):
            continue
        if isinstance(axis, Units) and value == 0 and min(low, high) >= 0:
            before, after = (((labels.atoms.new(n), 1),) if n else () for n in (low, high))
            found[d] = Units((*before, *axis.pieces, *after))
            continue
        labels.fix(axis)
        found[d] = None
    return tuple(found)


def _sliced(labels: Labels, out: Tensor, x: Tensor, dim: int = 0, *_: Any, **__: Any) -> Axes:
    axes, dim = list(labels.axes(x)), dim % x.dim()
    if out.shape[dim] != x.shape[dim]:
        labels.fix(axes[dim])
        axes[dim] = None
    return tuple(axes)


LINEAR = {"convolution", "mm", "addmm"}
_SAME = (
    "relu tanh sigmoid gelu silu hardtanh leaky_relu elu softplus mish hardswish neg exp log sqrt "
    "rsqrt abs square pow clamp clamp_min detach alias clone _to_copy contiguous native_dropout "
    "_softmax _log_softmax lift_fresh"
)
RULES: dict[str, Callable[..., Axes | None]] = {
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
