"""Compare products with finite differences of the gradient, and with each other, in float64.

Some functions lack a second derivative or have a wrong one, in some layouts of memory or at some
batch sizes; the product would be wrong without a word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.curvature.products import Curvature, build_graph, flat, gradient, weighted
from landscape.errors import InputError
from landscape.subject.batch import Batch
from landscape.subject.evaluation_copy import cast_like, copied
from landscape.subject.loss import Loss

# Relative length of the difference. The first one is exact where the loss is smooth; where that
# fails, the shorter one seldom crosses a kink, and the longer one drowns less in rounding, which is
# large beside the gradient of fitted samples. Products pass by any.
_STEPS = (1e-7, 1e-10, 1e-4)
_TOLERANCE = 0.01  # wrong second derivatives met so far were off by 3 to 100 %
_AWAY = 0.01  # relative: at the weights themselves many an activation may lie on a kink


@dataclass(frozen=True)
class Discrepancy:
    """How far a product is from what it has to be."""

    share: float  # from the central difference of the gradient, of the longer of the two
    asymmetry: float  # |uᵀHv - vᵀHu|, of the larger of the two

    @property
    def size(self) -> float:
        """The larger of both."""
        return max(self.share, self.asymmetry)

    @property
    def small(self) -> bool:
        """Whether the products are those of the matrix."""
        return self.size <= _TOLERANCE


def compare_products(
    model: nn.Module,
    loss: Loss,
    batch: Batch,
    names: Sequence[str],
    layout: Callable[..., Batch],
    kind: Curvature = "hessian",
) -> Discrepancy:
    """Compare two products with each other and, of the Hessian, one with a central difference.

    They are taken on a copy in float64, a little away from the model's weights, since they are to
    tell whether its code is differentiated rightly: a network as it is initialised has activations
    of exactly zero wherever an image is black.

    Args:
        model: the copy as it is prepared for products.
        loss: per-sample loss.
        batch: a few samples.
        names: of the parameters differentiated by.
        layout: lays out a batch as it is for products.
        kind: of the matrix.
    """
    twin = copied(model).double()
    all_named = dict(twin.named_parameters())
    parameters: list[Tensor] = [all_named[name] for name in names]
    away, u, v = (_direction(twin, parameters, seed) for seed in (2, 0, 1))
    with torch.no_grad():
        for parameter, step in zip(parameters, away, strict=True):
            parameter.add_(step, alpha=_AWAY)
    given = layout(batch.mapped(lambda part: cast_like(part, parameters[0])))
    count = given.size
    weights = torch.full((count,), 1 / count, dtype=torch.float64, device=parameters[0].device)
    graph = build_graph(kind, twin, loss, given, weights, parameters)
    at = range(len(parameters))
    along_u, along_v = graph.product(u, at, keep=True), graph.product(v, at, keep=False)
    exact = flat(along_v)
    across = float(flat(u) @ exact), float(flat(v) @ flat(along_u))
    # uᵀHv of P parameters is some √P times smaller than ‖u‖ ‖Hv‖
    scale = max(*map(abs, across), 1e-4 * float(flat(u).norm() * exact.norm()))
    asymmetry = abs(across[0] - across[1]) / scale if scale > 0 else 0.0
    if kind != "hessian":
        return Discrepancy(0.0, asymmetry)

    def slope() -> Tensor:
        total = weighted(loss.per_sample(twin, given), weights)
        return flat(gradient(total, parameters))

    return Discrepancy(_share(parameters, v, exact, flat(graph.gradient), slope), asymmetry)


def _share(
    parameters: list[Tensor],
    along: list[Tensor],
    exact: Tensor,
    at_rest: Tensor,
    slope: Callable[[], Tensor],
) -> float:
    """Compare a product with central differences of the gradient, until one agrees."""
    size, share = float(at_rest.norm()), float("inf")
    for step in _STEPS:
        difference = _central_difference(parameters, along, step, slope)
        # of a loss that is linear in the parameters only rounding of its gradient is left
        scale = max(float(exact.norm()), float(difference.norm()), 1e-14 * size / step)
        share = min(share, float((difference - exact).norm()) / scale if scale > 0 else 0.0)
        if share <= _TOLERANCE:
            break
    return share


def _central_difference(
    parameters: list[Tensor], along: list[Tensor], step: float, slope: Callable[[], Tensor]
) -> Tensor:
    former = [p.detach().clone() for p in parameters]
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, start, direction in zip(parameters, former, along, strict=True):
                parameter.copy_(start + sign * step * direction)
        found.append(slope())
    with torch.no_grad():
        for parameter, start in zip(parameters, former, strict=True):
            parameter.copy_(start)
    return (found[0] - found[1]) / (2 * step)


def _direction(model: nn.Module, parameters: list[Tensor], seed: int) -> list[Tensor]:
    """Draw a direction as long as the parameters, tensor by tensor.

    It is zero along the padding of embeddings, which has no gradient whatever depends on it.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    found = [
        d.to(p) * (p.detach().norm() / p.numel() ** 0.5 + 1e-3)
        for d, p in zip(drawn, parameters, strict=True)
    ]
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            for direction, parameter in zip(found, parameters, strict=True):
                if parameter is module.weight:
                    direction[module.padding_idx] = 0
    return found


def incomplete_derivative(model: nn.Module, found: Discrepancy) -> InputError:
    """Build the error for a derivative that is missing or wrong."""
    suspects = [
        f"'{name}' ({type(module).__name__})"
        for name, module in model.named_modules()
        if "parametrizations" in vars(module).get("_modules", {})
    ]
    where = f"; parametrised modules: {', '.join(suspects[:3])}" if suspects else ""
    return InputError(
        f"{_said(found)}, while loss and gradient repeat exactly: the second derivative of some "
        "operation is incomplete or wrong, as of a custom torch.autograd.Function with a "
        "once_differentiable backward, of a weight that the loss computes from the outputs and "
        "detaches, or of a rounding that gradients pass through (a straight-through estimator)"
        f"{where}. Write that operation in plain PyTorch"
    )


def _said(found: Discrepancy) -> str:
    if found.share < found.asymmetry:
        return f"the matrix is not symmetric: uᵀHv and vᵀHu differ by {100 * found.asymmetry:.3g} %"
    return f"products differ from finite differences of the gradient by {100 * found.share:.3g} %"
