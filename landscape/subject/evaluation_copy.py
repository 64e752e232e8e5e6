"""Copies of a model that are judged in place of it."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations

from landscape.errors import InputError
from landscape.global_state import controlled_state

BatchNormMode = Literal["eval", "batch"]


@controlled_state()
def evaluation_copy(
    model: nn.Module,
    dtype: torch.dtype = torch.float32,
    bn: BatchNormMode = "eval",
    *,
    fold_batchnorm: bool = True,
) -> nn.Module:
    """Copy a model for judging: eval mode, given precision, gradients cleared.

    Working on a copy keeps the user's parameters, buffers, gradients and flags untouched. In eval
    mode BatchNorm is an affine map and is computed as one, which halves its double backward.

    Args:
        model: any network.
        dtype: floating type of the copy's parameters and buffers.
        bn: ``batch`` normalises by each batch's statistics, without touching the running ones.
        fold_batchnorm: compute eval-mode BatchNorm as an affine map.

    Raises:
        InputError: it cannot be copied, or holds complex parameters.
    """
    judged = _without_inference_tensors(_copied(model)).to(dtype).eval()
    for parameter in judged.parameters():
        parameter.grad = None
    for module in judged.modules():
        if isinstance(module, nn.RNNBase) and "forward" not in vars(module):
            module.forward = partial(_without_cudnn, module)
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if bn == "batch":
            module.train()
            module.track_running_stats = False
        elif fold_batchnorm and _is_plain(module):
            module.forward = partial(affine_batchnorm, module)  # type: ignore[method-assign]
    return judged


def cast_like(values: Tensor, weight: Tensor) -> Tensor:
    """Put inputs or targets where a model's weights are, and in their precision if they are real.

    Args:
        values: of a batch; integers, such as labels and tokens, stay so.
        weight: any parameter of the model.
    """
    moved = values.to(weight if values.is_floating_point() else weight.device)
    return moved.clone() if moved.is_inference() else moved  # which no graph could save


def _copied(model: nn.Module) -> nn.Module:
    """Copy what a compiled or parallel model wraps; functions without second derivative go."""
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise InputError(
                f"parameter '{name}' has no shape yet (a lazy module); run the model on one batch"
            )
        if parameter.is_complex():
            raise InputError(
                f"parameter '{name}' is complex ({parameter.dtype}); curvature and surfaces are "
                "over real parameters: hold real and imaginary part as two"
            )
    try:
        copied = copy.deepcopy(unwrapped(model))
    except Exception as error:
        raise InputError(
            f"the model cannot be copied ({type(error).__name__}: {_first_line(error)}), and only "
            "a copy is judged; remove what it keeps from earlier passes (activations, locks, open "
            "files), or build it anew and load its weights"
        ) from error
    for module in list(copied.modules()):
        module._compiled_call_impl = None
        for name, child in module.named_children():
            setattr(module, name, unwrapped(child))
        replacement = _TWICE_DIFFERENTIABLE.get(type(module))
        if replacement is not None and "forward" not in vars(module):
            module.forward = partial(replacement, module)
    return copied


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside ``torch.compile``, ``DataParallel`` and the like."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, _PARALLEL):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _hardsigmoid(_: nn.Module, x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6


def _hardswish(_: nn.Module, x: Tensor) -> Tensor:
    return x * F.relu6(x + 3) / 6


def _weight_norm(norm: nn.Module, length: Tensor, direction: Tensor) -> Tensor:
    """Compute g v / ‖v‖; the fused function's second derivative is wrong."""
    others = [d for d in range(direction.dim()) if d != norm.dim]
    size = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
    return length * direction / size


# PyTorch has no second derivative for the first two, and a wrong one for the third
_TWICE_DIFFERENTIABLE: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Hardsigmoid: _hardsigmoid,
    nn.Hardswish: _hardswish,
    parametrizations._WeightNorm: _weight_norm,
}
_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def _without_cudnn(module: nn.Module, *given: Any, **named: Any) -> Any:
    """Compute a recurrent layer natively: cuDNN has no second derivative, nor any in eval mode."""
    cudnn = torch.backends.cudnn
    before, cudnn.enabled = cudnn.enabled, False
    try:
        return type(module).forward(module, *given, **named)
    finally:
        cudnn.enabled = before


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _without_inference_tensors(model: nn.Module) -> nn.Module:
    """Replace what was made under ``torch.inference_mode``, which no graph takes."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_inference():
                trainable = parameter.requires_grad
                module._parameters[name] = nn.Parameter(parameter.detach().clone(), trainable)
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_inference():
                module._buffers[name] = buffer.clone()
    return model


def is_affine_batchnorm(module: nn.Module) -> bool:
    """Tell whether a judged copy computes a module as the affine map of :func:`affine_of`."""
    return getattr(vars(module).get("forward"), "func", None) is affine_batchnorm


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return scale γ/σ and shift β - γ μ/σ (C,) of a BatchNorm in eval mode, differentiable."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift


def affine_batchnorm(norm: nn.Module, x: Tensor) -> Tensor:
    """Compute BatchNorm in eval mode as its affine map."""
    scale, shift = affine_of(norm)
    shape = (-1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(shape), x, scale.view(shape))


def _is_plain(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether its forward is PyTorch's own: a subclass may add an activation."""
    own = type(norm).forward is nn.modules.batchnorm._BatchNorm.forward
    return own and "forward" not in vars(norm) and norm.running_mean is not None
