r"""Convolutions for products: a quicker double backward, and BatchNorm folded into their weights.

A convolution is bilinear in input and weight. Its gradient is three convolutions (forward, and one
each to input and weight), and a product through a kept graph six of the same shapes. PyTorch's
double backward takes convolutions of transposed tensors for those to the weight, which are slower
than the kernels of its first backward; here these serve both times. Values are the same. On one
core a product of ResNet-32 over 256 images took 2.32 s with this file and 3.08 s without it.

BatchNorm in eval mode right behind a convolution with weight W makes it one with weight W γ/σ and
bias β - γ μ/σ, so that no pass over features is needed for it. Which layers stand so is seen in the
operations of a loss as it is computed, not in the model's code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from landscape.curvature.followers import CONVOLUTIONS, batchnorm_followers, is_plain_convolution
from landscape.errors import InputError
from landscape.subject.batch import Batch, mapped, tensors
from landscape.subject.evaluation_copy import affine_batchnorm, affine_of
from landscape.subject.parameters import weight_of


def prepare_convolutions(model: nn.Module, loss: Callable[[], Tensor], *, twice: bool) -> None:
    """Change a judged copy's convolutions and the BatchNorms behind them; its outputs stay.

    Layers with a ``forward`` of their own are left as they are, and so is BatchNorm where a hook
    reads the features, where a layer serves twice, or where anything else uses the convolution's
    output.

    Args:
        model: the judged copy, to be used for the same loss and for derivatives only.
        loss: computes the loss from the model once, on some samples.
        twice: whether double backward is what the model is for; otherwise PyTorch's convolution
            stays, which has less to do when only pushed forward.
    """
    followers = batchnorm_followers(model, loss)
    for module in list(model.modules()):
        if not is_plain_convolution(module):
            continue
        norm = followers.get(module)
        if norm is not None:
            norm.forward = _same
        if twice or norm is not None:
            module.forward = partial(_convolve, module, norm, twice)


def laid_out(batch: Batch, *, channels_last: bool) -> Batch:
    """Lay a batch's tensors out contiguously, images with channels last if so asked."""

    def layout(part: Tensor) -> Tensor:
        if channels_last and part.dim() == 4:
            return part.contiguous(memory_format=torch.channels_last)
        return part.contiguous()

    return Batch(mapped(layout, batch[0]), batch[1], batch.samples)


def takes_channels_last(model: nn.Module, batch: Batch, use: Callable[[Batch], object]) -> bool:
    """Tell whether images may be laid out with channels last, which CPU convolutions prefer.

    A model that views features as another shape may refuse that, and is then left as it is.

    Args:
        model: the judged copy.
        batch: some samples.
        use: does with a batch so laid out what will be done with it.
    """
    images = any(part.dim() == 4 and part.device.type == "cpu" for part in tensors(batch[0]))
    if not images or not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return False
    return computes(lambda: use(laid_out(batch, channels_last=True)))


def computes(use: Callable[[], object]) -> bool:
    """Tell whether a prepared model can be used in a way."""
    try:
        use()
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, InputError):
        return False
    return True


def same_unfolded(model: nn.Module, losses: Callable[[], Tensor]) -> bool:
    """Tell whether losses are those of the model with BatchNorm behind its convolutions again.

    Which layers are folded was seen on other samples, which a model may send another way.
    """
    prepared = {m: vars(m)["forward"] for m in model.modules() if _is_prepared(m)}
    if _same not in prepared.values():
        return True
    folded = losses()
    restore_convolutions(model)
    plain = losses()
    for module, forward in prepared.items():
        module.forward = forward
    eps = torch.finfo(weight_of(model).dtype).eps
    return bool(((folded - plain).abs() <= 1e4 * eps * (1 + plain.abs())).all())


def _is_prepared(module: nn.Module) -> bool:
    forward = vars(module).get("forward")
    return forward is _same or getattr(forward, "func", None) is _convolve


def restore_convolutions(model: nn.Module) -> None:
    """Take back :func:`prepare_convolutions`: PyTorch's convolutions, BatchNorm behind them."""
    for module in model.modules():
        forward = vars(module).get("forward")
        if forward is _same:
            module.forward = partial(affine_batchnorm, module)
        elif getattr(forward, "func", None) is _convolve:
            del module.forward


@dataclass(frozen=True)
class _Layout:
    kernel: Callable[..., Tensor]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.kernel(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def backward(
        self, slope: Tensor, x: Tensor, weight: Tensor, mask: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Pull ``slope`` back to input, weight and bias; of ``x`` and ``weight`` as well."""
        return torch.ops.aten.convolution_backward(
            slope,
            x,
            weight,
            [weight.shape[0]] if mask[2] else None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            (0,) * len(self.stride),
            self.groups,
            mask,
        )


class _Convolution(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, layout: _Layout) -> Tensor:
        return layout.forward(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, weight, _, ctx.layout = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        return (*_Pullback.apply(slope, x, weight, ctx.layout, needed), None)


class _Pullback(torch.autograd.Function):
    """The first backward as a function of slope, input and weight."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        slope: Tensor, x: Tensor, weight: Tensor, layout: _Layout, mask: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        return layout.backward(slope, x, weight, mask)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG004
        slope, x, weight, ctx.layout, _ = inputs
        ctx.save_for_backward(slope, x, weight)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(
        ctx: Any, to_x: Tensor | None, to_weight: Tensor | None, to_bias: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        slope, x, weight = ctx.saved_tensors
        _, x_needed, weight_needed = ctx.needs_input_grad[:3]
        back = _pushed(ctx.layout, x, weight, (to_x, to_weight, to_bias), slope)
        mask = (x_needed and to_weight is not None, weight_needed and to_x is not None, False)
        if not any(mask):
            return back, None, None, None, None
        x_grad, weight_grad, _ = ctx.layout.backward(
            slope, x if to_x is None else to_x, weight if to_weight is None else to_weight, mask
        )
        return back, x_grad, weight_grad, None, None


def _pushed(
    layout: _Layout,
    x: Tensor,
    weight: Tensor,
    directions: tuple[Tensor | None, Tensor | None, Tensor | None],
    like: Tensor,
) -> Tensor | None:
    """Derivative of the convolution's output along directions of input, weight and bias."""
    to_x, to_weight, to_bias = directions
    if to_weight is not None:
        along = layout.forward(x, to_weight, to_bias)
        return along if to_x is None else along.add_(layout.forward(to_x, weight, None))
    if to_x is not None:
        return layout.forward(to_x, weight, to_bias)
    return None if to_bias is None else _along_channels(to_bias, like).expand_as(like)


def _convolve(conv: nn.Module, norm: nn.Module | None, twice: bool, x: Tensor) -> Tensor:
    assert isinstance(conv, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    assert isinstance(conv.padding, tuple)
    weight, bias = conv.weight, conv.bias
    if norm is not None:
        scale, shift = affine_of(norm)
        bias = shift if bias is None else torch.addcmul(shift, bias, scale)
        weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    kernel = next(CONVOLUTIONS[t] for t in type(conv).__mro__ if t in CONVOLUTIONS)
    layout = _Layout(kernel, conv.stride, conv.padding, conv.dilation, conv.groups)
    batched = x.dim() == weight.dim()
    if twice and batched:
        return _Convolution.apply(x, weight, bias, layout)
    return layout.forward(x, weight, bias)


def _same(x: Tensor) -> Tensor:
    return x


def _along_channels(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 2))
