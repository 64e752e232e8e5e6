"""Fail the calls by which a command's files come about: python -m tests.faults.calls.

Each call once and for ever from there on, for n = 1, 2, … until a run passes untouched. With
--state FILE the same command goes on where it was stopped.
"""

import argparse
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.scenes import SCENES, Scene, content, copied, goes_on, prepared
from tests.faults.shim import Shim, installed, refusal

ONCE, FULL, READ_ONLY = errno.EIO, errno.ENOSPC, errno.EROFS
WAYS = ((ONCE, False), (FULL, False), (FULL, True), (READ_ONLY, True))


@dataclass(frozen=True)
class Tried:
    """A scene, its folder, and what a run that nothing touches calls and leaves."""

    scene: Scene
    folder: Path
    calls: list[str]
    whole: dict[str, Any]

    def survives(self, shim: Shim) -> int:
        """Fail as the shim says; then the same command leaves what an untouched one leaves."""
        place = copied(self.folder / "base", self.folder / "tried")
        os.chdir(place)
        with installed(shim):
            code = self.scene.run(self.scene.words)
        assert code in (0, 2)
        goes_on(self.scene, place, self.whole)
        return code

    def survives_at(self, n: int, number: int, *, for_ever: bool) -> bool:
        """Fail at the n-th call; tell whether there is one."""
        shim = Shim(n, for_ever, refusal(number))
        code = self.survives(shim)
        untouched = len(shim.calls) < n
        assert code == 2 or not for_ever or untouched
        return not untouched


@contextmanager
def tried(scene: Scene, folder: Path) -> Iterator[Tried]:
    """Prepare a scene in a folder; inside the present folder changes."""
    former = Path.cwd()
    (folder / "base").mkdir()
    os.chdir(folder / "base")
    try:
        base = prepared(scene, folder / "base")
        os.chdir(copied(base, folder / "whole"))
        with installed(Shim()) as shim:
            assert scene.run(scene.words) == 0
        yield Tried(scene, folder, shim.calls, content(Path.cwd()))
    finally:
        os.chdir(former)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", choices=[s.name for s in SCENES])
    parser.add_argument("--state", type=Path, help="file from which a stopped command goes on")
    chosen = parser.parse_args()
    state = chosen.state and chosen.state.absolute()
    done: dict[str, int] = json.loads(state.read_text()) if state and state.is_file() else {}
    scene = next(s for s in SCENES if s.name == chosen.scene)
    folder = Path(tempfile.mkdtemp(prefix="tailscape-calls-"))
    try:
        with (
            Path(os.devnull).open("w") as silent,
            redirect_stdout(silent),
            redirect_stderr(silent),
        ):
            _enumerate(scene, folder, done, state)
    finally:
        shutil.rmtree(folder)
    for way, count in done.items():
        print(f"{scene.name}: {count} points survived ({way})")


def _enumerate(scene: Scene, folder: Path, done: dict[str, int], state: Path | None) -> None:
    with tried(scene, folder) as one:
        for number, for_ever in WAYS:
            way = f"{errno.errorcode[number]}, {'for ever' if for_ever else 'once'}"
            n = done.get(way, 0) + 1
            while one.survives_at(n, number, for_ever=for_ever):
                done[way], n = n, n + 1
                if state:
                    state.write_text(json.dumps(done, indent=1))


if __name__ == "__main__":
    main()
