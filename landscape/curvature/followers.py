"""Which BatchNorm stands right behind which convolution, seen as a loss is computed."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from landscape.subject.evaluation_copy import is_affine_batchnorm

CONVOLUTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d,
    nn.Conv2d: F.conv2d,
    nn.Conv3d: F.conv3d,
}


def is_plain_convolution(module: nn.Module) -> bool:
    """Whether it is PyTorch's own forward, with zeros for padding."""
    plain = any(isinstance(module, t) and type(module).forward is t.forward for t in CONVOLUTIONS)
    return (
        plain
        and "forward" not in vars(module)
        and module.padding_mode == "zeros"
        and isinstance(module.padding, tuple)
    )


def batchnorm_followers(model: nn.Module, loss: Callable[[], object]) -> dict[nn.Module, nn.Module]:
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

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or PyTorch imports its compiler, which takes more than a second

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
        if follows or (is_plain_convolution(module) and not module._forward_hooks):
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
    """Where the values lie; 0 if that is not known, as within :mod:`torch.func`."""
    try:
        return tensor.untyped_storage().data_ptr()
    except RuntimeError:
        return 0
