"""Recompute what a model keeps of its weights and data, where it stands."""

from collections.abc import Iterable

import torch
from torch import nn

from landscape.subject.batch import Batch
from landscape.subject.calling import outputs_of
from landscape.weight_space.spectral_norms import recompute_singular_vectors


def recompute_statistics(model: nn.Module, batches: Iterable[Batch]) -> None:
    """Replace running statistics of BatchNorm by the plain averages of those of the batches.

    The singular vectors of spectral norms are those of the weights, before.

    Args:
        model: in eval mode, before and afterwards.
        batches: on which they are taken.
    """
    recompute_singular_vectors(model)
    norms = [
        m
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    with torch.no_grad():
        for batch in batches if norms else ():
            outputs_of(model, batch)
    for norm in norms:
        norm.eval()
