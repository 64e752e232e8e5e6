"""Start or continue a run: epochs, metrics and checkpoints on disk."""

import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from landscape.device import choose_device, machine_name
from landscape.distributed import any_of, is_writer, processes, wait_for_all
from landscape.errors import DepartureWarning, ReproducibilityWarning, Terminated
from landscape.groups import split_classes
from trainers.config import Plan, TrainConfig
from trainers.data.catalogue import LongTailedData, only_classes, open_data
from trainers.data.images import normalised
from trainers.epoch import train_epoch
from trainers.forward import compile_mode_of
from trainers.methods.grammar import parse_method
from trainers.models.initial import initialise
from trainers.models.network import parameter_count
from trainers.published import departures
from trainers.resolve import default_out, imbalance_of, resolve, subset_seed_of
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint
from trainers.runs.folder import RunFolder
from trainers.runs.fork import open_origin, start_from
from trainers.runs.state import restore, training_state
from trainers.runs.termination import noted_termination
from trainers.trainer import Report, Trainer


@dataclass(frozen=True)
class Outcome:
    """Hold the outcome of :func:`train`."""

    folder: RunFolder
    resumed_from: int  # epoch; 0 for a new run
    epochs: int
    samples: int  # of the training set
    subset_sha256: str  # of their places in the pool from which they are drawn
    parameters: int  # of the network


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
    folder = RunFolder(config.out or default_out(config))
    begins = config.fork is None and (config.overwrite or not folder.last.is_file())
    initial = partial(initialise, plan=plan, class_names=data.class_names)
    # what the trainer refuses leaves no folder, and deletes none
    trainer = Trainer(plan, data, device, mode, initial=initial if begins else None)
    with folder.writer() if is_writer() else nullcontext():
        extra = _facts(trainer, config)
        origin = None
        if config.fork is not None:
            origin = open_origin(config.fork, plan, extra["data_sha256"])
            extra["forked_from"] = origin.facts()
        goes_on = is_writer() and folder.prepare(plan, extra, overwrite=config.overwrite)
        if goes_on:
            _warn_of_changes(folder, extra["computed"])
        elif origin is not None and is_writer():
            start_from(origin, trainer, folder)
        wait_for_all()
        if goes_on or not is_writer():
            _take_up(trainer, folder)
        start = trainer.epoch
        with noted_termination() as noted:
            trainer.stop_asked = lambda: any_of(noted())
            fit(trainer, folder, report if is_writer() else None)
    return Outcome(
        folder,
        start,
        plan.epochs,
        len(data.train.labels),
        data.subset_sha256,
        parameter_count(trainer.model),
    )


def _facts(trainer: Trainer, config: TrainConfig) -> dict[str, Any]:
    """Return what ``config.json`` holds beside the plan; the process that writes warns, too."""
    data, device = trainer.data, trainer.device
    return {
        "class_names": list(data.class_names),
        "class_counts": list(data.class_counts),
        "data_sha256": data.train.fingerprint(),
        "subset_sha256": data.subset_sha256,
        "parameters": parameter_count(trainer.model),
        "departures": _warn_of_departures(trainer) if is_writer() else [],
        "data_root": str(config.data_root) if config.data_root else None,
        "device": device.type,
        "computed": _computed(device, config),
    }


def _take_up(trainer: Trainer, folder: RunFolder) -> None:
    """Go on from where the run is, if it is begun."""
    if folder.last.is_file():
        restore(trainer, load_checkpoint(folder.last), folder.last)


