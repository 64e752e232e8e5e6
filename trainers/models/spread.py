"""One batch over several processes of ``torchrun``, so that each step is that of one process.

A stage of the network takes every n-th row in each process, and its outputs are gathered, so that
heads, losses and rules see the whole batch everywhere: every ascent, class weight and objective is
that of the whole batch, and none is a worker's own. Gradients of the stages' parameters are summed
as they leave a backward pass. BatchNorm normalises by the statistics of the whole batch, as
SyncBatchNorm does, on any device.

What is computed outside of :func:`spreading` is computed by each process alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

Stage = Callable[[Tensor], Tensor]
_active = ContextVar("active", default=False)


@contextmanager
def spreading(wanted: bool) -> Iterator[None]:
    """Spread the batches of stages inside the block over the processes."""
    before = _active.set(wanted)
    try:
        yield
    finally:
        _active.reset(before)


def prepare_to_spread(model: nn.Module, alone: list[nn.Module]) -> None:
    """Let a network's stages be spread.

    Args:
        model: its gradients are summed and its BatchNorm layers share their statistics, both
            inside :func:`spreading` only.
        alone: parts that see gathered outputs, in every process the same.
    """
    others = {id(m) for part in alone for m in part.modules()}
    replicated = {id(p) for part in alone for p in part.parameters()}
    for module in model.modules():
        if isinstance(module, _BatchNorm) and id(module) not in others:
            module.__class__ = _SpreadBatchNorm
    for parameter in model.parameters():
        if id(parameter) not in replicated and parameter.requires_grad:
            parameter.register_hook(_summed_gradient)


def spread(stage: Stage, inputs: Tensor) -> Tensor:
    """Run a stage on this process's rows of a batch, and return the outputs of all.

    Args:
        stage: of samples that do not see each other but in BatchNorm.
        inputs: (B, …), in every process the same.
    """
    if not _active.get():
        return stage(inputs)
    return _Gathered.apply(stage(_Own.apply(inputs)), len(inputs))


def _own() -> slice:
    return slice(distributed.get_rank(), None, distributed.get_world_size())


def _gathered(own: Tensor, count: int) -> Tensor:
    """Put the rows of all processes together again, (count, …)."""
    world = distributed.get_world_size()
    rows = -(-count // world)
    padded = own.new_zeros(rows, *own.shape[1:])
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(parts, padded)
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


class _Own(torch.autograd.Function):
    """Take this process's rows; the gradient is that of all rows."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        ctx.count = len(inputs)
        return inputs[_own()]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _gathered(gradients[0], ctx.count)


class _Gathered(torch.autograd.Function):
    """Gather the rows of all; each process goes on to differentiate its own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int) -> Tensor:  # noqa: ARG004
        return _gathered(own, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradients[0][_own()].contiguous(), None


class _Summed(torch.autograd.Function):
    """Sum over the processes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:  # noqa: ARG004
        return _all_reduced(part)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _all_reduced(gradients[0])


def _all_reduced(part: Tensor) -> Tensor:
    total = part.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


def _summed_gradient(gradient: Tensor) -> Tensor:
    return _all_reduced(gradient).view_as(gradient) if _active.get() else gradient


class _SpreadBatchNorm(_BatchNorm):
    """BatchNorm by the statistics of the rows of all processes, in float32 at least."""

    def _check_input_dim(self, _: Tensor) -> None:
        """Take inputs of any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        by_batch = self.training or self.running_mean is None
        if not (by_batch and _active.get()):
            return super().forward(input)
        wide = input if input.dtype == torch.float64 else input.float()
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        own = wide.new_tensor([input.numel() / input.shape[1]])
        count = _all_reduced(own)
        mean = _Summed.apply(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = _Summed.apply((centred**2).sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        found = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            found = found * self.weight.view(shape) + self.bias.view(shape)
        return found.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as BatchNorm does."""
        if not (self.training and self.track_running_stats) or self.running_mean is None:
            return
        assert self.running_var is not None
        factor = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if factor is None:
                factor = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean), factor or 0.0)
        self.running_var.lerp_(variance.to(self.running_var), factor or 0.0)
