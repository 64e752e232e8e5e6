"""The loss of one batch, as a gradient rule sees it.

A rule sees per-sample losses of the network's pieces: ``shared`` (all but the last stage),
``last`` (the last stage, up to the penultimate features) and the head with the loss. Which loss it
is, how it is weighted and whether images are mixed stays behind these calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from trainers.data.mixup import Mixed
from trainers.forward import ForwardPass
from trainers.losses.balanced_contrastive import PerSampleWithProjections
from trainers.losses.cross_entropy import PerSample
from trainers.losses.loss import Criterion, NetworkLoss, Scored
from trainers.losses.weighting import Mean, sample_weights
from trainers.models.contrastive import Contrast
from trainers.models.network import Network


@dataclass
class Objective:
    """Compute the losses of a batch at the model's present parameters.

    Args:
        forward: of the model, in the mode it is to be trained in.
        inputs: (V B, …), views one after the other.
        labels: (B,) classes; of mixed images, those of the first partner.
        criterion: loss on features.
        class_counts: (K,) training samples.
        weights: (K,) class weights.
        weight_mean: over which a weighted batch loss is a mean.
        mixed: partners and share of a mixed batch, its inputs being ``inputs``.
        groups: (K,) group of each class, for rules that treat groups apart.
        scale: factor on every loss.
        epoch: of the stage, from 0.
        epochs: of the stage.
        generator: of the rules' random numbers, on the labels' device.
        logits: (B, K) of the first forward pass, once there was one.
        each: (B,) detached losses at the unperturbed parameters, once a rule returned them.
    """

    forward: ForwardPass
    inputs: Tensor
    labels: Tensor
    criterion: Criterion
    class_counts: Tensor
    weights: Tensor | None = None
    weight_mean: Mean = "weights"
    mixed: Mixed | None = None
    groups: Tensor | None = None
    scale: float = 1.0
    epoch: int = 0
    epochs: int = 1
    generator: torch.Generator = field(default_factory=torch.Generator)
    logits: Tensor | None = None
    each: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def model(self) -> Network:
        """Return the network at its present weights."""
        return self.forward.model

    @property
    def progress(self) -> float:
        """Return the fraction of the stage's epochs that is over."""
        return self.epoch / self.epochs

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Return the trainable parameters, in the model's order."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def losses(self, within: Tensor | None = None) -> Tensor:
        """Run the model; return the losses (B,), whose mean is the batch loss.

        Args:
            within: (B,) groups of samples that alone are compared with each other.
        """
        return self.losses_of(self.features(), within=within)

    def shared(self) -> Tensor:
        """Run all stages but the last."""
        return self.forward.shared(self.inputs)

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage; return penultimate features (V B, D)."""
        return self.forward.last(shared)

    def features(self) -> Tensor:
        """Return penultimate features (V B, D)."""
        return self.forward.features(self.inputs)

    def losses_of(
        self,
        features: Tensor,
        *,
        hard: bool = False,
        logits: Tensor | None = None,
        within: Tensor | None = None,
    ) -> Tensor:
        """Return the losses (B,) of features.

        Args:
            features: (V B, D).
            hard: take a mixed image for one of the class ``labels``.
            logits: in place of the head's.
            within: (B,) groups of samples that alone are compared with each other.
        """
        each, found = self._weighted(features, self.labels, logits, within)
        if self.logits is None:
            self.logits = found.detach()
        if self.mixed is None or hard:
            return each
        other, _ = self._weighted(features, self.mixed.partners, logits, within)
        return self.mixed.share * each + (1 - self.mixed.share) * other

    def split(self, parts: int) -> Sequence["Objective"]:
        """Cut the batch into parts of about the same size."""
        if parts == 1:
            return [self]
        pieces = torch.arange(len(self.labels), device=self.labels.device).chunk(parts)
        return [self.part(piece) for piece in pieces]

    def part(self, samples: Tensor) -> "Objective":
        """Take some samples (their places in the batch) for a batch of their own."""
        views = self.inputs.view(-1, len(self.labels), *self.inputs.shape[1:])
        return replace(
            self,
            inputs=views[:, samples].flatten(0, 1),
            labels=self.labels[samples],
            mixed=self.mixed and replace(self.mixed, partners=self.mixed.partners[samples]),
            logits=None,
        )

    def _weighted(
        self, features: Tensor, labels: Tensor, logits: Tensor | None, within: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        batch = Scored(self.model, features, labels, logits, within)
        each = self.criterion(batch)
        factor = sample_weights(self.weights, labels, self.weight_mean)
        each = each if factor is None else each * factor
        return (each if self.scale == 1 else each * self.scale), batch.logits


def on_logits(loss: PerSample) -> Criterion:
    """Make a criterion of a loss ``(logits (B, K), labels (B,)) -> (B,)``."""

    def criterion(batch: Scored) -> Tensor:
        return loss(batch.logits, batch.labels)

    return criterion


def criterion_of(loss: PerSample | NetworkLoss) -> Criterion:
    """Make a criterion of a loss of the network or of its logits."""
    return loss.of_network if isinstance(loss, NetworkLoss) else on_logits(loss)


def on_views(loss: PerSampleWithProjections) -> Criterion:
    """Make a criterion of a loss that classifies the first view and contrasts the other two.

    All three are projected, so that the projection's BatchNorm sees three views, as in BCL's and
    GKP-GSA's released codes.

    Args:
        loss: ``(logits (B, K), labels (B,), projections (2B, D), prototypes (K, D)) -> (B,)``; the
            model's ``contrast`` makes projections and prototypes.
    """

    def criterion(batch: Scored) -> Tensor:
        logits, labels, within = batch.logits, batch.labels, batch.within
        contrast = batch.model.contrast
        assert isinstance(contrast, Contrast)
        prototypes = contrast.prototypes(batch.model.head.weight)
        views = contrast.project(batch.features).unflatten(0, (-1, len(labels)))[1:]
        if within is None:
            return loss(logits, labels, views.flatten(0, 1), prototypes)
        pieces = [(within == group).nonzero().flatten() for group in within.unique()]
        each = [loss(logits[i], labels[i], views[:, i].flatten(0, 1), prototypes) for i in pieces]
        return torch.cat(each)[torch.cat(pieces).argsort()]

    return criterion
