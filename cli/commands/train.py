"""``tailscape train``: train on long-tailed data and write a run folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from cli.console import closing, console, duration, progress_bar
from landscape.errors import quoted
from trainers.config import Plan, TrainConfig
from trainers.resolve import default_out

if TYPE_CHECKING:
    import torch

    from trainers.data.catalogue import LongTailedData


@dataclass(frozen=True)
class Train:
    """Train a method and write checkpoints; the same command resumes a stopped run."""

    options: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """Settings of the training."""
    config: Path | None = None
    """TOML file with any of these options; flags override them."""
    dry_run: bool = False
    """Print the resolved configuration and an estimate of the time, without training."""
    only_evaluations: tyro.conf.Suppress[bool] = False
    """Print the epochs that are evaluated alone, off a terminal."""

    def run(self) -> None:
        """Execute the command."""
        out = console()
        if self.dry_run:
            _dry_run(self.options, out)
            return
        from landscape.device import keep_freed_memory
        from landscape.distributed import process_group

        keep_freed_memory()
        with process_group() as writes:
            self._train(out if writes else Console(quiet=True))

    def _train(self, out: Console) -> None:
        from trainers.training import train

        with progress_bar(out) as bar:
            task, first = bar.add_task(self.options.method, total=None), [0]

            def report(entry: dict[str, Any]) -> None:
                done, total = entry["epoch"], entry["epochs"]
                before = first[0] = first[0] or done  # a resumed run's pace is that of its rest
                bar.update(
                    task,
                    completed=done - before + 1,
                    total=total - before + 1,
                    description=f"epoch {done} of {total}  {_brief(entry)}",
                )
                told = "test_accuracy" in entry or not self.only_evaluations
                if told and not out.is_terminal:
                    out.print(f"epoch {entry['epoch']}  {_brief(entry)}")

            outcome = train(self.options, report)
        if outcome.resumed_from:
            out.print(f"resumed after epoch {outcome.resumed_from} of {outcome.epochs}")
        folder, model = outcome.folder, outcome.folder.plan().model
        out.print(f"{outcome.samples:,} training samples")
        out.print(f"subset {outcome.subset_sha256}", soft_wrap=True)
        out.print(f"{model}, {outcome.parameters:,} parameters")
        out.print(_summary(folder.metrics()))
        closing(
            out,
            [f"{folder.path} (checkpoints, metrics)"],
            [f"tailscape diagnose {quoted(folder.path)}"],
        )


def _dry_run(options: TrainConfig, out: Console) -> None:
    from trainers.data.stand_in import is_absent
    from trainers.training import epochs_behind, estimate_seconds, prepare

    absent = is_absent(options.data, options.data_root)
    plan, data, device = without_files(options) if absent else prepare(options)
    _print_plan(plan, out)
    out.print(f"classes {len(data.class_names)}, training counts {list(data.class_counts)}")
    samples = f"{len(data.train.labels):,} training samples"
    if absent:
        sizes = f"by the published sizes of {options.data}, whose files are not here yet"
        out.print(f"{samples}, {sizes}", soft_wrap=True)
    else:
        out.print(samples)
        out.print(f"subset {data.subset_sha256}", soft_wrap=True)
    behind = 0 if absent else epochs_behind(options, plan, data)
    left = plan.epochs - behind
    rest = f" for the {left} epochs after {behind}" if behind else ""
    seconds = estimate_seconds(plan, data, device) * left / plan.epochs if left else 0.0
    folder = options.out or default_out(options)
    out.print(f"estimated {duration(seconds)} on {device}{rest}; run folder {folder}")
    out.print("nothing was trained; omit --dry-run to train")


def without_files(
    options: TrainConfig,
) -> "tuple[Plan, LongTailedData, torch.device]":
    """Resolve a configuration on black images, as many as the data set is known to hold."""
    from landscape.device import choose_device
    from landscape.groups import split_classes
    from trainers.data.catalogue import only_classes
    from trainers.data.stand_in import stand_in
    from trainers.resolve import imbalance_of, resolve

    device, imbalance = choose_device(options.device), imbalance_of(options)
    data = stand_in(
        options.data, device, imbalance=imbalance, imbalance_type=options.imbalance_type
    )
    split_classes(data.class_counts, options.split)
    data = only_classes(data, options.classes, options.split)
    return resolve(options, len(data.class_names)), data, device


def _print_plan(plan: Plan, out: Console) -> None:
    for name, value in plan.to_dict().items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        for inner, content in nested:
            out.print(f"{name + ('.' + inner if inner else ''):28} {content}")


def _brief(entry: dict[str, Any]) -> str:
    parts = [f"lr {entry['lr']:.4g}", f"train loss {entry['train_loss']:.4f}"]
    for name in ("accuracy", "head", "mid", "tail"):
        value = entry.get(f"test_{name}")
        if value is not None:
            parts.append(f"{'test' if name == 'accuracy' else name} {100 * value:.1f} %")
    return "  ".join([*parts, f"{entry['seconds']:.1f} s"])


def _summary(metrics: list[dict[str, Any]]) -> str:
    evaluated = [entry for entry in metrics if "test_accuracy" in entry]
    last, best = evaluated[-1], max(evaluated, key=lambda entry: entry["test_accuracy"])
    groups = ", ".join(
        f"{g} {100 * last[f'test_{g}']:.1f}"
        for g in ("head", "mid", "tail")
        if last[f"test_{g}"] is not None
    )
    return (
        f"last epoch {last['epoch']}: {100 * last['test_accuracy']:.1f} % "
        f"({groups}; split '{last['split']}'); best on test, epoch {best['epoch']}: "
        f"{100 * best['test_accuracy']:.1f} %"
    )
