"""A small trained and diagnosed run, made once."""

import os
import shutil
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
# one thread a process on any machine, also in the processes that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from filelock import FileLock

import landscape.run
from cli.main import main


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with runs 'plain' and 'sam': digits, four epochs, every checkpoint diagnosed.

    Processes of one session make one each, where both need them, and copy both.
    """
    own = tmp_path_factory.mktemp("runs")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    shared = tmp_path_factory.getbasetemp().parent / "made" if worker else own
    shared.mkdir(exist_ok=True)
    order = sorted({"plain": "ce-drw", "sam": "ce-drw+sam"}.items(), reverse=worker == "gw1")
    for name, method in order:
        with FileLock(shared / f"{name}.lock"):
            if not (shared / name).exists():
                unfinished = shared / "unfinished" / name
                make_run(unfinished, method)
                unfinished.rename(shared / name)
    if shared != own:
        for name, _ in order:
            shutil.copytree(shared / name, own / name)
    return own


def make_run(folder, method):
    train = f"train --method {method} --epochs 4 --checkpoints 2,4 --device cpu --out {folder}"
    assert main(train.split()) == 0
    diagnose = (
        f"diagnose {folder} --checkpoints all --samples-per-class 8 --spectrum.steps 4 "
        "--spectrum.probes 2 --spectrum.trace-probes 2 --device cpu"
    )
    assert main(diagnose.split()) == 0


@pytest.fixture
def declared(monkeypatch):
    """The entry points that this tree declares, whatever is installed."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"]
    monkeypatch.setattr(
        landscape.run,
        "entry_points",
        lambda group, name: [EntryPoint(name, found[group][name], group)],
    )
