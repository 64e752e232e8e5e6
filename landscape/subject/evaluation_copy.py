"""Copies of a model that are judged in place of it."""

import copy
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from landscape.device import tensor_cores

BatchNormMode = Literal["eval", "batch"]


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
    """
    judged = copy.deepcopy(model).to(dtype).eval()
    for parameter in judged.parameters():
        parameter.grad = None
    for module in judged.modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        if bn == "batch":
            module.train()
            module.track_running_stats = False
        elif fold_batchnorm and _is_plain(module):
            module.forward = partial(_affine_batchnorm, module)  # type: ignore[method-assign]
    return judged


def full_precision() -> AbstractContextManager[None]:
    """Switch TF32 off for matrix products and convolutions, and restore the setting after."""
    return tensor_cores(allowed=False)


def cast_like(values: Tensor, weight: Tensor) -> Tensor:
    """Put inputs or targets where a model's weights are, and in their precision if they are real.

    Args:
        values: of a batch; integers, such as labels and tokens, stay so.
        weight: any parameter of the model.
    """
    return values.to(weight if values.is_floating_point() else weight.device)


def is_affine_batchnorm(module: nn.Module) -> bool:
    """Tell whether a judged copy computes a module as the affine map of :func:`affine_of`."""
    return getattr(vars(module).get("forward"), "func", None) is _affine_batchnorm


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return scale γ/σ and shift β - γ μ/σ (C,) of a BatchNorm in eval mode, differentiable."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    scale = scale if norm.weight is None else norm.weight * scale
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else norm.bias + shift


def _affine_batchnorm(norm: nn.Module, x: Tensor) -> Tensor:
    scale, shift = affine_of(norm)
    shape = (-1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(shape), x, scale.view(shape))


def _is_plain(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether its forward is PyTorch's own: a subclass may add an activation."""
    own = type(norm).forward is nn.modules.batchnorm._BatchNorm.forward
    return own and "forward" not in vars(norm) and norm.running_mean is not None
