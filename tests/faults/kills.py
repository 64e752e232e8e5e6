"""Kill commands at the calls by which their files come about: python -m tests.faults.kills.

Each command runs in a fork of this process, which has computed nothing, and has imported what a
first fork has: imports take ten times as long as the commands.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path

from tests.faults.scenes import SCENES, Scene, content, copied, goes_on, prepared
from tests.faults.shim import Shim, installed


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


def survived(scene: Scene, folder: Path, drawn: int | None) -> int:
    """Kill at so many random calls, or at each; return how many kills were survived."""
    (folder / "base").mkdir()
    os.chdir(folder / "base")
    assert forked(lambda: int(not prepared(scene, Path.cwd()))) == 0
    os.chdir(copied(folder / "base", folder / "whole"))

    def counted() -> int:
        with installed(Shim()) as shim:
            code = scene.run(scene.words)
        (folder / "calls").write_text(" ".join([str(len(shim.calls)), *sys.modules]))
        return code

    assert forked(counted) == 0
    calls, *modules = (folder / "calls").read_text().split()
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)
    draw = random.Random(scene.name)
    points = (
        range(1, 10_000) if drawn is None else [draw.randint(1, int(calls)) for _ in range(drawn)]
    )

    def killed_at(n: int) -> int:
        with installed(Shim(n, fail=killed)):
            return scene.run(scene.words)

    def checked() -> int:
        goes_on(scene, Path.cwd(), content(folder / "whole"))
        return 0

    done = 0
    for n in points:
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
        try:
            kills = survived(scene, folder, chosen.random)
            print(f"{scene.name}: killed at {kills} points, went on", flush=True)
        finally:
            os.chdir("/")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
