"""A small trained and diagnosed run, made once."""

import os
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
# one thread a process on any machine, also in the processes that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

import landscape.run
from cli.main import main


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with runs 'plain' and 'sam': digits, four epochs, every checkpoint diagnosed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, method in (("plain", "ce-drw"), ("sam", "ce-drw+sam")):
        run = str(folder / name)
        train = f"train --method {method} --epochs 4 --checkpoints 2,4 --device cpu --out {run}"
        assert main(train.split()) == 0
        diagnose = (
            f"diagnose {run} --checkpoints all --samples-per-class 8 --spectrum.steps 8 "
            "--spectrum.probes 2 --spectrum.trace-probes 4 --device cpu"
        )
        assert main(diagnose.split()) == 0
    return folder


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
