"""Copies of a model that are judged in place of it."""

import copy
from collections.abc import Mapping
from functools import partial
from threading import Lock, RLock
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from landscape.errors import InputError, unknown
from landscape.global_state import controlled_state
from landscape.subject.batch import mapped
from landscape.subject.precise import substitute_modules

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
        InputError: it cannot be copied, holds complex parameters, or the mode is unknown.
    """
    if bn not in get_args(BatchNormMode):
        raise unknown("mode of BatchNorm", str(bn), get_args(BatchNormMode))
    judged = _without_inference_tensors(copied(model)).to(dtype)
    judged.train().eval()  # some drop what they keep in eval mode when training begins
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


def cast_like(values: Any, weight: Tensor) -> Any:
    """Put inputs or targets where a model's weights are, and in their precision if they are real.

    Args:
        values: of a batch, a tensor or a nest of them; integers, such as labels and tokens, stay.
        weight: any parameter of the model.
    """

    def cast(part: Tensor) -> Tensor:
        moved = part.to(weight if part.is_floating_point() else weight.device)
        return moved.clone() if moved.is_inference() else moved  # which no graph could save

    return mapped(cast, values)


def copied(model: nn.Module) -> nn.Module:
    """Copy what a compiled or parallel model wraps; its functions may be differentiated twice.

    Raises:
        InputError: it cannot be copied, or holds complex parameters.
    """
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
    model = unwrapped(model)
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise InputError(
            "the model is a TorchScript module, whose copies stay part of its graph; build it from "
            "its Python code and load its weights"
        )
    shared = dict[int, Any]()
    for module in model.modules():
        _share_what_no_copy_takes(vars(module), shared)
    try:
        found = copy.deepcopy(model, shared)
    except Exception as error:
        raise InputError(
            f"the model cannot be copied ({type(error).__name__}: {_first_line(error)}), and only "
            "a copy is judged; remove what it keeps besides its weights (open files, connections), "
            "or build it anew and load its weights"
        ) from error
    for module in list(found.modules()):
        module._compiled_call_impl = None
        for name, child in module.named_children():
            setattr(module, name, unwrapped(child))
    substitute_modules(found)
    return found


def _share_what_no_copy_takes(content: Any, shared: dict[int, Any]) -> None:
    """Let copies share locks, and hold NaN for tensors of an earlier pass.

    Those are computed anew before they are read, or else the copy would read what no longer
    follows its parameters; NaN does not pass for a number.
    """
    values = content.values() if isinstance(content, Mapping) else content
    for value in values:
        if isinstance(value, _LOCKS):
            shared[id(value)] = value
        elif isinstance(value, Tensor) and value.grad_fn is not None:
            shared[id(value)] = torch.full_like(value.detach(), torch.nan)
        elif isinstance(value, (Mapping, list, tuple)):
            _share_what_no_copy_takes(value, shared)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside ``torch.compile``, ``DataParallel`` and the like."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, _PARALLEL):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


_LOCKS = (type(Lock()), type(RLock()))
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
