"""From a trainer to a finished run: epochs, metrics and checkpoints on disk."""

from trainers.runs.checkpoint import save_checkpoint
from trainers.runs.folder import RunFolder
from trainers.trainer import Report, Trainer


def fit(trainer: Trainer, folder: RunFolder, report: Report | None = None) -> None:
    """Train to the end, keeping checkpoints and metrics.

    Args:
        trainer: at the epoch reached.
        folder: prepared, and held by this process.
        report: called with the metrics of each epoch and the number of ``epochs``.
    """
    plan = trainer.plan
    entries = [entry for entry in folder.metrics() if entry["epoch"] <= trainer.epoch]
    best = max((e.get("test_accuracy", -1.0) for e in entries), default=-1.0)
    if trainer.epoch == 0:
        save_checkpoint(trainer.weights(), folder.checkpoint("epoch_0000"))

    def keep_step() -> None:
        if trainer.steps in plan.checkpoint_steps:
            save_checkpoint(trainer.weights(), folder.checkpoint(f"step_{trainer.steps:06d}"))

    trainer.after_step = keep_step
    while not trainer.finished:
        entry = trainer.train_epoch()
        entries.append(entry)
        if entry.get("test_accuracy", -1.0) > best:
            best = entry["test_accuracy"]
            save_checkpoint(trainer.weights(), folder.checkpoint("best"))
        if trainer.epoch in plan.checkpoints:
            save_checkpoint(trainer.weights(), folder.checkpoint(f"epoch_{trainer.epoch:04d}"))
        trainer.begin_due_stage(folder)  # before the state is saved: it may start from best.pt
        folder.write_metrics(entries)
        if trainer.epoch in plan.states:
            save_checkpoint(trainer.state(), folder.state(trainer.epoch))
        save_checkpoint(trainer.state(), folder.last)
        if report is not None:
            report(entry | {"epochs": plan.epochs})
