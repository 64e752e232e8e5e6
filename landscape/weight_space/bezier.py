"""Train a curve of low loss between two points in weight space.

A quadratic Bezier curve φ(t) = (1-t)² A + 2t(1-t) θ + t² B, whose bend θ is trained on the loss at
random t (Garipov et al. 2018, Sec. 3.4). BatchNorm normalises by each batch while it is trained,
and spectral norms divide by that of the weights.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from landscape.curvature.checks import differentiated
from landscape.global_state import controlled_state
from landscape.subject.batch import Batch
from landscape.subject.data import read
from landscape.subject.subject import Selection, Subject
from landscape.weight_space.class_gradients import model_over
from landscape.weight_space.directions import Direction
from landscape.weight_space.spectral_norms import recompute_singular_vectors


def steps_of(t: float) -> tuple[float, float]:
    """Weights of θ - A and of B - A at a place on the curve."""
    return 2 * t * (1 - t), t * t


@controlled_state()
def train_bend(
    subject: Subject,
    selection: Selection,
    end: Direction,
    *,
    steps: int,
    rate: float,
    dtype: torch.dtype,
    batch_size: int,
    seed: int,
) -> Direction:
    """Train the bend of the curve from a subject's model to another point.

    Args:
        subject: whose model is at A.
        selection: samples; a step takes a batch of them.
        end: B - A.
        steps: of Adam.
        rate: of it.
        dtype: precision of the network.
        batch_size: samples a step.
        seed: of batches and places.

    Returns:
        θ - A, one tensor a parameter.
    """
    model, parameters = model_over(subject, ("*",), dtype, "batch")
    start = [p.detach().clone() for p in parameters]
    ahead = [d.to(s) for d, s in zip(end, start, strict=True)]
    bend = [(d / 2).requires_grad_() for d in ahead]
    adam = torch.optim.Adam(bend, lr=rate)
    generator = torch.Generator().manual_seed(seed)
    batches = _batches(subject, selection, batch_size, generator, parameters[0])
    for _ in range(steps):
        batch, weights = next(batches)
        t = float(torch.rand((), generator=generator))
        inner, outer = steps_of(t)
        with torch.no_grad():
            for p, s, b, d in zip(parameters, start, bend, ahead, strict=True):
                p.copy_(s + inner * b + outer * d)
        recompute_singular_vectors(model)
        losses = subject.loss.per_sample(model, batch)
        value = losses @ weights.to(losses)
        with differentiated("once"):
            found = torch.autograd.grad(value, parameters, materialize_grads=True)
        for b, gradient in zip(bend, found, strict=True):
            b.grad = inner * gradient
        adam.step()
    return [b.detach() for b in bend]


def _batches(
    subject: Subject,
    selection: Selection,
    batch_size: int,
    generator: torch.Generator,
    like: Tensor,
) -> Iterator[tuple[Batch, Tensor]]:
    """Read the samples again and again in new orders, with their weights in a batch's mean."""
    count = len(selection.indices)
    while True:
        order = torch.randperm(count, generator=generator)
        weights, seen = count * selection.weights[order], 0
        for batch in read(subject.data, selection.indices[order], batch_size, like):
            own = weights[seen : seen + batch.size]
            seen += batch.size
            yield batch, own.to(like.device) / batch.size


def place(
    end: Sequence[Tensor], bend: Sequence[Tensor] | None, t: float
) -> tuple[list[Sequence[Tensor]], list[float]]:
    """Directions and steps from A to a place on the line, or on the curve with a bend."""
    if bend is None:
        return [end], [t]
    return [bend, end], list(steps_of(t))
