"""What a step of each rule and precision costs: python -m tests.benchmarks.training [--model …].

One network, one set of batches; every round takes one step of each method in turn, and the medians
are printed as ratios to SAM's and to the base's (the same loss by plain descent). With
TAILSCAPE_CIFAR10_IMAGES the images are CIFAR-10's, otherwise digits enlarged to 32 x 32; hundred
classes are the same images under random labels, which cost the same. Precisions are compared on
plain cross-entropy, as seconds of an epoch of CIFAR-10-LT (12,406 images) and of its test set's
evaluation (10,000).
"""

import argparse
import os
import statistics
import time
from dataclasses import replace
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from landscape.device import keep_freed_memory
from trainers.config import Precision, TrainConfig
from trainers.data.catalogue import LongTailedData, open_data
from trainers.data.images import ArrayImages
from trainers.epoch import evaluate
from trainers.forward import CompileMode, compile_mode_of
from trainers.resolve import resolve
from trainers.trainer import Trainer

CIFAR_LT = 12_406  # images at imbalance 100

# method: (what it is compared with, settings)
METHODS = {
    "ce": ("ce", ()),
    "ce+sam": ("ce", ()),
    "la+focal-sam": ("ce", ()),
    "ce+imbsam": ("ce", ()),
    "ce+cc-sam": ("ce", ()),
    "ce+fsam": ("ce", ()),
    "ce+asam": ("ce", ()),
    "ce-mixup": ("ce-mixup", ()),
    "ce-mixup+plot": ("ce-mixup", ()),
    "ce+mgda": ("ce", ()),
    "ce+cagrad": ("ce", ()),
    "bcl": ("bcl", ()),
    "bcl+sam": ("bcl", ()),
    "bcl+gkp+gsa": ("bcl", ()),
    "bcl+gkp+gsa/group": ("bcl", ("statistics=group",)),
    "bcl+gsa/one": ("bcl", ("passes=one",)),
    "gkp-gsa@released": ("bcl", ()),
}


def images_as_array(classes: int, device: torch.device) -> LongTailedData:
    """Open the images at 32 x 32 in memory, under ``classes`` labels."""
    images = os.environ.get("TAILSCAPE_CIFAR10_IMAGES")
    data = open_data(f"folder:{images}" if images else "digits", device, imbalance=1)
    train = data.train
    assert isinstance(train, ArrayImages)
    pixels = train.pixels[:4096]
    if pixels.shape[1] == 1:
        pixels = F.interpolate(pixels.float().expand(-1, 3, -1, -1), size=32).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    counts = (5000 * 100 ** (-torch.arange(classes) / (classes - 1))).long()
    labels = torch.multinomial(counts.double(), len(pixels), True, generator=generator)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    images_in_memory = replace(train, pixels=pixels, labels=labels, mean=mean, std=std)
    names = tuple(map(str, range(classes)))
    return LongTailedData(images_in_memory, images_in_memory, names, tuple(counts.tolist()))


class Stepper:
    """Takes a step of one method on the same batch again and again."""

    def __init__(
        self,
        name: str,
        data: LongTailedData,
        model: str,
        batch: int,
        device: torch.device,
        precision: Precision = "float32",
        mode: CompileMode | None = None,
    ) -> None:
        method, _, _ = name.partition("/")
        settings = METHODS[name][1]
        if "imbsam" in method:
            settings = (*settings, "eta=150")
        config = TrainConfig(
            method=method,
            data="cifar10",
            model=model,
            batch_size=batch,
            settings=settings,
            precision=precision,
        )
        self.trainer = Trainer(resolve(config, len(data.class_names)), data, device, mode)
        self.trainer.set_training()
        order = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(1))
        batches = self.trainer._train.batches(order, batch, self.trainer.augmentation)
        self.inputs, self.labels = next(batches)

    def seconds(self) -> float:
        """Seconds of one step."""
        started = time.perf_counter()
        self.trainer.step(self.inputs, self.labels, 0)
        if self.inputs.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def evaluation_seconds(self) -> float:
        """Seconds of judging the test set, an image."""
        started = time.perf_counter()
        evaluate(self.trainer)
        self.trainer.set_training()
        return (time.perf_counter() - started) / len(self.trainer.data.test.labels)


def precisions(model: str, batch: int, rounds: int, device: torch.device, out: Console) -> None:
    """Print the seconds of an epoch of each precision, compiled or not."""
    data = images_as_array(10, device)
    kinds = get_args(Precision) if device.type == "cuda" else ("float32", "bfloat16")
    steppers = {
        (kind, "compiled" if mode else "eager"): Stepper(
            "ce", data, model, batch, device, kind, mode
        )
        for kind in kinds
        for mode in (None, compile_mode_of(device))
    }
    found: dict[tuple[str, str], list[float]] = {key: [] for key in steppers}
    judged: dict[tuple[str, str], list[float]] = {key: [] for key in steppers}
    for stepper in steppers.values():
        stepper.seconds()
    for round_ in range(rounds):
        for key, stepper in steppers.items():
            found[key].append(stepper.seconds())
            if round_ < 3:
                judged[key].append(stepper.evaluation_seconds())
    medians = {
        key: (statistics.median(times) * CIFAR_LT / batch, statistics.median(judged[key]) * 10_000)
        for key, times in found.items()
    }
    table = Table(title=f"{model}, batch {batch}, {device}, {torch.get_num_threads()} threads")
    columns = ("images/s", "seconds an epoch", "test set", "to float32")
    for column in ("precision", "stages", *columns):
        table.add_column(column, justify="right" if column in columns else "left")
    for key, (epoch, test) in medians.items():
        ratio = sum(medians["float32", "eager"]) / (epoch + test)
        table.add_row(
            *key, f"{CIFAR_LT / epoch:.0f}", f"{epoch:.1f}", f"{test:.1f}", f"{ratio:.2f}"
        )
    out.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out = Console(width=120)
    precisions(options.model, options.batch, options.rounds, device, out)
    for classes in options.classes if options.methods else ():
        data = images_as_array(classes, device)
        needed = dict.fromkeys(["ce+sam", *options.methods])
        needed |= dict.fromkeys(METHODS[name][0] for name in list(needed))
        steppers = {
            name: Stepper(name, data, options.model, options.batch, device) for name in needed
        }
        found: dict[str, list[float]] = {name: [] for name in needed}
        for stepper in steppers.values():
            stepper.seconds()
        for _ in range(options.rounds):
            for name, stepper in steppers.items():
                found[name].append(stepper.seconds())
        medians = {name: statistics.median(times) for name, times in found.items()}
        table = Table(title=f"{options.model}, {classes} classes, batch {options.batch}, {device}")
        for column in ("method", "seconds a step", "to SAM", "to its base"):
            table.add_column(column, justify="left" if column == "method" else "right")
        for name in needed:
            base = medians[METHODS[name][0]]
            ratios = (medians[name] / medians["ce+sam"], medians[name] / base)
            table.add_row(name, f"{medians[name]:.4f}", *(f"{ratio:.2f}" for ratio in ratios))
        out.print(table)


if __name__ == "__main__":
    main()
