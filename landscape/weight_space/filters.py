"""Find the filters of every parameter: what is scaled as one in filter-wise directions.

A filter is what one output channel or neuron is made of: a row of the weight of a convolution
(depth-wise ones too) or a linear layer. A transposed convolution keeps its output channels along
axis 1, those of each group apart. Parameters that hold one number a channel are vectors whatever
their shape: biases and BatchNorm, the layer scale (C, 1, 1) of a ConvNeXt, a normed weight's
lengths (C, 1).
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

Layout = Literal["vector", "rows"] | int  # the groups of a transposed convolution

_CONVOLUTION = nn.modules.conv._ConvNd
_WITH_ROWS = (nn.Linear, _CONVOLUTION, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase)


def layout_of(weight: Tensor) -> Layout:
    """Tell the filters of a tensor of an unknown layer from its shape."""
    return "rows" if weight.dim() > 1 and weight.numel() > len(weight) else "vector"


def filter_layouts(model: nn.Module, names: Sequence[str]) -> list[Layout]:
    """Tell the filters of parameters by the layers that own them.

    Args:
        model: any network.
        names: of its parameters.
    """
    return [_layout(model, name) for name in names]


def _layout(model: nn.Module, name: str) -> Layout:
    weight, path = model.get_parameter(name), name.split(".")
    cut = path.index("parametrizations") if "parametrizations" in path else -1
    owner = model.get_submodule(".".join(path[:cut]))
    if weight.dim() < 2 or _is_length(path[-1], weight):
        return "vector"
    if isinstance(owner, _CONVOLUTION) and owner.transposed:
        return owner.groups
    return "rows" if isinstance(owner, _WITH_ROWS) else layout_of(weight)


def _is_length(leaf: str, weight: Tensor) -> bool:
    """Whether a parameter holds the lengths of a normed weight, of either implementation."""
    named = leaf.endswith("_g") or leaf == "original0"
    return named and weight.numel() == max(weight.shape)


def by_filter(values: Tensor, layout: Layout) -> Tensor:
    """Lay a parameter out by its filters, one row each; a vector is one.

    Args:
        values: of the parameter.
        layout: of it.
    """
    if layout == "vector":
        return values.reshape(1, -1)
    if layout == "rows":
        return values.flatten(1)
    return values.unflatten(0, (layout, -1)).transpose(1, 2).flatten(0, 1).flatten(1)


def from_filters(rows: Tensor, like: Tensor, layout: Layout) -> Tensor:
    """Lay the rows of :func:`by_filter` out as the parameter is."""
    if isinstance(layout, str):
        return rows.view_as(like)
    shape = (layout, like.shape[1], len(like) // layout, *like.shape[2:])
    return rows.reshape(shape).transpose(1, 2).reshape(like.shape)
