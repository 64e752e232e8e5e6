"""Let every operation that makes a tensor find no memory: python -m tests.faults.memory.

A spectrum, a surface and an epoch of training, whole: each goes on with the same numbers, or ends
in a sentence; the same computation afterwards gives the numbers of one that nothing touched. With
--state FILE the same command goes on where it was stopped.
"""

import argparse
import gc
import io
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import landscape
from cli.main import main as tailscape
from landscape.config import SpectrumConfig, SurfaceConfig
from landscape.errors import InputError
from landscape.subject.out_of_memory import is_out_of_memory
from tests.faults.scenes import check_whole, content, equal, leftovers
from tests.oracles import mlp, toy_data

TRAIN = (
    "train --method ce+sam --epochs 1 --batch-size 64 --imbalance 60 --classes class/0,class/9 "
    "--model resnet8 --device cpu --out run"
)
AFTERWARDS = 10  # faults between two computations that none touches
NOT_NUMBERS = {"graphs_kept"}  # how much memory there was
SAID = "CUDA out of memory. Tried to allocate 2.00 GiB"


class Scarce(TorchDispatchMode):
    """Let the n-th operation that returns a new tensor find no memory; count them all."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at, self.seen = at, 0

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        if any(returned.alias_info is None for returned in function._schema.returns):
            self.seen += 1
            if self.seen == self.at:
                raise torch.OutOfMemoryError(SAID)
        return function(*args, **(kwargs or {}))


def subject() -> landscape.Subject:
    data = toy_data((3,), (3, 3))
    return landscape.Subject(mlp(), data)


def spectrum(of: landscape.Subject) -> object:
    config = SpectrumConfig(steps=2, probes=1, trace_probes=2)
    return landscape.spectrum(of, config, scopes="overall", batch_size=4)


def surface(of: landscape.Subject) -> object:
    return landscape.surface(of, SurfaceConfig(points=3), batch_size=4)


class Analysis:
    """An analysis of one subject, which is the same one before and after a fault."""

    def __init__(self, compute: Callable[[landscape.Subject], object]) -> None:
        self._compute, self._subject = compute, subject()
        with Scarce() as counted:
            self._expected = compute(self._subject)
        self.operations = counted.seen

    def try_at(self, n: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with Scarce(n):
                    found = self._compute(self._subject)
                agree(found, self._expected)
            except (InputError, RuntimeError) as error:
                told = isinstance(error, InputError) and "out of memory" in str(error)
                if not (told or is_out_of_memory(error)):
                    raise
            if n % AFTERWARDS == 0:  # what a fault leaves behind would stay
                agree(self._compute(self._subject), self._expected, exactly=True)


class Epoch:
    """An epoch of training, each from nothing, in the present folder."""

    def __init__(self) -> None:
        with Scarce() as counted:
            assert self._train() == (0, "")
        shutil.rmtree("run")  # under a mode of PyTorch's dispatch the last digits are others
        assert self._train() == (0, "")
        self.operations, self._expected = counted.seen, content(Path.cwd())

    @staticmethod
    def _train() -> tuple[int, str]:
        said = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = tailscape(TRAIN.split())
        return code, said.getvalue()

    def try_at(self, n: int) -> None:
        shutil.rmtree("run")
        with Scarce(n):
            code, said = self._train()
        assert code in (0, 2)
        if code == 2:
            assert said.startswith("tailscape: error: out of memory"), said
            assert said.count("\n") == 1, said
        check_whole(Path.cwd())
        assert self._train()[0] == 0
        found = content(Path.cwd())
        if code == 0:  # an evaluation took smaller batches, and rounds otherwise
            _check_losses(found, self._expected)
        assert equal(found, self._expected)
        assert not leftovers(Path.cwd())


def _check_losses(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check the losses of the test set to rounding, and take those that are expected."""
    pairs = [
        (found["run/metrics.jsonl"][0], expected["run/metrics.jsonl"][0]),
        (found["run/checkpoints/last.pt"]["entry"], expected["run/checkpoints/last.pt"]["entry"]),
    ]
    for one, other in pairs:
        np.testing.assert_allclose(one["test_loss"], other["test_loss"], rtol=1e-6)
        one["test_loss"] = other["test_loss"]


def agree(found: Any, expected: Any, *, exactly: bool = False) -> None:
    """Compare the numbers of two records: bit for bit, or as sums over other batches round."""
    for name in (f.name for f in fields(expected) if f.name not in NOT_NUMBERS):
        one, other = (np.asarray(getattr(record, name)) for record in (found, expected))
        if exactly or one.dtype.kind != "f":
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f"), name
        else:
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=name)


WHOLES: dict[str, Callable[[], Analysis | Epoch]] = {
    "surface": lambda: Analysis(surface),
    "epoch": Epoch,
    "spectrum": lambda: Analysis(spectrum),
}


@contextmanager
def in_a_folder() -> Iterator[None]:
    former, folder = Path.cwd(), Path(tempfile.mkdtemp(prefix="tailscape-memory-"))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(former)
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, help="file from which a stopped command goes on")
    chosen = parser.parse_args()
    state = chosen.state and chosen.state.absolute()
    done: dict[str, int] = json.loads(state.read_text()) if state and state.is_file() else {}
    with in_a_folder():
        for name, make in WHOLES.items():
            whole = make()
            gc.freeze()  # the engine collects garbage at each fault: not all modules every time
            for n in range(done.get(name, 0) + 1, whole.operations + 1):
                try:
                    whole.try_at(n)
                except AssertionError as error:
                    raise AssertionError(f"{name}, operation {n}") from error
                done[name] = n
                if state and (n % 20 == 0 or n == whole.operations):
                    state.write_text(json.dumps(done))
            print(f"{name}: {whole.operations} operations survived", flush=True)


if __name__ == "__main__":
    main()
