"""Compute a model in one precision, by functions that can be differentiated twice.

Networks cast within themselves (autocast, ``.half()``, ``.float()``), which rounds what is computed
in a higher precision; some functions of PyTorch have no second derivative, a wrong one, or sparse
gradients. Inside :class:`Precise` casts go to the precision of the weights at least, and those
functions are computed by others of the same values.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_CASTS: dict[Any, torch.dtype] = {
    Tensor.half: torch.half,
    Tensor.bfloat16: torch.bfloat16,
    Tensor.float: torch.float32,
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
        if func is not Tensor.view:  # which reads the bits as another type
            args = tuple(self._at_least(value) for value in args)
            named = {name: self._at_least(value) for name, value in named.items()}
        compute = _SUBSTITUTES.get(func, func)
        mixed = [kind for kind in _KINDS if torch.is_autocast_enabled(kind)]
        if not mixed:
            return compute(*args, **named)
        with ExitStack() as stack:
            for kind in mixed:
                stack.enter_context(torch.autocast(kind, enabled=False))
            return compute(*args, **named)

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


def _with_dense_gradient(function: Callable[..., Tensor]) -> Callable[..., Any]:
    shape = signature(function)

    def substitute(*args: Any, **named: Any) -> Any:
        bound = shape.bind(*args, **named)
        bound.arguments["sparse"] = False
        return function(*bound.args, **bound.kwargs)

    return substitute


# PyTorch has no second derivative of the first two, and a wrong one of the third
_SUBSTITUTES: dict[Any, Callable[..., Any]] = {
    F.hardsigmoid: _hardsigmoid,
    F.hardswish: _hardswish,
    torch._weight_norm: _weight_norm,
    F.embedding: _with_dense_gradient(F.embedding),
    F.embedding_bag: _with_dense_gradient(F.embedding_bag),
}
