"""Spectra that tell what the verdicts of docs/saddles.md depend on.

python docs/controls.py RUN CONTROL CLASS…: the last checkpoint of a run, one file a class under
RUN/controls/CONTROL; files that exist are kept. The controls:

draw        other images of the class than those of the main table (256, seed 1)
images-50   50 of its images, as many as the rarest class has
views       all of its images under 8 draws of the training's augmentation, which stay fixed
test        its test images (256)
like:OTHER  the logits times the factor that gives the class the loss that it has in the run OTHER
"""

import argparse
from argparse import RawDescriptionHelpFormatter as RawHelp
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from scipy.optimize import brentq, minimize_scalar
from torch.nn import functional as F

import landscape
from landscape.errors import InputError
from landscape.results.spectrum import Spectrum
from landscape.subject.loss import cross_entropy
from landscape.subject.subject import Subject
from trainers.data.catalogue import LongTailedData
from trainers.data.images import ArrayImages
from trainers.reopen import open_run_data, open_subject
from trainers.runs.folder import RunFolder

MOST, VIEWS = 256, 8
Control = Callable[[Subject, LongTailedData, str], Spectrum]


def frozen_views(images: ArrayImages, views: int = VIEWS, seed: int = 0) -> ArrayImages:
    """Augment every image several times, once for all: images (views N)."""
    if images.augmentation is None:
        raise InputError("these images are not augmented in training")
    generator = torch.Generator(images.pixels.device).manual_seed(seed)
    drawn = [images.augmentation(images.pixels, generator) for _ in range(views)]
    return replace(images, pixels=torch.cat(drawn), labels=images.labels.repeat(views))


def factor_for(subject: Subject, scope: str, loss: float) -> float:
    """Find the least factor on the logits, from 1e-4 to 1e4, at which a class has a mean loss.

    The loss is convex in the factor, and falls from log K to its least value.

    Raises:
        InputError: no factor gives it.
    """
    (chosen,) = subject.scopes(scope)
    indices = subject.select(chosen, MOST).indices
    with torch.no_grad():
        batches = subject.data.batches(indices, MOST)
        parts = [(subject.model(images).double(), labels) for images, labels in batches]
    logits, labels = (torch.cat(part) for part in zip(*parts, strict=True))

    def excess(power: float) -> float:
        return float(F.cross_entropy(logits * 10**power, labels)) - loss

    best = minimize_scalar(excess, bounds=(-4.0, 4.0), method="bounded")
    if not best.fun <= 0 <= excess(-4.0):
        raise InputError(
            f"no factor on the logits gives '{scope}' the loss {loss:g}; the least is "
            f"{best.fun + loss:.3g}"
        )
    return float(10 ** brentq(excess, -4.0, best.x))


def other_draw(subject: Subject, _: LongTailedData, scope: str) -> Spectrum:
    """Judge other images of the class."""
    return landscape.spectrum(subject, scopes=scope, samples_per_class=MOST, seed=1)


def few(subject: Subject, _: LongTailedData, scope: str) -> Spectrum:
    """Judge as many images as the rarest class has."""
    least = min(subject.class_counts)
    return landscape.spectrum(subject, scopes=scope, samples_per_class=least)


def views(subject: Subject, data: LongTailedData, scope: str) -> Spectrum:
    """Judge the mean loss over fixed augmented views."""
    (chosen,) = subject.scopes(scope)
    assert isinstance(data.train, ArrayImages)
    own = data.train.subset(subject.select(chosen).indices)
    return landscape.spectrum(subject.on(frozen_views(own)), scopes=scope)


def on_test(subject: Subject, data: LongTailedData, scope: str) -> Spectrum:
    """Judge test images."""
    return landscape.spectrum(subject.on(data.test), scopes=scope, samples_per_class=MOST)


def like(other: Path) -> Control:
    """Judge at the loss that the class has in another run."""
    record = landscape.open_run(other).result("spectrum")
    assert isinstance(record, Spectrum)

    def judge(subject: Subject, _: LongTailedData, scope: str) -> Spectrum:
        factor = factor_for(subject, scope, float(record.loss[record.index(scope)]))
        scaled = replace(subject, loss=cross_entropy(logit_factor=factor))
        return landscape.spectrum(scaled, scopes=scope, samples_per_class=MOST)

    return judge


def control(name: str, run: Path) -> Control:
    """Look a control up by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name.startswith("like:"):
        return like(run.parent / name.removeprefix("like:"))
    known = {"draw": other_draw, "images-50": few, "views": views, "test": on_test}
    if name not in known:
        raise InputError(f"no control is called '{name}'; there are {', '.join(known)}, like:RUN")
    return known[name]


def main() -> None:
    """Judge the classes asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RawHelp)
    parser.add_argument("run", type=Path)
    parser.add_argument("control")
    parser.add_argument("classes", type=int, nargs="+")
    given = parser.parse_args()
    run, judge, folder = given.run, control(given.control, given.run), RunFolder(given.run)
    data = open_run_data(folder, torch.device("cpu"))
    checkpoint = folder.checkpoint_names()[-1]
    for number in given.classes:
        path = run / "controls" / given.control.replace(":", "-") / f"class_{number}.h5"
        if path.is_file():
            print(f"kept {path}")
            continue
        subject = open_subject(folder, checkpoint, data, torch.device("cpu"))
        found = judge(subject, data, f"class/{number}")
        print(found, f"wrote {found.save(path)}", sep="\n", flush=True)


if __name__ == "__main__":
    main()
