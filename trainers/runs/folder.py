"""The run folder: its paths, its single writer, and its reopening."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape.errors import InputError
from landscape.results.atomic import atomic_write, remove_unfinished
from landscape.results.checkpoint_names import course
from landscape.results.claim import claimed
from landscape.results.environment import environment
from landscape.results.run_folder import is_run, no_run
from trainers.config import Plan

# What a run owns, in the order of deletion: what marks the folder as a run goes last.
_OWN = ("metrics.jsonl", "checkpoints", "results", "figures", "config.json")
LOCK = "run.lock"  # names the process that writes


@dataclass(frozen=True)
class RunFolder:
    """Give access to a run on disk."""

    path: Path

    @property
    def config_path(self) -> Path:
        """Return the path of the resolved configuration."""
        return self.path / "config.json"

    @property
    def last(self) -> Path:
        """Return the path of the checkpoint from which training resumes."""
        return self.path / "checkpoints" / "last.pt"

    def checkpoint(self, name: str) -> Path:
        """Return the path of a checkpoint such as ``epoch_0200`` or ``best``."""
        return self.path / "checkpoints" / f"{name}.pt"

    def checkpoint_names(self) -> list[str]:
        """List the names of the saved epochs in order, or else of the steps of a recording."""
        return course(p.stem for p in (self.path / "checkpoints").glob("*.pt"))

    def result(self, analysis: str, checkpoint: str) -> Path:
        """Return the path of a result file."""
        return self.path / "results" / analysis / f"{checkpoint}.h5"

    def config(self) -> dict[str, Any]:
        """Read ``config.json``.

        Raises:
            InputError: this is no run folder, or its configuration is damaged.
        """
        if not is_run(self.path):
            raise no_run(self.path)
        try:
            stored = json.loads(self.config_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"'{self.config_path}' is not valid JSON ({error})") from error
        if not isinstance(stored, dict) or not isinstance(stored.get("plan"), dict):
            raise InputError(f"'{self.config_path}' holds no run configuration")
        _check_facts(stored, self.config_path)
        return stored

    def plan(self) -> Plan:
        """Read the resolved configuration.

        Raises:
            InputError: the checkpoints are those of an external model.
        """
        stored = self.config()
        if "outside" in stored:
            raise InputError(
                f"'{self.path}' holds results of an external model; diagnose it with "
                f"{stored['outside']['command']}"
            )
        try:
            return Plan.from_dict(stored["plan"])
        except InputError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(f"'{self.config_path}' is damaged ({error}); restore it") from error

    def metrics(self) -> list[dict[str, Any]]:
        """Read ``metrics.jsonl``, one entry an epoch.

        Raises:
            InputError: it is damaged.
        """
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        try:
            found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise InputError(f"'{path}' is not one JSON object a line ({error})") from error
        for line, entry in enumerate(found, 1):
            if not isinstance(entry, dict) or not isinstance(entry.get("epoch"), int):
                raise InputError(f"line {line} of '{path}' is no entry of an epoch; restore it")
        return found

    def write_metrics(self, entries: list[dict[str, Any]]) -> None:
        """Replace ``metrics.jsonl``."""
        lines = "".join(json.dumps(entry) + "\n" for entry in entries)
        atomic_write(self.path / "metrics.jsonl", lines)

    def state(self, epoch: int) -> Path:
        """Return the path of the training state kept after an epoch."""
        return self.path / "checkpoints" / f"state_{epoch:04d}.pt"

    def prepare(self, plan: Plan, extra: dict[str, Any], *, overwrite: bool) -> bool:
        """Make the folder ready for a plan.

        Args:
            plan: what will be trained.
            extra: further facts for ``config.json``; a run goes on only on the same
                ``data_sha256``.
            overwrite: delete a different run that is there.

        Returns:
            Whether there is a checkpoint to go on from.

        Raises:
            InputError: the folder holds another run, or is not a run folder and not empty.
        """
        if overwrite:
            self._remove()
        if self.config_path.is_file():
            self.check_same(plan, extra["data_sha256"])
            return self.last.is_file()
        if self.path.exists() and self._has_foreign():
            raise InputError(f"'{self.path}' is not empty and no run folder; choose another --out")
        content = {"plan": plan.to_dict(), **extra, **environment()}
        atomic_write(self.config_path, json.dumps(content, indent=2) + "\n")
        return False

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the run as its only writer.

        The operating system drops the lock with its process, so that a killed run's lock is taken
        over.

        Raises:
            Taken: another process is writing.
            InputError: the folder cannot be created.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(claimed(self.path / LOCK, f"'{self.path}'"))
            except OSError as error:
                raise InputError(
                    f"cannot write to '{self.path}' ({error.strerror}); choose another --out"
                ) from error
            for folder in (self.path, self.path / "checkpoints"):
                remove_unfinished(folder)
            yield

    def _remove(self) -> None:
        if self.path.exists() and not self.config_path.is_file() and self._has_foreign():
            raise InputError(f"'{self.path}' is no run folder; --overwrite deletes only runs")
        for name in _OWN:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def _has_foreign(self) -> bool:
        own = {LOCK, "run.owner"}  # the second, of older versions
        return any(path.name not in own for path in self.path.iterdir())

    def check_same(self, plan: Plan, data_sha256: str) -> None:
        """Check that the run there is the one of a plan, on the same data.

        Raises:
            InputError: it is another one.
        """
        if self.config()["data_sha256"] != data_sha256:
            raise InputError(
                f"the data '{plan.data}' have changed since '{self.path}' was begun; restore them, "
                "choose another --out, or --overwrite to delete the run"
            )
        stored = json.loads(json.dumps(self.plan().to_dict()))
        wanted = json.loads(json.dumps(plan.to_dict()))
        differing = [n for n in {**stored, **wanted} if stored.get(n) != wanted.get(n)]
        if differing:
            name = differing[0]
            raise InputError(
                f"'{self.path}' holds another run: {name} is {stored.get(name)}, asked for "
                f"{wanted.get(name)}; choose another --out, or --overwrite to delete it"
            )


def _check_facts(stored: dict[str, Any], path: Path) -> None:
    """Check the entries that every reader takes.

    Raises:
        InputError: one is missing, or of another kind.
    """
    plan, names, counts = stored["plan"], stored.get("class_names"), stored.get("class_counts")
    facts = isinstance(names, list) and isinstance(counts, list) and len(names) == len(counts)
    known = all(isinstance(plan.get(name), str) for name in ("method", "data"))
    number = isinstance(plan.get("imbalance"), int | float)
    if not (facts and known and number) or not all(isinstance(n, int) for n in counts or []):
        raise InputError(
            f"'{path}' lacks the method, data, imbalance or classes of a run; it was not written "
            "by this program, or is damaged: restore it"
        )
