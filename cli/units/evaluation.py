"""What ``--eval`` names: other images on which accuracy is judged, each in a file of its own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.corruption import ALEXNET, SEVERITIES, mean_corruption_error
from landscape.results.load import read_record

Kind = Literal["folder", "imagenet-c", "open"]
_FORM = re.compile(r"(?P<name>[\w-]+)=(?P<kind>folder|imagenet-c|open):(?P<path>.+)")


@dataclass(frozen=True)
class Evaluation:
    """One word of ``--eval``."""

    name: str
    kind: Kind
    path: Path

    @property
    def word(self) -> str:
        """The word that says it."""
        return f"{self.name}={self.kind}:{self.path}"

    def parts(self) -> "list[Evaluation]":
        """Split ImageNet-C into its corruptions and severities; others are one."""
        if self.kind != "imagenet-c":
            return [self]
        return [
            Evaluation(f"{self.name}-{name}-{level}", "folder", self.path / name / str(level))
            for name in ALEXNET
            for level in SEVERITIES
        ]


def read_evaluation(word: str) -> Evaluation:
    """Parse ``NAME=KIND:PATH``.

    Raises:
        InputError: it is not of that form.
    """
    found = _FORM.fullmatch(word)
    if found is None:
        raise InputError(
            f"--eval '{word}' is not of the form NAME=folder:PATH, NAME=imagenet-c:PATH or "
            "NAME=open:PATH, with a name of letters, digits, - and _"
        )
    kind: Kind = found["kind"]  # type: ignore[assignment]
    return Evaluation(found["name"], kind, Path(found["path"]))


def read_evaluations(words: Sequence[str]) -> list[Evaluation]:
    """Parse all words of ``--eval``.

    Raises:
        InputError: one is malformed, or two have one name.
    """
    found = [read_evaluation(word) for word in words]
    names = [part.name for one in found for part in one.parts()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--eval names '{twice}' twice; its results would share a file")
    return found


def lines_of(run: Path, checkpoint: str, evaluations: Iterable[Evaluation]) -> list[str]:
    """Say what a checkpoint's accuracy on each of the other images is.

    Args:
        run: run folder, with the results.
        checkpoint: its name.
        evaluations: those that were asked for; of those without a result nothing is said.
    """
    lines = []
    for one in evaluations:
        if not all(_file(run, checkpoint, part).is_file() for part in one.parts()):
            continue
        found = {part.name: _record(run, checkpoint, part) for part in one.parts()}
        if one.kind != "imagenet-c":
            record = found[one.name]
            shown = f"{checkpoint} on {one.name}: overall {100 * float(record.group[0]):.4g} %"
            lines.append(f"{shown}, {record.further()}")
            continue
        lines.append(f"{checkpoint} on {one.name}: mCE {100 * _mce(one, found):.4g} % of AlexNet's")
    return lines


def _record(run: Path, checkpoint: str, part: Evaluation) -> Accuracy:
    return read_record(_file(run, checkpoint, part), Accuracy)[0]


def _file(run: Path, checkpoint: str, part: Evaluation) -> Path:
    return run / "results" / f"accuracy-{part.name}" / f"{checkpoint}.h5"


def _mce(one: Evaluation, found: Mapping[str, Accuracy]) -> float:
    errors = {
        (name, level): 1 - float(found[f"{one.name}-{name}-{level}"].group[0])
        for name in ALEXNET
        for level in SEVERITIES
    }
    return mean_corruption_error(errors)
