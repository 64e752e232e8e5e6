"""Write the commands that make the missing runs and results of a figure of a paper."""

import shlex
from collections.abc import Iterable
from typing import Any

from figures.papers.figure import PaperFigure, Place, Want

# options of `tailscape train` with a flag of their own; others go through --settings
_FLAGS = {"rho", "lr", "batch_size", "weight_decay", "epochs", "classes"}
_WITH_SCOPES = {"spectrum", "sharpness"}


def run_folder(want: Want, place: Place) -> str:
    """Name the folder of a run that is to come."""
    own = {n: v for n, v in want.settings.items() if n not in Place.names()}
    imbalance = "" if place.imbalance is None else f"-{place.imbalance:g}"
    words = [f"{n.rpartition('.')[2].replace('_', '-')}{_text(v)}" for n, v in own.items()]
    return "-".join([f"runs/{place.name}{imbalance}-{want.method}", *words])


def train_command(figure: PaperFigure, want: Want, place: Place, folder: str) -> str:
    """Write the command that trains a run.

    Args:
        figure: for which; its recipe and epochs go with its own data only.
        want: the run.
        place: its data.
        folder: to train in.
    """
    words = ["tailscape", "train", "--method", want.method, "--data", place.data]
    if place.imbalance is not None:
        words += ["--imbalance", f"{place.imbalance:g}"]
    own = {n: v for n, v in want.settings.items() if n not in Place.names()}
    others = [f"{n}={_text(v)}" for n, v in own.items() if n not in _FLAGS]
    for name in (n for n in own if n in _FLAGS):
        words += [f"--{name.replace('_', '-')}", _text(own[name])]
    if others:
        words += ["--settings", ",".join(others)]
    if place.data != "digits":  # whose own recipe has fewer epochs
        words += ["--recipe", figure.recipe] if figure.recipe != "a" else []
        words += ["--checkpoints", figure.kept] if figure.kept else []
    words += ["--checkpoint-steps", figure.steps] if figure.steps else []
    return shlex.join([*words, "--out", folder])


def diagnose_command(
    figure: PaperFigure, folder: str, analyses: Iterable[str], place: Place
) -> str:
    """Write the command that makes results.

    Args:
        figure: for which.
        folder: of the run.
        analyses: the missing ones.
        place: data of the run, for the folder of a run that is marked.
    """
    found = list(analyses)
    words = ["tailscape", "diagnose", folder, "--analyses", ",".join(found)]
    words += ["--checkpoints", figure.checkpoints]
    if figure.scopes and _WITH_SCOPES & set(found):
        words += ["--scopes", ",".join(figure.scopes)]
    if "surface" in found and figure.directions != "random":
        words += ["--surface.directions", figure.directions]
    further = figure.diagnose
    if figure.reference is not None:
        further = further.format(reference=shlex.quote(run_folder(figure.reference, place)))
    return " ".join([shlex.join(words), further]).rstrip()


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
