r"""Grouped knowledge preservation (GKP-GSA, Eq. 1-6, 16, 20).

A memory bank holds, for each class, the encoder at which its features were best.
Normalised cuts of the cosine similarity between these snapshots group the classes; a group's anchor
w*_g is the mean of its snapshots, F_g the diagonal of the Fisher information of its samples there.
The loss of a sample of group g becomes α ℓ + (1 - α) λ/2 Σ_(j≠g) 1/n_j Σ_i F_ji (w_i - w*_ji)²,
with n_j the training samples of group j. The penalty is quadratic, so its gradient is added in
closed form, to the unperturbed parameters.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from sklearn.cluster import SpectralClustering
from torch import Tensor, nn

from landscape.analyses.feature_measures import feature_quality
from landscape.analyses.features import penultimate_features
from landscape.subject.data import LabelledData
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.weight_space.inner_products import gram
from trainers.models.network import Network
from trainers.objective import Objective
from trainers.regularisers.fisher import batch_fisher, encoder_of, sample_fisher
from trainers.rules.rule import StageChoice


class GroupedKnowledge:
    """Penalise the distance from the parameters at which each group's features were best.

    Args:
        group_count: groups of classes.
        penalty: λ.
        variance_weight: β of the feature quality.
        alpha_start: share of the task loss at first.
        alpha_end: share of the task loss at the end.
        alpha_scales: the direction that is followed, or the loss, and with it the rule's ascent.
        refresh: share of the epochs between groupings; 1 never groups.
        fisher: mean of the squared gradients of the samples' cross-entropy (the empirical Fisher
            information), or the squared gradients of the mean logit-adjusted cross-entropy of
            batches of 256, summed and divided by the number of samples.
        fisher_samples: samples of a group from which the former is estimated; the latter takes all.
        quality: the paper's formula on training features, or the released one on test features.
    """

    stage: StageChoice = "first"

    def __init__(
        self,
        group_count: int = 4,
        penalty: float = 100.0,
        variance_weight: float = 0.5,
        alpha_start: float = 0.95,
        alpha_end: float = 0.6,
        alpha_scales: Literal["direction", "loss"] = "direction",
        refresh: float = 0.05,
        fisher: Literal["samples", "batches"] = "samples",
        fisher_samples: int = 256,
        quality: Literal["paper", "released"] = "paper",
    ) -> None:
        self._group_count, self._penalty, self._variance_weight = (
            group_count,
            penalty,
            variance_weight,
        )
        self._alpha, self._refresh = (alpha_start, alpha_end), refresh
        self._alpha_scales, self._fisher = alpha_scales, fisher
        self._fisher_samples, self._formula = fisher_samples, quality
        self._best: Tensor | None = None  # (K,) quality of each snapshot
        self._bank: Tensor | None = None  # (K, P) snapshots: parameters, then running statistics
        self._anchors: list[list[Tensor]] = []  # of each group, one tensor a parameter
        self._importance: list[list[Tensor]] = []  # F_g / n_g, likewise
        self.groups: Tensor | None = None

    def begin(self, num_classes: int) -> None:
        """Start without groups, or with all classes in a single one."""
        if self._group_count == 1:
            self.groups = torch.zeros(num_classes, dtype=torch.int64)

    def share(self, progress: float) -> float:
        """Return the share α of the task loss (Eq. 20)."""
        start, end = self._alpha
        return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

    def loss_scale(self, progress: float) -> float:
        """Return the factor of the loss that the rule sees."""
        return self.share(progress) if self._alpha_scales == "loss" else 1.0

    def add(self, objective: Objective) -> None:
        """Scale the rule's direction by α and add (1 - α) times the penalty's gradient."""
        alpha = self.share(objective.progress)
        if self._alpha_scales == "direction":
            for parameter in objective.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(alpha)
        if not self._anchors or self.groups is None:
            return
        present = self.groups.to(objective.labels.device)[objective.labels]
        counts = torch.bincount(present, minlength=len(self._anchors))
        factors = (1 - alpha) * self._penalty * (1 - counts.double() / len(present))
        encoder = encoder_of(objective.model)
        for factor, anchor, importance in zip(
            factors, self._anchors, self._importance, strict=True
        ):
            for parameter, there, weight in zip(encoder, anchor, importance, strict=True):
                assert parameter.grad is not None
                parameter.grad.add_(factor * weight * (parameter.detach() - there))

    def end_epoch(
        self,
        objective: Objective,
        train: LabelledData,
        test: LabelledData,
        generator: torch.Generator,
    ) -> None:
        """Update the memory bank; regroup the classes when due."""
        if self._group_count == 1:
            return
        data = test if self._formula == "released" else train
        self._remember(objective.model, data, len(objective.class_counts))
        period = max(1, round(self._refresh * objective.epochs))
        ended = objective.epoch + 1
        if self._refresh < 1 and ended % period == 0 and ended < objective.epochs:
            self._group(objective, train, generator)

    def _remember(self, model: Network, data: LabelledData, classes: int) -> None:
        seen = penultimate_features(evaluation_copy(model, _dtype(model)), "head", data)
        found = feature_quality(
            seen.features,
            seen.labels,
            classes,
            variance_weight=self._variance_weight,
            formula=self._formula,
        ).quality
        # no variance of a single sample: its quality would be infinite, its first snapshot for ever
        found = found.nan_to_num(nan=-math.inf, posinf=-math.inf)
        now = torch.cat([v.detach().flatten() for v in (*encoder_of(model), *_statistics(model))])
        if self._best is None or self._bank is None:
            self._best, self._bank = found, now.repeat(classes, 1)
            return
        # where quality cannot be told, the latest snapshot stands in
        better = ((found > self._best) | found.isinf()).nonzero().flatten()
        self._bank[better.to(now.device)] = now
        self._best[better] = found[better]

    def _group(self, objective: Objective, train: LabelledData, generator: torch.Generator) -> None:
        assert self._bank is not None
        encoder, statistics = encoder_of(objective.model), _statistics(objective.model)
        size = sum(p.numel() for p in encoder)
        self.groups = torch.from_numpy(normalised_cuts(self._bank[:, :size], self._group_count))
        counts = objective.class_counts.cpu().double()
        self._anchors, self._importance = [], []
        for g in range(int(self.groups.max()) + 1):
            classes = (self.groups == g).nonzero().flatten()
            mean = self._bank[classes.to(self._bank.device)].mean(dim=0)
            anchor, running = _split(mean[:size], encoder), _split(mean[size:], statistics)
            found = self._information(objective, anchor, running, train, classes, generator)
            self._anchors.append(anchor)
            self._importance.append([f / float(counts[classes].sum()) for f in found])

    def _information(
        self,
        objective: Objective,
        anchor: list[Tensor],
        running: list[Tensor],
        train: LabelledData,
        classes: Tensor,
        generator: torch.Generator,
    ) -> list[Tensor]:
        model = _at(objective.model, anchor, running)
        if self._fisher == "batches":
            members = torch.isin(train.labels, classes).nonzero().flatten()
            return batch_fisher(model, train, members, objective.class_counts)
        return sample_fisher(
            model, train, _draw(train.labels, classes, self._fisher_samples, generator)
        )

    def state(self) -> dict[str, Any]:
        """Return memory bank, groups, anchors and Fisher information."""
        return {
            "best": self._best,
            "bank": self._bank,
            "anchors": self._anchors,
            "importance": self._importance,
            "groups": self.groups,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self._best, self._bank = state["best"], state["bank"]
        self._anchors, self._importance = state["anchors"], state["importance"]
        self.groups = state["groups"]


def normalised_cuts(snapshots: Tensor, count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Group snapshots by spectral clustering of their cosine similarity, mapped to [0, 1].

    Args:
        snapshots: (K, P); identical ones share a group.
        count: groups wanted; fewer come out where there are fewer different snapshots.

    Returns:
        Group of each snapshot (K,), numbered from 0 in order of appearance.
    """
    distinct = len(torch.unique(snapshots, dim=0))
    count = min(count, distinct)
    if count == 1:
        return np.zeros(len(snapshots), dtype=np.int64)
    inner = gram(snapshots)
    lengths = np.sqrt(inner.diagonal()).clip(1e-12)
    affinity = ((inner / np.outer(lengths, lengths) + 1) / 2).clip(0, 1)
    found = SpectralClustering(
        count, affinity="precomputed", assign_labels="kmeans", random_state=0
    ).fit_predict(affinity)
    order = {label: place for place, label in enumerate(dict.fromkeys(found.tolist()))}
    return np.array([order[label] for label in found.tolist()], dtype=np.int64)


def _statistics(model: Network) -> list[Tensor]:
    """Return BatchNorm's running means and variances up to the penultimate features."""
    outside = set(map(id, model.contrast.modules())) if model.contrast else set()
    norms = [
        m
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and id(m) not in outside
    ]
    found = [value for norm in norms for value in (norm.running_mean, norm.running_var)]
    return [value for value in found if value is not None]


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([value.numel() for value in like])
    return [part.view_as(value) for part, value in zip(parts, like, strict=True)]


def _draw(labels: Tensor, classes: Tensor, most: int, generator: torch.Generator) -> Tensor:
    members = torch.isin(labels, classes).nonzero().flatten()
    order = torch.randperm(len(members), generator=generator)[:most]
    return members[order.sort().values]


def _at(model: Network, anchor: list[Tensor], running: list[Tensor]) -> Network:
    """Copy a model for evaluation, its encoder at an anchor."""
    copied = cast(Network, evaluation_copy(model, _dtype(model)))
    with torch.no_grad():
        pairs = zip((*encoder_of(copied), *_statistics(copied)), (*anchor, *running), strict=True)
        for tensor, value in pairs:
            tensor.copy_(value)
    return copied


def _dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype
