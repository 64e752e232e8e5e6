"""Start or continue a run; open what it left for a diagnosis."""

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape.device import choose_device, machine_name
from landscape.errors import InputError, ReproducibilityWarning
from landscape.groups import split_classes
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from trainers.architecture import Architecture, architecture_of
from trainers.config import Plan, TrainConfig, default_out, imbalance_of, resolve
from trainers.data.catalogue import LongTailedData, only_classes, open_data
from trainers.data.images import with_views
from trainers.fit import fit
from trainers.fork import open_origin, start_from
from trainers.forward import compile_mode_of
from trainers.methods.grammar import parse_method
from trainers.models.network import Network
from trainers.rules.rule import Stateful
from trainers.runs.checkpoint import load_checkpoint, load_weights
from trainers.runs.folder import RunFolder
from trainers.trainer import Report, Trainer


@dataclass(frozen=True)
class Outcome:
    """What a call of :func:`train` did."""

    folder: RunFolder
    resumed_from: int  # epoch; 0 for a new run
    epochs: int


def train(config: TrainConfig, report: Report | None = None) -> Outcome:
    """Train a run, or finish one that was stopped.

    Args:
        config: as given by the user.
        report: called with the metrics of each epoch.

    Raises:
        InputError: a name, value, file or folder that cannot be used.
    """
    plan, data, device = prepare(config)
    mode = compile_mode_of(device) if config.compile else None
    # what the trainer refuses leaves no folder, and deletes none
    trainer = Trainer(plan, data, device, mode)
    folder = RunFolder(config.out or default_out(config))
    with folder.writer():
        extra: dict[str, Any] = {
            "class_names": list(data.class_names),
            "class_counts": list(data.class_counts),
            "data_sha256": data.train.fingerprint(),
            "data_root": str(config.data_root) if config.data_root else None,
            "device": device.type,
            "computed": _computed(device, config),
        }
        origin = None
        if config.fork is not None:
            origin = open_origin(config.fork, plan, extra["data_sha256"])
            extra["forked_from"] = origin.facts()
        if folder.prepare(plan, extra, overwrite=config.overwrite):
            _warn_of_changes(folder, extra["computed"])
            trainer.restore(load_checkpoint(folder.last), folder.last)
        elif origin is not None:
            start_from(origin, trainer, folder)
        start = trainer.epoch
        fit(trainer, folder, report)
    return Outcome(folder, start, plan.epochs)


def _computed(device: torch.device, config: TrainConfig) -> dict[str, Any]:
    """What else the last digits of a run depend on."""
    return {
        "machine": machine_name(device),
        "threads": torch.get_num_threads(),
        "compile": config.compile,
    }


def _warn_of_changes(folder: RunFolder, now: dict[str, Any]) -> None:
    stored = folder.config()
    begun = stored.get("computed", {}) | {"torch": stored["versions"]["torch"]}
    now = now | {"torch": version("torch")}
    changed = [
        f"{name} was {before}, is {now[name]}"
        for name, before in begun.items()
        if before != now[name]
    ]
    if changed:
        warnings.warn(
            f"'{folder.path}' goes on under other conditions ({'; '.join(changed)}); its weights "
            "will differ, first in their last digits, from those of a run without a stop",
            ReproducibilityWarning,
            stacklevel=3,
        )


def prepare(config: TrainConfig) -> tuple[Plan, LongTailedData, torch.device]:
    """Resolve a configuration and open its data.

    Raises:
        InputError: a name, value or file that cannot be used.
    """
    parse_method(config.method)
    device = choose_device(config.device)
    data = open_data(
        config.data,
        device,
        imbalance=imbalance_of(config),
        imbalance_type=config.imbalance_type,
        root=config.data_root,
        download=config.download,
        image_size=config.image_size,
        workers=config.workers,
    )
    split_classes(data.class_counts, config.split)
    data = only_classes(data, config.classes, config.split)
    return resolve(config, len(data.class_names)), data, device


def estimate_seconds(plan: Plan, data: LongTailedData, device: torch.device) -> float:
    """Estimate the seconds of a whole run from three measured training steps and a test batch."""
    trainer = Trainer(plan, data, device)
    size, samples = plan.recipe.batch_size, len(data.train.labels)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(0))[: 3 * size]
    trainer.set_training()
    train = with_views(data.train, plan.parsed.parts["loss"].views)
    for inputs, labels in train.batches(order[:size], size, trainer.augmentation):
        float(trainer.step(inputs, labels, 0).each.sum())  # start-up is not part of a run's pace
    started = time.perf_counter()
    for inputs, labels in train.batches(order, size, trainer.augmentation):
        float(trainer.step(inputs, labels, 0).each.sum())
    a_sample = (time.perf_counter() - started) / len(order)
    judged = torch.arange(min(len(data.test.labels), 512))
    trainer.model.eval()
    started = time.perf_counter()
    with torch.no_grad():
        for inputs, _ in data.test.batches(judged, 512):
            float(trainer.forward.logits(inputs).sum())
    a_test = (time.perf_counter() - started) / len(judged)
    evaluations = plan.epochs / plan.eval_every
    return plan.epochs * samples * a_sample + evaluations * len(data.test.labels) * a_test


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
        InputError: they are missing, or not those of the run any more.
    """
    stored, plan = folder.config(), folder.plan()
    trained_root = Path(stored["data_root"]) if stored["data_root"] else None
    data = open_data(
        plan.data,
        device,
        imbalance=plan.imbalance,
        imbalance_type=plan.imbalance_type,
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
    """Open a checkpoint as the subject of a diagnosis, on its own training data.

    Args:
        folder: the run.
        checkpoint: name such as ``epoch_0200`` or ``best``.
        data: from :func:`open_run_data`.
        device: where to compute.
        logit_scale: scale at which a cosine classifier's logits are judged; default: its own.

    Raises:
        InputError: the checkpoint is missing, damaged or of another architecture, or a logit scale
            is given for a linear classifier.
    """
    model = load_model(folder, checkpoint, data)
    model.contrast = None  # what only training uses is no part of the network judged
    return Subject(
        model.to(device).eval(),
        data.train,
        _loss(architecture_of(folder.plan(), data), logit_scale),
        data.class_names,
        data.class_counts,
    )


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
    return model


def rule_follower(
    folder: RunFolder, checkpoint: str, data: LongTailedData
) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Give what a run's method would follow on a batch at a checkpoint.

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
        views = plan.parsed.parts["loss"].views
        repeated = inputs.repeat(views, *[1] * (inputs.dim() - 1))
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.stage.rule(trainer.objective(repeated, labels, epoch))
        return [
            torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in trainer.model.named_parameters()
            if not name.startswith("contrast.")
        ]

    return follow


def _refuse_to_follow(trainer: Trainer, epoch: int) -> None:
    if isinstance(trainer.stage.rule, Stateful) or trainer.regulariser is not None:
        raise InputError(
            f"what '{trainer.plan.method}' follows depends on more than a checkpoint holds "
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
