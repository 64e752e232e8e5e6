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

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from landscape.errors import InputError
from landscape.subject.evaluation_copy import affine_batchnorm, affine_of, is_affine_batchnorm

_CONVOLUTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d,
    nn.Conv2d: F.conv2d,
    nn.Conv3d: F.conv3d,
}


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
    followers = _followers(model, loss)
    for module in list(model.modules()):
        if not _is_plain_convolution(module):
            continue
        norm = followers.get(module)
        if norm is not None:
            norm.forward = _same
        if twice or norm is not None:
            module.forward = partial(_convolve, module, norm, twice)


def takes_channels_last(model: nn.Module, inputs: Tensor, use: Callable[[Tensor], object]) -> bool:
    """Tell whether images may be laid out with channels last, which CPU convolutions prefer.

    A model that views features as another shape may refuse that, and is then left as it is.

    Args:
        model: the judged copy.
        inputs: (B, …) some samples.
        use: does with inputs so laid out what will be done with them.
    """
    images = inputs.device.type == "cpu" and inputs.dim() == 4
    if not images or not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return False
    try:
        use(inputs.contiguous(memory_format=torch.channels_last))
    except (RuntimeError, InputError):
        return False
    return True


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
    kernel = next(_CONVOLUTIONS[t] for t in type(conv).__mro__ if t in _CONVOLUTIONS)
    layout = _Layout(kernel, conv.stride, conv.padding, conv.dilation, conv.groups)
    batched = x.dim() == weight.dim()
    if twice and batched:
        return _Convolution.apply(x, weight, bias, layout)
    return layout.forward(x, weight, bias)


def _same(x: Tensor) -> Tensor:
    return x


def _along_channels(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 2))


def _is_plain_convolution(module: nn.Module) -> bool:
    """Whether it is PyTorch's own forward, with zeros for padding."""
    plain = any(isinstance(module, t) and type(module).forward is t.forward for t in _CONVOLUTIONS)
    return (
        plain
        and "forward" not in vars(module)
        and module.padding_mode == "zeros"
        and isinstance(module.padding, tuple)
    )


def _followers(model: nn.Module, loss: Callable[[], object]) -> dict[nn.Module, nn.Module]:
    """Find the BatchNorm behind each convolution whose output nothing else reads."""
    with _Readers() as readers, _recorded(model, readers) as (made, taken):
        loss()
    makers = {_place(out[0]): conv for conv, out in made.items() if len(out) == 1}
    places = {norm: _place(given[0]) for norm, given in taken.items() if len(given) == 1}
    return {
        makers[place]: norm
        for norm, place in places.items()
        if place and place in makers and readers.count[place] == 1
    }


class _Readers(TorchDispatchMode):
    """Counts the operations that read each storage, those outside the graph included."""

    def __init__(self) -> None:
        super().__init__()
        self.count = Counter[int]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = tree_leaves((args, kwargs))
        self.count.update({_place(value) for value in given if isinstance(value, Tensor)})
        return func(*args, **(kwargs or {}))


_Tensors = dict[nn.Module, list[Tensor]]


@contextmanager
def _recorded(model: nn.Module, readers: _Readers) -> Iterator[tuple[_Tensors, _Tensors]]:
    """Keep convolutions' outputs and BatchNorms' inputs, however the modules are called."""
    made, taken = _Tensors(), _Tensors()
    before: dict[nn.Module, Callable[[Tensor], Tensor]] = {}

    def watched(module: nn.Module, x: Tensor) -> Tensor:
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            taken.setdefault(module, []).append(x)
            return before[module](x)
        output: Tensor = before[module](x)
        readers.count[_place(output)] = 0  # of what lay there before
        made.setdefault(module, []).append(output)
        return output

    for module in model.modules():
        follows = is_affine_batchnorm(module) and not module._forward_pre_hooks
        if follows or (_is_plain_convolution(module) and not module._forward_hooks):
            before[module] = module.forward
    own = {module: "forward" in vars(module) for module in before}
    try:
        for module in before:
            module.forward = partial(watched, module)
        yield made, taken
    finally:
        for module, forward in before.items():
            if own[module]:
                module.forward = forward
            else:
                del module.forward


def _place(tensor: Tensor) -> int:
    """Where the values lie; 0 if that is not known, as under :func:`torch.func.vmap`."""
    try:
        return tensor.untyped_storage().data_ptr()
    except NotImplementedError:
        return 0
