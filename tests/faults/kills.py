"""Kill commands at the calls by which their files come about: python -m tests.faults.kills.

Each command runs in a fork of this process, which has imported all and computed nothing.
"""

import argparse
import os
import random
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import cli.sweeps.training
import cli.units.run_unit
import figures.pages.write
import trainers.training
from tests.faults.scenes import SCENES, Scene, content, copied, goes_on, prepared
from tests.faults.shim import Shim, installed

# what commands import when they run, once for all forks
IMPORTED = (cli.sweeps.training, cli.units.run_unit, figures.pages.write, trainers.training)


def forked(work: Callable[[], int]) -> int:
    """Do it in a fork; return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with Path(os.devnull).open("w") as silent, redirect_stdout(silent):
                code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def survived(scene: Scene, folder: Path, points: list[int] | None) -> int:
    """Kill at the points, or at n = 1, 2, … until a run passes; return how many were survived."""
    (folder / "base").mkdir()
    os.chdir(folder / "base")
    assert forked(lambda: int(not prepared(scene, Path.cwd()))) == 0
    os.chdir(copied(folder / "base", folder / "whole"))
    assert forked(lambda: scene.run(scene.words)) == 0

    def killed_at(n: int) -> int:
        with installed(Shim(n, fail=killed)):
            return scene.run(scene.words)

    def checked() -> int:
        goes_on(scene, Path.cwd(), content(folder / "whole"))
        return 0

    done = 0
    for n in points or range(1, 10_000):
        os.chdir(copied(folder / "base", folder / "tried"))
        code = forked(lambda n=n: killed_at(n))
        if code == 0:
            break
        assert code == -signal.SIGKILL, f"{scene.name}, point {n}: exit {code}"
        assert forked(checked) == 0, f"{scene.name}, point {n}"
        done += 1
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", choices=[s.name for s in SCENES], nargs="*")
    parser.add_argument("--random", type=int, help="kill at so many points drawn at random")
    chosen = parser.parse_args()
    for scene in SCENES:
        if chosen.scene and scene.name not in chosen.scene:
            continue
        folder = Path(tempfile.mkdtemp(prefix="tailscape-kills-"))
        draw = random.Random(0)
        points = [draw.randint(1, 30) for _ in range(chosen.random)] if chosen.random else None
        try:
            print(
                f"{scene.name}: killed at {survived(scene, folder, points)} points, went on",
                flush=True,
            )
        finally:
            os.chdir("/")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
