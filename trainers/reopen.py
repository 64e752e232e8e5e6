"""Data, checkpoints and method of a finished run, opened for a diagnosis."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from landscape.device import DeviceName, choose_device
from landscape.errors import InputError
from landscape.results.checkpoint_names import spelled
from landscape.results.provenance import RunOrigin
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from trainers.architecture import Architecture, architecture_of
from trainers.data.catalogue import LongTailedData, only_classes, open_data
from trainers.models.heads import ScaledHead
from trainers.models.network import Network
from trainers.rules.rule import Stateful
from trainers.runs.checkpoint import load_checkpoint, load_weights
from trainers.runs.folder import RunFolder
from trainers.trainer import Trainer


def open_run_data(
    folder: RunFolder, device: torch.device, root: Path | None = None, workers: int = 0
) -> LongTailedData:
    """Open the data a run was trained on.

    Args:
        folder: the run.
        device: where batches are put.
        root: folder of the files, where it is not that of the training.
        workers: decoding processes of images read lazily.

    Raises:
        InputError: they are missing, or have changed since the run.
    """
    stored, plan = folder.config(), folder.plan()
    trained_root = Path(stored["data_root"]) if stored["data_root"] else None
    data = open_data(
        plan.data,
        device,
        imbalance=plan.imbalance,
        imbalance_type=plan.imbalance_type,
        subset_seed=plan.subset_seed,
        normalisation=plan.normalisation,
        root=root or trained_root,
        image_size=plan.image_size,
        workers=workers,
    )
    data = only_classes(data, plan.classes, plan.split)
    if data.train.fingerprint() != stored["data_sha256"]:
        raise InputError(
            f"the data '{plan.data}' are not those that '{folder.path}' was trained on (another "
            "fingerprint); restore them, or train again"
        )
    return data


def open_subject(
    folder: RunFolder,
    checkpoint: str,
    data: LongTailedData,
    device: torch.device,
    logit_scale: float | None = None,
) -> Subject:
    """Open a checkpoint as the subject of a diagnosis, on the training data of its run.

    Args:
        folder: the run.
        checkpoint: name such as ``epoch_0200`` or ``best``.
        data: from :func:`open_run_data`.
        device: where to compute.
        logit_scale: scale of a cosine classifier's logits; default: the trained one.

    Raises:
        InputError: the checkpoint is missing, damaged or of another architecture, or a logit scale
            is given for a linear classifier.
    """
    model = load_model(folder, checkpoint, data)
    model.contrast = None  # the projections serve training alone
    return Subject(
        model.to(device).eval(),
        data.train,
        _loss(architecture_of(folder.plan(), data), logit_scale),
        data.class_names,
        data.class_counts,
        checkpoint=checkpoint,
        origin=run_origin(folder),
    )


def run_subject(
    path: str | Path,
    checkpoint: str = "last",
    *,
    device: DeviceName = "auto",
    data_root: Path | None = None,
    workers: int = 0,
    logit_scale: float | None = None,
) -> Subject:
    """Open a checkpoint of a run folder, as :meth:`landscape.Run.subject` does.

    Args:
        path: the run folder.
        checkpoint: ``last``, an epoch's number, or a name such as ``epoch_0200`` or ``best``.
        device: where to compute.
        data_root: see :func:`open_run_data`, as for ``workers``.
        workers: decoding processes.
        logit_scale: see :func:`open_subject`.
    """
    folder, chosen = RunFolder(Path(path).expanduser()), choose_device(device)
    saved = folder.checkpoint_names()
    if checkpoint == "last" and saved:
        checkpoint = saved[-1]
    name = spelled(checkpoint, saved)
    data = open_run_data(folder, chosen, data_root, workers)
    return open_subject(folder, name, data, chosen, logit_scale)


def run_origin(folder: RunFolder) -> RunOrigin:
    """Read the origin of a run's checkpoints, as result files state it."""
    stored = folder.config()
    return RunOrigin(folder.path.resolve().name, stored["plan"], stored["data_sha256"])


def load_model(folder: RunFolder, checkpoint: str, data: LongTailedData) -> Network:
    """Build a checkpoint's network with its weights, on the CPU.

    Raises:
        InputError: the checkpoint is missing, damaged or of another architecture.
    """
    path = folder.checkpoint(checkpoint)
    stored = load_checkpoint(path)
    architecture = architecture_of(folder.plan(), data)
    if Architecture(**stored["architecture"]) != architecture:
        raise InputError(
            f"'{path}' is of another architecture ({stored['architecture']}) than its run "
            f"({asdict(architecture)}); diagnose it in the run it was trained in"
        )
    with torch.random.fork_rng(devices=[]):
        model = architecture.build()
    load_weights(model, stored["model"], path)
    if isinstance(model.head, ScaledHead):
        model.head = model.head.folded()
    return model


def rule_direction(
    folder: RunFolder, checkpoint: str, data: LongTailedData
) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Return a function for the direction of a run's rule on a batch at a checkpoint.

    Args:
        folder: the run.
        checkpoint: name of the checkpoint.
        data: of the run.

    Returns:
        From un-augmented inputs and labels to the direction, one tensor a trainable parameter of
        the network as it is judged.

    Raises:
        InputError: the method carries a state from step to step, or the checkpoint is of a second
            stage.
    """
    stored = load_checkpoint(folder.checkpoint(checkpoint))
    plan = folder.plan()
    device = next(iter(data.train.batches(torch.zeros(1, dtype=torch.int64), 1)))[0].device
    with torch.random.fork_rng():
        trainer = Trainer(plan, data, device)
    _refuse_to_follow(trainer, int(stored["epoch"]))
    epoch = min(int(stored["epoch"]), plan.recipe.epochs - 1)

    def follow(inputs: Tensor, labels: Tensor) -> list[Tensor]:
        trainer.model.load_state_dict(stored["model"])  # some rules move the weights
        trainer.set_training()
        views = 2 if trainer.stage.paired else plan.parsed.parts["loss"].views
        repeated = inputs.repeat(views, *[1] * (inputs.dim() - 1))
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.stage.rule(trainer.objective(repeated, labels, epoch))
        return [
            torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in trainer.model.named_parameters()
            if p.requires_grad and not name.startswith(("contrast.", "head.class_scale"))
        ]

    return follow


def _refuse_to_follow(trainer: Trainer, epoch: int) -> None:
    if isinstance(trainer.stage.rule, Stateful) or trainer.regulariser or trainer.keyed:
        raise InputError(
            f"the direction of '{trainer.plan.method}' depends on more than a checkpoint holds "
            "(running means or a memory bank); leave --gradients.direction out"
        )
    if epoch > trainer.plan.recipe.epochs:
        raise InputError(
            "the second stage trains the classifier alone; take a checkpoint of the first "
            f"(--checkpoints, up to {trainer.plan.recipe.epochs}), or leave --gradients.direction "
            "out"
        )


def _loss(architecture: Architecture, logit_scale: float | None) -> Loss:
    if logit_scale is None:
        return cross_entropy()
    if architecture.head != "cosine":
        raise InputError("--logit-scale is for cosine classifiers; this checkpoint's is linear")
    return cross_entropy(logit_factor=logit_scale / architecture.scale)
