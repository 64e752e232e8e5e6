r"""First-order graphs of a batch, and the products taken through them.

Building a graph costs a forward and a backward pass; each product through it costs two gradients'
worth of work at the least: a convolution's double backward is six convolutions against the three of
a gradient. A graph that is kept spares the building.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape.curvature.checks import differentiated
from landscape.errors import InputError, Setting
from landscape.subject.batch import Batch
from landscape.subject.loss import Loss

Curvature = Literal["hessian", "ggn", "fisher", "empirical-fisher", "difference"]
Parts = list[Tensor]  # one tensor a parameter
# fused kernels have no double backward
DIFFERENTIABLE_ATTENTION = partial(sdpa_kernel, SDPBackend.MATH)


class Graph(Protocol):
    """What products of a batch need."""

    gradient: tuple[Tensor, ...]  # of the weighted loss, one a parameter

    def product(self, vector: Parts, at: Sequence[int], *, keep: bool) -> tuple[Tensor, ...]:
        """Multiply the batch's curvature over some parameters with their parts of ``vector``.

        Args:
            vector: one part a parameter.
            at: which parameters.
            keep: allows another product after it.

        Returns:
            The product's parts of those parameters.
        """
        ...


def build_graph(
    kind: Curvature,
    model: nn.Module,
    loss: Loss,
    batch: Batch,
    weights: Tensor,
    parameters: Sequence[Tensor],
) -> Graph:
    """Build the graph of a batch's weighted loss Σ a_i ℓ_i.

    Args:
        kind: Hessian; generalised Gauss-Newton Jᵀ(∇²_f ℓ)J; Fisher Σ_k p_k ∇ℓ_k ∇ℓ_kᵀ over the
            labels k; empirical Fisher ∇ℓ ∇ℓᵀ of the label given (Kunstner et al. 2019); or the
            first minus the second.
        model: the judged copy.
        loss: per-sample loss; the Gauss-Newton and Fisher matrices need its criterion on outputs
            that are one tensor, the empirical Fisher matrix any loss.
        batch: inputs and targets.
        weights: (B,) the samples' weights.
        parameters: those the matrix is over.

    Raises:
        InputError: a Gauss-Newton or Fisher matrix of a loss that has no criterion on outputs, or
            of outputs that are no tensor; a Fisher matrix of a loss that is no -log p(label).
    """
    if kind == "hessian":
        return _HessianGraph(weighted(loss.per_sample(model, batch), weights), parameters)
    if kind == "empirical-fisher":
        losses = loss.per_sample(model, batch)
        return _OuterGraph(losses, weights.to(losses), weighted(losses, weights), parameters)
    if loss.whole is not None:
        raise InputError(
            f"curvature '{kind}' needs a criterion on the model's outputs, and the loss "
            f"'{loss.name}' is one function of model and batch; use ",
            Setting("spectrum.curvature"),
            " hessian",
        )
    outputs = loss.outputs(model, batch)
    if not isinstance(outputs, Tensor):
        raise InputError(
            f"curvature '{kind}' needs a model that returns one tensor, and this one returns a "
            f"{type(outputs).__name__}; use ",
            Setting("spectrum.curvature"),
            " hessian",
        )
    if kind == "fisher":
        losses = label_losses(outputs, loss)
        own = weighted(loss.of_outputs(outputs, batch[1]), weights)
        shares = weights.to(losses)[:, None] * (-losses.detach()).exp()
        return _OuterGraph(losses, shares, own, parameters)
    ggn = _GaussNewtonGraph(outputs, loss, batch[1], weights, parameters)
    if kind == "ggn":
        return ggn
    whole = weighted(loss.of_outputs(outputs, batch[1]), weights)
    return _Difference(_HessianGraph(whole, parameters), ggn)


def weighted(losses: Tensor, weights: Tensor) -> Tensor:
    """Sum losses (B,) with the samples' weights (B,), in the precision of the losses."""
    return losses @ weights.to(losses)


