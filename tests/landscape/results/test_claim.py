"""One holder of a claim, named to all others; a dead one holds nothing."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from landscape.errors import InputError
from landscape.results.claim import Taken, claimed, holder_of
from trainers.runs.folder import LOCK, RunFolder

ME = f"process {os.getpid()} on {socket.gethostname()}"
HOLD = """
import sys, time
from pathlib import Path
from trainers.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).writer():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds a run."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_hundred_of_a_hundred_are_refused_with_host_and_process(tmp_path, other):
    said = f"is being written by process {other.pid} on {re.escape(socket.gethostname())}; wait"
    for _ in range(100):
        with pytest.raises(Taken, match=said), RunFolder(tmp_path / "run").writer():
            pass
    assert holder_of(tmp_path / "run" / LOCK) == f"process {other.pid} on {socket.gethostname()}"


def test_the_claim_of_a_killed_process_is_taken_over(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    lock = tmp_path / "run" / LOCK
    assert str(other.pid) in lock.read_text()
    assert holder_of(lock) is None
    with RunFolder(tmp_path / "run").writer():
        assert lock.read_text() == ME
    assert not lock.exists()


def contend(path, barrier, tried, others):
    """Try once with all others; win and hold until they have tried, or be told the winner."""
    signal.alarm(60)
    os.read(barrier, 1)
    try:
        with claimed(path, "it"):
            for _ in range(others):
                os.read(tried[0], 1)
            return 1
    except Taken as error:
        os.write(tried[1], b"x")
        return 0 if re.search(r"process \d+ on ", str(error)) else 2


def test_of_a_crowd_one_wins_and_the_others_know_it(tmp_path):
    """After a kill: the name of the dead holder still stands in the file."""
    path = tmp_path / "it.lock"
    path.write_text(f"process {2**22 + 1} on {socket.gethostname()}")  # no such process
    (start, go), tried = os.pipe(), os.pipe()
    children = []
    for _ in range(30):
        child = os.fork()
        if child == 0:
            os._exit(contend(path, start, tried, 29))
        children.append(child)
    os.write(go, b"x" * len(children))
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0] * 29 + [1]


def test_a_name_that_stands_there_does_not_keep_anybody_out(tmp_path):
    path = tmp_path / "it.lock"
    for text in ("", "process 1 on elsewhere", "\0\xff", "process 99999999999999999999 on here"):
        path.write_text(text)
        with claimed(path, "it"):
            assert holder_of(path) == ME
        assert not path.exists()


def test_a_disk_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("landscape.results.claim.fcntl.flock", refuse)
    with (
        pytest.raises(InputError, match=r"cannot write to .*No locks available"),
        RunFolder(tmp_path / "run").writer(),
    ):
        pass
