"""Parametric contrastive learning (Cui et al. 2021, PaCo): samples and class centres contrasted.

The row of a query is [f + log π, z·z'/T], with f its logits, z its projection and z' those of the
other queries, of the batch's keys and of a queue of keys. With weights β on its own class's logit
and α on each z' of its class, ℓ = -Σ w log softmax(row) / Σ w. Keys come from a second view through
a running mean of the network. The queue starts empty; in the released code it starts random.
"""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.config import Precision
from trainers.forward import ForwardPass
from trainers.losses.loss import Scored
from trainers.models.network import Network


class ParametricContrast:
    """Compare queries with class centres, each other, keys and a queue.

    Args:
        class_counts: (K,) training samples.
        alpha: α, weight of a sample of the same class.
        beta: β, weight of the class centre.
        temperature: T.
        queue: most keys of former batches.
        momentum: of the running mean that makes keys.
        dimension: of the projections, to which the network is built.
    """

    def __init__(
        self,
        class_counts: Tensor,
        *,
        alpha: float = 0.01,
        beta: float = 1.0,
        temperature: float = 0.05,
        queue: int = 1024,
        momentum: float = 0.999,
        dimension: int = 32,
    ) -> None:
        self._prior = (class_counts.double() / class_counts.sum()).log()
        self._alpha, self._beta, self._temperature = alpha, beta, temperature
        self._most, self._momentum = queue, momentum
        device = class_counts.device
        self._queue = torch.zeros(0, dimension, device=device)
        self._queue_labels = torch.zeros(0, dtype=torch.int64, device=device)
        self._keys, self._key_labels = self._queue, self._queue_labels  # the batch's, then those
        self._encoder: Network | None = None

    def prepare(
        self, model: Network, inputs: Tensor, labels: Tensor, precision: Precision
    ) -> Tensor:
        """Make the keys of a batch; return the queries' inputs.

        Args:
            model: the network in training.
            inputs: (2B, …), the queries' view and then the keys'.
            labels: (B,).
            precision: of the network's stages.
        """
        queries, others = inputs.chunk(2)
        encoder = self._moved(model)
        with torch.no_grad():
            assert encoder.contrast is not None
            keys = encoder.contrast.project(ForwardPass(encoder, precision).features(others))
        self._keys = torch.cat([keys, self._queue])
        self._key_labels = torch.cat([labels, self._queue_labels])
        self._queue = self._keys[: self._most]
        self._queue_labels = self._key_labels[: self._most]
        return queries

    def of_network(self, batch: Scored) -> Tensor:
        """Return losses (B,) of the queries' features (B, D).

        Of groups, the batch's queries and keys of others are left out; the queue has none.
        """
        assert batch.model.contrast is not None
        queries = batch.model.contrast.project(batch.features)
        apart = None if batch.within is None else batch.within[:, None] != batch.within
        keys, classes = self._keys, self._key_labels
        return self.loss(batch.logits, batch.labels, queries, keys, classes, apart)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        queries: Tensor,
        keys: Tensor,
        key_labels: Tensor,
        apart: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss of each query (B,).

        Args:
            logits: (B, K).
            labels: (B,).
            queries: (B, D) unit vectors.
            keys: (Q, D) unit vectors.
            key_labels: (Q,).
            apart: (B, B) pairs of samples that are not compared; the first B keys are theirs.
        """
        points, classes = torch.cat([queries, keys]), torch.cat([labels, key_labels])
        similarities = queries @ points.T / self._temperature
        left_out = torch.eye(*similarities.shape, dtype=torch.bool, device=labels.device)
        if apart is not None:
            left_out[:, : 2 * len(labels)] |= apart.repeat(1, 2)
        row = torch.cat(
            [
                logits + self._prior.to(logits.device, logits.dtype),
                similarities.masked_fill(left_out, -torch.inf),
            ],
            dim=1,
        )
        centre = F.one_hot(labels, logits.shape[1]).to(row)
        alike = ((labels[:, None] == classes) & ~left_out).to(row)
        weights = torch.cat([self._beta * centre, self._alpha * alike], dim=1)
        # the query itself has no weight, and its logarithm of zero is no number when weighed
        attraction = (weights * row.masked_fill(weights == 0, 0)).sum(dim=1) / weights.sum(dim=1)
        return row.logsumexp(dim=1) - attraction

    def state(self) -> dict[str, Any]:
        """Return the queue and the network that makes keys."""
        encoder = None if self._encoder is None else self._encoder.state_dict()
        return {"queue": self._queue, "labels": self._queue_labels, "encoder": encoder}

    def restore(self, state: dict[str, Any], model: Network) -> None:
        """Restore the result of :meth:`state`.

        Args:
            state: with tensors on the network's device.
            model: the network in training, of the same architecture.
        """
        self._queue, self._queue_labels = state["queue"], state["labels"]
        if state["encoder"] is not None:
            self._encoder = _frozen_copy(model)
            self._encoder.load_state_dict(state["encoder"])

    def _moved(self, model: Network) -> Network:
        """Move the running mean of the parameters; its BatchNorm statistics are its own."""
        if self._encoder is None:
            self._encoder = _frozen_copy(model)
        with torch.no_grad():
            for mean, parameter in zip(self._encoder.parameters(), model.parameters(), strict=True):
                mean.lerp_(parameter, 1 - self._momentum)
        return self._encoder


def _frozen_copy(model: Network) -> Network:
    copied = copy.deepcopy(model).requires_grad_(False).train()
    for parameter in copied.parameters():
        parameter.grad = None
    return copied
