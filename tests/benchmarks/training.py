"""What a step of each rule costs: python -m tests.benchmarks.training [--model resnet32].

One network, one set of batches; every round takes one step of each method in turn, and the medians
are printed as ratios to SAM's and to the base's (the same loss by plain descent). With
TAILSCAPE_CIFAR10_IMAGES the images are CIFAR-10's, otherwise digits enlarged to 32 x 32; hundred
classes are the same images under random labels, which cost the same.
"""

import argparse
import os
import statistics
import time
from dataclasses import replace

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from landscape.device import keep_freed_memory
from trainers.config import TrainConfig, resolve
from trainers.data.catalogue import LongTailedData, open_data
from trainers.data.images import ArrayImages
from trainers.trainer import Trainer

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
        self, name: str, data: LongTailedData, model: str, batch: int, device: torch.device
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
        )
        self.trainer = Trainer(resolve(config, len(data.class_names)), data, device)
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


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out = Console(width=120)
    for classes in options.classes:
        data = images_as_array(classes, device)
        needed = dict.fromkeys(["ce+sam", *options.methods])
        needed |= dict.fromkeys(METHODS[name][0] for name in options.methods)
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
