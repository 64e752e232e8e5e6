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
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landscape.errors import InputError

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


def spread(stage: Stage, inputs: Tensor, *, halves: int = 1, returned: int = 1) -> Tensor:
    """Run a stage on this process's rows of a batch, and return the outputs of all.

    All processes take as many rows, so that what a compiler makes of them is the same everywhere: a
    row that is one too many is the first one again, which no statistic, output or gradient is of.

    Args:
        stage: of samples that do not see each other but in BatchNorm.
        inputs: (halves B, …), in every process the same.
        halves: batches that stand one after the other; a process takes the same rows of each.
        returned: those that the stage returns, (returned B, …).
    """
    if not _active.get():
        return stage(inputs)
    count, world = len(inputs) // halves, distributed.get_world_size()
    _batch.rows = None
    if count % world:
        places = distributed.get_rank() + world * torch.arange(-(-count // world))
        _batch.rows = (places < count).to(inputs.device)
    return _Gathered.apply(stage(_Own.apply(inputs, halves)), count, returned)


class _Batch:
    """Tell which rows of the stage that runs are this process's own, where not all are."""

    rows: Tensor | None = None  # (B / processes,)


_batch = _Batch()


def _own(rows: Tensor, halves: int, *, zero: bool = False) -> Tensor:
    """Take this process's rows of each half, and the first, or zero, in place of one too few."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    parts = []
    for half in rows.chunk(halves):
        parts.append(half[rank::world])
        if len(parts[-1]) < -(-len(half) // world):
            parts.append(torch.zeros_like(half[:1]) if zero else half[:1])
    return torch.cat(parts)


def _gathered(own: Tensor, count: int, halves: int) -> Tensor:
    """Put the rows of all processes together again, (halves count, …)."""
    by_half = own.contiguous().unflatten(0, (halves, len(own) // halves))
    parts = [torch.empty_like(by_half) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, by_half)
    return torch.stack(parts, dim=2).flatten(1, 2)[:, :count].flatten(0, 1)


class _Own(torch.autograd.Function):
    """Take this process's rows; the gradient is that of all rows."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, halves: int) -> Tensor:
        ctx.count, ctx.halves = len(inputs) // halves, halves
        return _own(inputs, halves)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _gathered(gradients[0], ctx.count, ctx.halves), None


class _Gathered(torch.autograd.Function):
    """Gather the rows of all; each process goes on to differentiate its own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int, halves: int) -> Tensor:
        ctx.halves = halves
        return _gathered(own, count, halves)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _own(gradients[0], ctx.halves, zero=True), None, None


@torch.library.custom_op("tailscape::sum_over_processes", mutates_args=())
def _all_reduced(part: Tensor) -> Tensor:
    """Sum over the processes; an operation that PyTorch's compiler leaves as it is."""
    total = part.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


@_all_reduced.register_fake
def _(part: Tensor) -> Tensor:
    return torch.empty_like(part, memory_format=torch.contiguous_format)


def _backward(_: Any, gradient: Tensor) -> Tensor:
    summed: Tensor = _all_reduced(gradient)
    return summed


_all_reduced.register_autograd(_backward)
if hasattr(_all_reduced, "register_effect"):
    from torch._library.effects import EffectType

    _all_reduced.register_effect(EffectType.ORDERED)


def check_compiler() -> None:
    """Check that compiled sums keep their order, without which processes wait for each other.

    Raises:
        InputError: this PyTorch cannot promise it.
    """
    if not hasattr(_all_reduced, "register_effect"):
        raise InputError(
            f"PyTorch {version('torch')} does not keep the order of sums over processes in what it "
            "compiles; leave --compile out under torchrun, or update PyTorch"
        )


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
        channels, rest = input.shape[1], [1] * (input.dim() - 2)
        shape, axes = [1, channels, *rest], [0, *range(2, input.dim())]
        own, rows = wide.new_full((1,), input.numel() // channels), _batch.rows
        counted = wide.new_ones(()) if rows is None else rows.to(wide).view(-1, 1, *rest)
        own = own * counted.mean()
        sums = _all_reduced(torch.cat([(wide * counted).sum(axes), own]))
        count = sums[channels:].detach()
        mean = sums[:channels] / count
        centred = wide - mean.view(shape)
        variance = _all_reduced((centred**2 * counted).sum(axes)) / count
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
