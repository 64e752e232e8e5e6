"""The folder of a recorded training: its lock, its configuration, its weights."""

import io
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landscape.errors import InputError
from landscape.results.atomic import atomic_write, unwritable
from landscape.results.claim import claimed
from landscape.results.environment import environment
from landscape.results.load import load
from landscape.results.provenance import RunOrigin, external_plan
from landscape.results.recording import Recording
from landscape.results.run_folder import is_run
from landscape.subject.data import data_sha256
from landscape.subject.evaluation_copy import unwrapped
from landscape.subject.subject import Subject

_LOCK = "run.lock"  # as of every run


@dataclass(frozen=True)
class RunFiles:
    """Files of a recorded run.

    Args:
        path: of the folder.
        builder: ``MODULE:NAME`` of the model's builder, where it is known.
        data: ``MODULE:NAME`` of the data, likewise.
    """

    path: Path
    builder: str | None
    data: str | None
    facts: dict[str, Any] = field(default_factory=dict)  # of the configuration, once opened

    @property
    def recording(self) -> Path:
        """Path of the course of the training."""
        return self.path / "results/recording/last.h5"

    def claimed(self) -> ExitStack:
        """Hold the folder as its only writer, until the stack is closed.

        Raises:
            InputError: another process does, or the folder cannot be made.
        """
        stack = ExitStack()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(claimed(self.path / _LOCK, f"'{self.path}'"))
        except OSError as error:
            raise unwritable(self.path / _LOCK, error) from error
        return stack

    def opened(self, subject: Subject) -> Recording | None:
        """Read what was recorded here before; nothing in a folder that is new.

        Raises:
            InputError: the folder holds something else, or other data were recorded in it.
        """
        self.facts.update(environment(), data_sha256=data_sha256(subject.data))
        if is_run(self.path):
            self._check_same()
        elif any(path.name != _LOCK for path in self.path.iterdir()):
            raise InputError(
                f"'{self.path}' is not empty and holds no run; record to another folder"
            )
        return load(self.recording, Recording) if self.recording.is_file() else None

    def prepare(self, subject: Subject) -> RunOrigin:
        """Write the configuration of a folder that is new."""
        name = subject.name or type(unwrapped(subject.model)).__name__
        on = subject.data_name or self.data or type(subject.data).__name__
        plan = external_plan(name, on, subject.class_counts)
        origin = RunOrigin(self.path.resolve().name, plan, self.facts["data_sha256"])
        if is_run(self.path):
            return origin
        content = {
            "plan": plan,
            "class_names": list(subject.class_names),
            "class_counts": list(subject.class_counts),
            "data_root": None,
            "outside": self._outside(name),
            **self.facts,
        }
        atomic_write(self.path / "config.json", json.dumps(content, indent=2) + "\n")
        return origin

    def save_weights(self, model: nn.Module, name: str, **counts: int | None) -> None:
        """Write the weights, as any reader of state dicts takes them, and how far they are."""
        state = {n: value.detach().cpu() for n, value in unwrapped(model).state_dict().items()}
        buffer = io.BytesIO()
        reached = {unit: number for unit, number in counts.items() if number is not None}
        torch.save({"state_dict": state, **reached}, buffer)
        atomic_write(self.path / "checkpoints" / f"{name}.pt", buffer.getbuffer())

    def _outside(self, name: str) -> dict[str, object]:
        """Say, as a diagnosis of an external model does, how it is diagnosed again."""
        builder, data = self.builder or "MODULE:NAME", self.data or "MODULE:NAME"
        weights = str(self.path / "checkpoints")
        words: Sequence[str] = (
            *("tailscape diagnose --model", builder, "--weights", weights),
            *("--data", data, "--name", f"'{name}'", "--out", str(self.path)),
        )
        own = {"model": self.builder, "data": self.data, "weights": None, "name": name}
        return own | {"recorded": True, "command": " ".join(words)}

    def _check_same(self) -> None:
        stored = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        if "recorded" not in stored.get("outside", {}):
            raise InputError(
                f"'{self.path}' holds a run that no recorder wrote; record to another folder"
            )
        if stored["data_sha256"] != self.facts["data_sha256"]:
            raise InputError(
                f"'{self.path}' was recorded on other data (another fingerprint); record to "
                "another folder"
            )
