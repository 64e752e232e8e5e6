"""The loss that a run's training descended when it reached a checkpoint, as a loss of samples.

With the margins of the method, its class weights in that epoch (deferred ones, too) and the share
that its sampler gives each class: the mean over the training images is the trainer's own loss of
all of them in one batch. Images are as they are, not augmented or mixed, and the penalties of
regularisers are no part of it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from landscape.subject.loss import Loss
from trainers.data.catalogue import LongTailedData
from trainers.data.samplers import class_shares
from trainers.losses.loss import NetworkLoss, Scored
from trainers.runs.checkpoint import load_checkpoint
from trainers.runs.folder import RunFolder
from trainers.trainer import Trainer


def trained_loss(folder: RunFolder, checkpoint: str, data: LongTailedData) -> Loss | None:
    """Build the loss of the epoch that ended at a checkpoint.

    Args:
        folder: the run.
        checkpoint: name such as ``epoch_0160``.
        data: of the run.

    Returns:
        The loss; ``None`` where it is no function of single samples: it draws noise, or compares
        samples, views or pairs of batches.
    """
    epoch = max(int(load_checkpoint(folder.checkpoint(checkpoint))["epoch"]), 1) - 1
    with torch.random.fork_rng():
        trainer = Trainer(folder.plan(), data, torch.device("cpu"))
    while epoch >= trainer.begun + trainer.stage.recipe.epochs:
        trainer.enter_following()
    stage, epoch = trainer.stage, epoch - trainer.begun
    compares = stage.whole and (trainer.keyed or trainer.views > 1)
    factors = _class_factors(trainer, epoch)
    if compares or stage.paired is not None or factors is None:
        return None
    before = trainer.augmentation.get_state()
    loss: Any = trainer.loss_at(epoch)
    word = trainer.plan.parsed.words["loss"] if stage.whole else trainer.plan.parsed.words["stages"]
    name = word if torch.equal(factors, torch.ones_like(factors)) else f"{word}, classes weighted"
    if isinstance(loss, NetworkLoss):
        return Loss.of_batch(_of_network(loss, factors), name)

    def criterion(logits: Tensor, labels: Tensor) -> Tensor:
        each: Tensor = loss(logits, labels.long())
        return each * factors.to(logits)[labels.long()]

    classes = len(factors)
    criterion(torch.zeros(classes, classes), torch.arange(classes))
    drew = not torch.equal(before, trainer.augmentation.get_state())
    return None if drew else Loss(criterion, name, takes_logits=True)


def _of_network(loss: NetworkLoss, factors: Tensor) -> Any:
    def whole(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, labels = batch[0], batch[1].long()
        network: Any = model
        each = loss.of_network(Scored(network, network.features(inputs), labels))
        return each * factors.to(each)[labels]

    return whole


def _class_factors(trainer: Trainer, epoch: int) -> Tensor | None:
    """Factors (K,) of the classes' losses, float64; ``None`` for a sampler of other packages."""
    counts = trainer.counts.double()
    shares = class_shares(trainer.stage.sampler, counts)
    if shares is None:
        return None
    if trainer.stage.sampler == "instance":
        factors = torch.ones_like(counts)
    else:
        factors = torch.where(counts > 0, shares * counts.sum() / counts, 0.0)
    weights = trainer.class_weights(epoch)
    if weights is None:
        return factors
    mean = trainer.plan.settings["weighting"].get("mean", "weights")
    whole = (shares * weights).sum() if mean == "weights" else 1.0
    return factors * weights / whole
