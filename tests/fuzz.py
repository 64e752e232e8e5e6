"""Give every reader of foreign input what nobody would write: python -m tests.fuzz COUNT.

An input is refused in a sentence or taken; it never ends in a traceback, writes outside of its
folder, or runs code that it brings. Seeds are the numbers 0, 1, …, so that a failure repeats.
With --state FILE the same command goes on where it was stopped, once what failed was tried again.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landscape.errors import InputError
from tests.fuzzing.seeds import make
from tests.fuzzing.targets import TARGETS

_watched: list[Path] = []  # the folder in which alone files may be written
_outside: list[str] = []  # what was written elsewhere
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OTHER = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """Make what the targets change, in a folder of its own, which is the present one inside."""
    former, outside = Path.cwd(), Path(tempfile.mkdtemp(prefix="tailscape-fuzz-")).resolve()
    place = outside / "inside"
    for name in ("lists", "json", "images", "damaged"):
        (place / name).mkdir(parents=True)
    os.chdir(place)
    try:
        with _silent():
            make()
        yield place
    finally:
        os.chdir(former)
        shutil.rmtree(outside)


class Failed(AssertionError):
    """An input ended otherwise than it should."""

    def __init__(self, name: str, seed: int, said: str) -> None:
        super().__init__(f"{name}, seed {seed}: {said}")
        self.seed = seed


def fuzzed(name: str, seeds: range, seconds: float = float("inf")) -> int:
    """Give a target its inputs, until the time is over; return how many it got.

    Raises:
        Failed: an input ended otherwise than it should.
    """
    until, done = time.monotonic() + seconds, 0
    target, _ = TARGETS[name]
    with _silent(), _watching(Path.cwd()):
        for seed in seeds:
            try:
                target(random.Random(f"{name} {seed}"))
            except InputError:
                pass
            except Exception as error:
                raise Failed(name, seed, traceback.format_exc()) from error
            if Path("executed").exists():
                raise Failed(name, seed, "code was run")
            if _outside:
                raise Failed(name, seed, f"written outside: {_outside}")
            done += 1
            if time.monotonic() > until:
                break
    return done


@contextlib.contextmanager
def _watching(place: Path) -> Iterator[None]:
    """Note what is opened for writing, made, moved or removed outside of a folder."""
    if not _watched:
        sys.addaudithook(_note)  # for the rest of the process
    _watched[:], _outside[:] = [place], []
    try:
        yield
    finally:
        _watched[:] = [Path("/")]


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        writes = bool(flags & _WRITES) if mode is None else bool(set(mode) & set("wax+"))
    elif event in _OTHER:
        path, writes = arguments[1 if event in {"os.rename", "os.link", "os.symlink"} else 0], True
    else:
        return
    if writes and isinstance(path, str | bytes | Path):
        found = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - links are not followed
        if not found.is_relative_to(_watched[0]) and found != Path(os.devnull):
            _outside.append(f"{event} {found}")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    nothing = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        warnings.simplefilter("ignore")
        yield


@dataclass
class State:
    """Hold how many inputs of each kind are done, and those that failed."""

    path: Path | None
    done: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, int]] = field(default_factory=list)

    @staticmethod
    def read(path: Path | None) -> "State":
        if path is None or not path.is_file():
            return State(path and path.absolute())
        found = json.loads(path.read_text())
        return State(path.absolute(), Counter(found["done"]), [(n, s) for n, s in found["failed"]])

    def write(self) -> None:
        if self.path:
            content = json.dumps({"done": self.done, "failed": self.failed}, indent=1)
            self.path.with_suffix(".part").write_text(content)
            self.path.with_suffix(".part").replace(self.path)

    def give(self, name: str, seed: int, stop: int) -> None:
        """Give a target its inputs, and go on after one that fails."""
        while seed < stop:
            try:
                seed += fuzzed(name, range(seed, stop))
            except Failed as failure:
                print(failure, flush=True)
                self.failed.append((name, failure.seed))
                seed = failure.seed + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="inputs of all kinds together")
    parser.add_argument("--state", type=Path, help="file from which a stopped command goes on")
    chosen = parser.parse_args()
    state, started = State.read(chosen.state), time.process_time()
    with prepared():
        again, state.failed = state.failed, []
        for name, seed in again:
            state.give(name, seed, seed + 1)
        while state.done.total() < chosen.count:
            for name, (_, share) in TARGETS.items():
                state.give(name, state.done[name], state.done[name] + share)
                state.done[name] += share
            state.write()
        state.write()
    for name in TARGETS:
        print(f"{name}: {state.done[name]:,} inputs")
    seconds = time.process_time() - started
    print(
        f"{state.done.total():,} inputs, {len(state.failed)} failed; {seconds:,.0f} s of processor"
    )
    return int(bool(state.failed))


if __name__ == "__main__":
    sys.exit(main())