def fit(trainer: Trainer, folder: RunFolder, report: Report | None = None) -> None:
    """Train to the end, keeping checkpoints and metrics.

    Args:
        trainer: at the epoch reached.
        folder: prepared, and held by this process, or by the one that writes.
        report: called with the metrics of each epoch and the number of ``epochs``.
    """
    plan = trainer.plan
    keep = save_checkpoint if is_writer() else _leave_to_the_writer
    keep_metrics = folder.write_metrics if is_writer() else _leave_to_the_writer
    entries = _entries_so_far(trainer, folder, keep_metrics)
    best = max((e.get("test_accuracy", -1.0) for e in entries), default=-1.0)
    if trainer.steps == 0:
        keep(trainer.weights(), folder.checkpoint("epoch_0000"))

    def keep_step() -> None:
        if trainer.steps in plan.checkpoint_steps:
            keep(trainer.weights(), folder.checkpoint(f"step_{trainer.steps:06d}"))

    trainer.after_step = keep_step
    trainer.begin_due_stage(folder)  # of a fork from the end of a stage
    while not trainer.finished:
        try:
            entry = train_epoch(trainer)
        except Terminated:
            if trainer.part is None:  # obeyed at once, in the middle of a step
                raise
            keep(training_state(trainer), folder.last)
            raise
        entries.append(entry)
        if entry.get("test_accuracy", -1.0) > best:
            best = entry["test_accuracy"]
            keep(trainer.weights(), folder.checkpoint("best"))
        if trainer.epoch in plan.checkpoints:
            keep(trainer.weights(), folder.checkpoint(f"epoch_{trainer.epoch:04d}"))
        wait_for_all()  # for best.pt
        trainer.begin_due_stage(folder)  # before the state is saved: it may start from best.pt
        trainer.entry = entry
        if trainer.epoch in plan.states:
            keep(training_state(trainer), folder.state(trainer.epoch))
        keep(training_state(trainer), folder.last)
        keep_metrics(entries)  # last: a run is over when its last epoch stands there
        if report is not None:
            report(entry | {"epochs": plan.epochs})
        if trainer.stop_asked() and not trainer.finished:
            raise Terminated


def _entries_so_far(
    trainer: Trainer, folder: RunFolder, keep_metrics: Callable[[list[dict[str, Any]]], None]
) -> list[dict[str, Any]]:
    """Return the metrics up to the epoch reached; complete their file, which is written last."""
    entries = [entry for entry in folder.metrics() if entry["epoch"] <= trainer.epoch]
    if trainer.entry and [e["epoch"] for e in entries[-1:]] != [trainer.epoch]:
        entries.append(trainer.entry)
        keep_metrics(entries)
    return entries


def _leave_to_the_writer(*_: object) -> None:
    """Write nothing, in a process that is not the one that writes."""


def _computed(device: torch.device, config: TrainConfig) -> dict[str, Any]:
    """Return the machine, threads and compilation on which a run's last digits depend."""
    return {
        "machine": machine_name(device),
        "threads": torch.get_num_threads(),
        "processes": processes(),
        "compile": config.compile,
    }


def _warn_of_departures(trainer: Trainer) -> list[str]:
    """Warn of what the papers name otherwise, and return it."""
    model = trainer.model
    outside = sum(parameter_count(part) for part in (model.head, model.contrast) if part)
    found = departures(trainer.plan, trainer.data.class_counts, parameter_count(model) - outside)
    for sentence in found:
        warnings.warn(sentence, DepartureWarning, stacklevel=3)
    return found


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
        subset_seed=subset_seed_of(config),
        root=config.data_root,
        download=config.download,
        image_size=config.image_size,
        workers=config.workers,
    )
    split_classes(data.class_counts, config.split)
    data = only_classes(data, config.classes, config.split)
    plan = resolve(config, len(data.class_names))
    train, test = (normalised(images, plan.normalisation) for images in (data.train, data.test))
    return plan, replace(data, train=train, test=test), device


def epochs_behind(config: TrainConfig, plan: Plan, data: LongTailedData) -> int:
    """Count the epochs that a run, or the one it is forked from, has behind it.

    Raises:
        InputError: the folder or the fork is one that :func:`train` refuses.
    """
    folder = RunFolder(config.out or default_out(config))
    fingerprint = data.train.fingerprint()
    if folder.config_path.is_file() and not config.overwrite:
        folder.check_same(plan, fingerprint)
        if folder.last.is_file():
            return int(load_checkpoint(folder.last)["epoch"])
    return open_origin(config.fork, plan, fingerprint).epoch if config.fork is not None else 0


def estimate_seconds(plan: Plan, data: LongTailedData, device: torch.device) -> float:
    """Estimate the seconds of a whole run from three measured training steps and a test batch."""
    trainer = Trainer(plan, data, device)
    size, samples = plan.recipe.batch_size, len(data.train.labels)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(0))[: 3 * size]
    trainer.set_training()
    for inputs, labels, partners in trainer.batches(order[:size], size):
        float(
            trainer.step(inputs, labels, 0, partners).each.sum()
        )  # start-up is not part of a run's pace
    started = time.perf_counter()
    for inputs, labels, partners in trainer.batches(order, size):
        float(trainer.step(inputs, labels, 0, partners).each.sum())
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
