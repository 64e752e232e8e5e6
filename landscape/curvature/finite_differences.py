"""Compare products of a Hessian with finite differences of the gradient, in float64.

Some functions lack a second derivative or have a wrong one, in some layouts of memory or at some
batch sizes; the product would be wrong without a word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape.curvature.products import build_graph, flat, gradient, weighted
from landscape.errors import InputError
from landscape.subject.batch import Batch
from landscape.subject.evaluation_copy import cast_like, copied
from landscape.subject.loss import Loss

# Relative length of the difference. The longer one is exact where the loss is smooth, the shorter
# one, taken where that fails, seldom crosses a kink; products pass by either.
_STEPS = (1e-7, 1e-10)
_TOLERANCE = 0.01  # wrong second derivatives met so far were off by 3 to 100 %


@dataclass(frozen=True)
class Discrepancy:
    """How far a product is from the central difference of the gradient."""

    share: float  # of the longer of the two
    asymmetry: float  # |uᵀHv - vᵀHu|, in units of the same products

    @property
    def small(self) -> bool:
        """Whether the products are those of the Hessian."""
        return self.share <= _TOLERANCE and self.asymmetry <= _TOLERANCE


def compare_with_differences(
    model: nn.Module, loss: Loss, batch: Batch, names: Sequence[str], layout: Callable[..., Batch]
) -> Discrepancy:
    """Compare a product with a central difference of the gradient, on a copy in float64.

    Args:
        model: the copy as it is prepared for products.
        loss: per-sample loss.
        batch: a few samples.
        names: of the parameters differentiated by.
        layout: lays out a batch as it is for products.
    """
    twin = copied(model).double()
    all_named = dict(twin.named_parameters())
    parameters: list[Tensor] = [all_named[name] for name in names]
    given = layout(batch.mapped(lambda part: cast_like(part, parameters[0])))
    count = given.size
    weights = torch.full((count,), 1 / count, dtype=torch.float64, device=parameters[0].device)
    u, v = (_direction(parameters, seed) for seed in (0, 1))
    graph = build_graph("hessian", twin, loss, given, weights, parameters)
    at = range(len(parameters))
    along_u, along_v = graph.product(u, at, keep=True), graph.product(v, at, keep=False)

    def slope() -> Tensor:
        total = weighted(loss.per_sample(twin, given), weights)
        return flat(gradient(total, parameters))

    exact, size, share = flat(along_v), float(flat(graph.gradient).norm()), float("inf")
    for step in _STEPS:
        difference = _central_difference(parameters, v, step, slope)
        # of a loss that is linear in the parameters only rounding of its gradient is left
        scale = max(float(exact.norm()), float(difference.norm()), 1e-14 * size / step)
        share = min(share, float((difference - exact).norm()) / scale if scale > 0 else 0.0)
        if share <= _TOLERANCE:
            break
    across = float(flat(u) @ exact), float(flat(v) @ flat(along_u))
    scale = float(flat(u).norm() * exact.norm())
    return Discrepancy(share, abs(across[0] - across[1]) / scale if scale > 0 else 0.0)


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


def _direction(parameters: list[Tensor], seed: int) -> list[Tensor]:
    """Draw a direction as long as the parameters, tensor by tensor."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    return [
        d.to(p) * (p.detach().norm() / p.numel() ** 0.5 + 1e-3)
        for d, p in zip(drawn, parameters, strict=True)
    ]


def incomplete_derivative(model: nn.Module, found: Discrepancy) -> InputError:
    """Build the error for a second derivative that is missing or wrong."""
    suspects = [
        f"'{name}' ({type(module).__name__})"
        for name, module in model.named_modules()
        if "parametrizations" in vars(module).get("_modules", {})
    ]
    where = f"; parametrised modules: {', '.join(suspects[:3])}" if suspects else ""
    return InputError(
        f"products differ from finite differences of the gradient by {100 * found.share:.3g} %, "
        "while loss and gradient repeat exactly: the second derivative of some operation is "
        "incomplete or wrong, as of a custom torch.autograd.Function whose backward is "
        f"once_differentiable{where}. Write that operation in plain PyTorch"
    )