class _HessianGraph:
    def __init__(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        self._parameters = parameters
        self.gradient = gradient(loss, parameters, create_graph=True)

    def product(self, vector: Parts, at: Sequence[int], *, keep: bool) -> tuple[Tensor, ...]:
        outputs, parts, chosen = (
            [values[i] for i in at] for values in (self.gradient, vector, self._parameters)
        )
        return _vjp(outputs, parts, chosen, keep)


class _GaussNewtonGraph:
    """Jv by differentiating the pull-back of a zero, then the criterion's Hessian, then Jᵀ."""

    def __init__(
        self,
        outputs: Tensor,
        loss: Loss,
        targets: Tensor,
        weights: Tensor,
        parameters: Sequence[Tensor],
    ) -> None:
        self._parameters, self._outputs = parameters, outputs
        self._zero = torch.zeros_like(outputs, requires_grad=True)
        self._pulled = gradient(outputs, parameters, self._zero, create_graph=True)
        self._leaf = outputs.detach().requires_grad_()
        (self._slope,) = torch.autograd.grad(
            weighted(loss.of_outputs(self._leaf, targets), weights),
            self._leaf,
            create_graph=True,
        )
        self.gradient = gradient(outputs, parameters, self._slope.detach(), retain_graph=True)

    def product(self, vector: Parts, at: Sequence[int], *, keep: bool) -> tuple[Tensor, ...]:
        pulled, parts, chosen = (
            [values[i] for i in at] for values in (self._pulled, vector, self._parameters)
        )
        (pushed,) = _vjp(pulled, parts, [self._zero], True)
        (curved,) = _vjp([self._slope], [pushed], [self._leaf], keep)
        return gradient(self._outputs, chosen, curved, retain_graph=keep)


class _OuterGraph:
    """Jᵀ diag(shares) J, with J the Jacobian of values such as losses."""

    def __init__(
        self, values: Tensor, shares: Tensor, loss: Tensor, parameters: Sequence[Tensor]
    ) -> None:
        self._parameters, self._values, self._shares = parameters, values, shares
        self._zero = torch.zeros_like(values, requires_grad=True)
        self._pulled = gradient(values, parameters, self._zero, create_graph=True)
        self.gradient = gradient(loss, parameters, retain_graph=True)

    def product(self, vector: Parts, at: Sequence[int], *, keep: bool) -> tuple[Tensor, ...]:
        pulled, parts, chosen = (
            [values[i] for i in at] for values in (self._pulled, vector, self._parameters)
        )
        (pushed,) = _vjp(pulled, parts, [self._zero], True)
        return gradient(self._values, chosen, self._shares * pushed, retain_graph=keep)


class _Difference:
    def __init__(self, whole: Graph, part: Graph) -> None:
        self._whole, self._part, self.gradient = whole, part, whole.gradient

    def product(self, vector: Parts, at: Sequence[int], *, keep: bool) -> tuple[Tensor, ...]:
        less = self._part.product(vector, at, keep=True)
        more = self._whole.product(vector, at, keep=keep)
        return tuple(a - b for a, b in zip(more, less, strict=True))


def label_losses(outputs: Tensor, loss: Loss) -> Tensor:
    """Compute the loss of every sample at each of the K labels it could have.

    Args:
        outputs: (B, K).
        loss: its criterion is -log p(label) of integer labels.

    Returns:
        (B, K), float64; exp(-ℓ) sums to one over the labels.

    Raises:
        InputError: the criterion takes no labels, or is no -log p(label).
    """
    instead = ("; use ", Setting("spectrum.curvature"), " ggn or empirical-fisher")
    if outputs.dim() != 2:
        shape = tuple(outputs.shape)
        raise InputError(
            f"curvature 'fisher' needs logits (B, K), and the outputs are {shape}", *instead
        )
    labels = torch.arange(outputs.shape[1], device=outputs.device)[:, None].expand(-1, len(outputs))
    losses = torch.stack([loss.of_outputs(outputs, one) for one in labels], dim=1).double()
    total = (-losses.detach()).exp().sum(dim=1)
    apart = float((total - 1).abs().max())
    if not apart <= 1e-4:
        raise InputError(
            f"curvature 'fisher' needs a loss that is -log p(label), as the cross-entropy is; of "
            f"'{loss.name}' exp(-loss) over the labels sums to {float(total[0]):.4g}, not 1",
            *instead,
        )
    return losses


def gradient(
    output: Tensor, parameters: Sequence[Tensor], along: Tensor | None = None, **options: bool
) -> tuple[Tensor, ...]:
    """Differentiate one output; zero for parameters that it does not depend on.

    Args:
        output: a scalar, or of the shape of ``along``.
        parameters: with respect to which.
        along: the direction of the pull-back.
        options: ``create_graph`` and ``retain_graph`` of :func:`torch.autograd.grad`.
    """
    if not output.requires_grad:
        return tuple(torch.zeros_like(p) for p in parameters)
    with differentiated():
        return torch.autograd.grad(output, parameters, along, materialize_grads=True, **options)


def flat(parts: Sequence[Tensor]) -> Tensor:
    """Lay parts of a vector end to end, (P,) in float64, without a graph."""
    return torch.cat([part.detach().reshape(-1) for part in parts]).double()


def _vjp(
    outputs: Sequence[Tensor], vectors: Sequence[Tensor], inputs: Sequence[Tensor], keep: bool
) -> tuple[Tensor, ...]:
    """Vector-Jacobian product; zero where outputs do not depend on anything."""
    pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o.requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(i) for i in inputs)
    live, directions = zip(*pairs, strict=True)
    with differentiated():
        return torch.autograd.grad(
            live, inputs, directions, retain_graph=keep, materialize_grads=True
        )
