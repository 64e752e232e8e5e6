"""Compute a model in one precision, by functions that can be differentiated twice.

Networks cast within themselves (autocast, ``.half()``, ``.float()``), which rounds what is computed
in a higher precision; some functions of PyTorch have no second derivative, a wrong one, or sparse
gradients. Inside :class:`Precise` casts go to the precision of the weights at least, and those
functions are computed by others of the same values, and so are the losses whose derivatives cancel
where a sample is fitted.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.overrides import TorchFunctionMode

from landscape.subject.batch import mapped, tensors
from landscape.subject.recomputation import recomputed_in
from landscape.subject.stable import (
    binary_cross_entropy_with_logits,
    can_be_stable,
    cross_entropy,
    log_softmax,
)

_CASTS: dict[Any, torch.dtype] = {
    Tensor.half: torch.half,
    Tensor.bfloat16: torch.bfloat16,
    Tensor.float: torch.float32,
}
_TYPES = {
    "BFloat16Tensor": torch.bfloat16,
    "HalfTensor": torch.half,
    "FloatTensor": torch.float32,
    "DoubleTensor": torch.float64,
}
_KINDS = ("cpu", "cuda")  # of devices with autocast


class Precise(TorchFunctionMode):
    """Compute in a precision at least, whatever a model asks for.

    Args:
        dtype: of the model's weights.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype, self._bits = dtype, torch.finfo(dtype).bits
        self._entered = list[ExitStack]()

    def __enter__(self) -> "Precise":
        stack = ExitStack()
        stack.enter_context(recomputed_in(partial(Precise, self._dtype)))
        self._entered.append(stack)
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._entered.pop().close()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute a function of PyTorch's."""
        named = dict(kwargs or {})
        if func in _CASTS:
            return args[0].to(self._at_least(_CASTS[func]), **named)
        if func is Tensor.type:
            args = (args[0], *map(self._of_type, args[1:]))
            named = {name: self._of_type(value) for name, value in named.items()}
        if func is not Tensor.view:  # which reads the bits as another type
            args = tuple(self._at_least(value) for value in args)
            named = {name: self._at_least(value) for name, value in named.items()}
        mixed = [kind for kind in _KINDS if torch.is_autocast_enabled(kind)]
        with ExitStack() as stack:
            for kind in mixed:
                stack.enter_context(torch.autocast(kind, enabled=False))
            return self._computed(_SUBSTITUTES.get(func, func), args, named)

    def _computed(
        self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Compute a function; where it does not take several precisions, in one."""
        try:
            return func(*args, **named)
        except RuntimeError:
            in_place = getattr(func, "__name__", "").endswith("_")
            if in_place or all(self._raised(part) is part for part in tensors((args, named))):
                raise
        args, named = mapped(self._raised, args), mapped(self._raised, named)
        return func(*args, **named)

    def _raised(self, part: Tensor) -> Tensor:
        lower = part.is_floating_point() and torch.finfo(part.dtype).bits < self._bits
        return part.to(self._dtype) if lower else part

    def _of_type(self, kind: Any) -> Any:
        """Take a type of tensors such as ``torch.FloatTensor``, or its name, in the precision."""
        place, last = getattr(kind, "__module__", ""), getattr(kind, "__name__", "")
        if isinstance(kind, str):
            place, _, last = kind.rpartition(".")
        dtype = _TYPES.get(last)
        if dtype is None or self._at_least(dtype) is dtype:
            return kind
        return f"{place}.{next(own for own, found in _TYPES.items() if found is self._dtype)}"

    def _at_least(self, value: Any) -> Any:
        lower = isinstance(value, torch.dtype) and value.is_floating_point
        return self._dtype if lower and torch.finfo(value).bits < self._bits else value


def _hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    found = F.relu6(x + 3) / 6
    return x.copy_(found) if inplace else found


def _hardswish(x: Tensor, inplace: bool = False) -> Tensor:
    factor = F.relu6(x + 3) / 6
    return x.mul_(factor) if inplace else x * factor


def _weight_norm(direction: Tensor, length: Tensor, dim: int = 0) -> Tensor:
    """Compute g v / ‖v‖."""
    others = [d for d in range(direction.dim()) if d != dim]
    size = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
    return length * direction / size


def substitute_modules(model: nn.Module) -> None:
    """Take the substitutes for a copy's modules as well, for passes that are made outside.

    Checkpointed layers run once more in the backward pass, where the mode is not active.
    """
    for module in model.modules():
        if "forward" in vars(module):
            continue
        if type(module) in _OF_MODULES:
            module.forward = partial(_OF_MODULES[type(module)], inplace=module.inplace)
        elif type(module) is parametrizations._WeightNorm:
            module.forward = partial(_parametrised_norm, module.dim)  # type: ignore[method-assign]


def _parametrised_norm(dim: int, length: Tensor, direction: Tensor) -> Tensor:
    return _weight_norm(direction, length, dim)


def _with_dense_gradient(function: Callable[..., Tensor]) -> Callable[..., Any]:
    shape = signature(function)

    def substitute(*args: Any, **named: Any) -> Any:
        bound = shape.bind(*args, **named)
        bound.arguments["sparse"] = False
        return function(*bound.args, **bound.kwargs)

    return substitute


def _log_softmax(input: Tensor, dim: int | None = None, *args: Any, **named: Any) -> Tensor:
    """Compute any of PyTorch's three spellings of log-softmax."""
    dtype = named.get("dtype", args[-1] if args else None)
    own = dim if dim is not None else (0 if input.dim() in (0, 1, 3) else 1)
    values = input if dtype is None or isinstance(dtype, int) else input.to(dtype)
    if can_be_stable(values, own):
        return log_softmax(values, own)
    return torch.log_softmax(values, own)


_OF_MODULES: dict[type, Callable[..., Tensor]] = {
    nn.Hardsigmoid: _hardsigmoid,
    nn.Hardswish: _hardswish,
}
# PyTorch has no second derivative of the first two, and a wrong one of the third
_SUBSTITUTES: dict[Any, Callable[..., Any]] = {
    F.hardsigmoid: _hardsigmoid,
    F.hardswish: _hardswish,
    torch._weight_norm: _weight_norm,
    F.embedding: _with_dense_gradient(F.embedding),
    F.embedding_bag: _with_dense_gradient(F.embedding_bag),
    # and of fitted samples these lose their digits
    **dict.fromkeys((F.log_softmax, torch.log_softmax, Tensor.log_softmax), _log_softmax),
    F.cross_entropy: cross_entropy,
    F.binary_cross_entropy_with_logits: binary_cross_entropy_with_logits,
}
