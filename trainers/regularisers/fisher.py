"""Diagonals of the Fisher information of an encoder, estimated from samples or from batches."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.subject.data import LabelledData
from trainers.losses.logit_adjustment import logit_adjustment
from trainers.models.network import Network

BATCH = 256  # of the released GKP-GSA code
_CHUNK = 32  # samples whose gradients are held at once


def encoder_of(model: Network) -> list[nn.Parameter]:
    """Return the trainable parameters up to the penultimate features."""
    outside = {id(p) for part in (model.head, model.contrast) if part for p in part.parameters()}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in outside]


def sample_fisher(model: Network, data: LabelledData, chosen: Tensor) -> list[Tensor]:
    """Return the mean squared gradient of the samples' cross-entropy; zero without samples.

    Args:
        model: in eval mode.
        data: of the samples.
        chosen: their indices (N,).
    """
    names = {id(p): n for n, p in model.named_parameters()}
    own = {names[id(p)]: p.detach() for p in encoder_of(model)}

    def loss(parameters: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(model, parameters, (image[None],))
        return F.cross_entropy(logits, label[None])

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    total = [torch.zeros_like(value) for value in own.values()]
    for images, labels in data.batches(chosen, _CHUNK):
        for sum_, gradient in zip(total, each(own, images, labels).values(), strict=True):
            sum_ += (gradient**2).sum(dim=0)
    return [value / max(len(chosen), 1) for value in total]


def batch_fisher(
    model: Network, data: LabelledData, chosen: Tensor, class_counts: Tensor
) -> list[Tensor]:
    """Return the squared gradients of the batches' mean loss, summed, over the number of samples.

    The loss is the cross-entropy of logits + log π (released GKP-GSA code). A batch of B samples
    makes one square, so that this is smaller than :func:`sample_fisher` by B where gradients are
    alike, and by B² where they are independent.

    Args:
        model: in eval mode.
        data: of the samples.
        chosen: their indices (N,), in the order in which they make batches.
        class_counts: (K,) training samples.
    """
    encoder, loss = encoder_of(model), logit_adjustment(class_counts)
    total = [torch.zeros_like(p) for p in encoder]
    for images, labels in data.batches(chosen, BATCH):
        mean = loss(model(images), labels).mean()
        for sum_, gradient in zip(total, torch.autograd.grad(mean, encoder), strict=True):
            sum_ += gradient**2
    return [value / max(len(chosen), 1) for value in total]
