"""A package of somebody else's: a rule, a sampler, an analysis and its figure, in a wheel."""

import subprocess
import sys
from pathlib import Path

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "sharper"
version = "1.0"

[project.entry-points."tailscape.rules"]
myrule = "sharper.parts:MYRULE"

[project.entry-points."tailscape.samplers"]
backwards = "sharper.parts:BACKWARDS"

[project.entry-points."tailscape.losses"]
half = "sharper.parts:HALF"

[project.entry-points."tailscape.analyses"]
weights = "sharper.parts:WEIGHTS"

[project.entry-points."tailscape.figures"]
weight-bars = "sharper.parts:WEIGHT_BARS"

[tool.setuptools]
packages = ["sharper"]
"""
PARTS = '''
"""What is added; no tensor library is imported here."""

from dataclasses import dataclass

from figures.catalogue import FigureKind
from landscape.analyses.catalogue import Analysis
from landscape.errors import InputError, Setting as Named
from trainers.methods.part import NOT_NEGATIVE, Part, Setting


@dataclass(frozen=True)
class WeightsConfig:
    """Settings of the norms of weights."""

    power: float = 2.0
    """Order p of the norm."""

    def check(self):
        """Check the order."""
        if self.power < 1:
            raise InputError(Named("weights.power"), f" is {self.power}; it must be at least 1")


MYRULE = Part(
    "the gradient, times a factor",
    "Somebody 2026",
    "sharper.methods:Scaled",
    {"factor": Setting(0.5, "Somebody 2026, Sec. 1", NOT_NEGATIVE)},
    equation="c ∇L(w)",
)
BACKWARDS = Part("the last sample first", "Somebody 2026", "sharper.methods:backwards")
HALF = Part("half the cross-entropy", "Somebody 2026", "sharper.methods:half")
WEIGHTS = Analysis(
    "weights",
    "norm of each tensor of weights",
    ("weight-bars", "weight-bars"),
    ("dtype",),
    settings=WeightsConfig,
    function="sharper.analysis:weights",
    record="sharper.record:Weights",
)
WEIGHT_BARS = FigureKind("norm of each tensor", shows="weights", module="sharper.figure")
'''
METHODS = '''
from dataclasses import dataclass

import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class Scaled:
    """Follow the gradient, times a factor."""

    factor: float

    def __call__(self, objective):
        """Fill p.grad."""
        each = objective.losses()
        (self.factor * each.mean()).backward()
        return each.detach()


def backwards(labels, num_classes, generator):
    """Draw nothing."""
    return torch.arange(len(labels)).flip(0)


def half(class_counts):
    """Build the loss."""
    return lambda logits, labels: 0.5 * F.cross_entropy(logits, labels, reduction="none")
'''
RECORD = '''
from dataclasses import dataclass

from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import numbers, words


@dataclass(frozen=True)
class Weights(Result):
    """Norm of each tensor."""

    tensor: Array = axes("tensor")
    norm: Array = axes("tensor")

    def table_columns(self):
        """Show both."""
        return {"tensor": words(self.tensor), "norm": numbers(self.norm)}, ""
'''
ANALYSIS = '''
import numpy as np

from landscape.analyses.analysis import analysis
from sharper.parts import WeightsConfig
from sharper.record import Weights


@analysis("weights")
def weights(subject, settings=WeightsConfig(), *, dtype=None):
    """Measure the norm of each tensor of weights."""
    named = dict(subject.model.named_parameters())
    norms = [float(value.detach().double().norm(settings.power)) for value in named.values()]
    return Weights(np.array(list(named)), np.array(norms))
'''
FIGURE = '''
import numpy as np

from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel, colour, marker
from figures.runs.history import snapshots
from sharper.record import Weights


def read(request):
    """Read the norms of every run."""
    found = snapshots(request.runs, Weights, request.checkpoint)
    lines = [
        Line(one.label, np.arange(len(one.record.norm)), one.record.norm, colour(k), marker(k))
        for k, one in enumerate(found)
    ]
    panel = Panel("", lines, Axis("tensor"), Axis("norm", scale="log"))
    return Chart([[panel]], "Norms of weights", (3.3, 2.2), 360)
'''


def write_package(folder: Path, project: str = PROJECT) -> Path:
    """Write the package's source."""
    source = folder / "source"
    (source / "sharper").mkdir(parents=True)
    (source / "pyproject.toml").write_text(project)
    files = {"parts": PARTS, "methods": METHODS, "record": RECORD}
    files |= {"analysis": ANALYSIS, "figure": FIGURE, "__init__": ""}
    for name, text in files.items():
        (source / "sharper" / f"{name}.py").write_text(text, encoding="utf-8")
    return source


def installed(folder: Path, project: str = PROJECT) -> Path:
    """Build the wheel, and install it into a folder for PYTHONPATH."""
    source, site = write_package(folder, project), folder / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    built = ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder)]
    subprocess.run([*pip, *built, str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    into = ["install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([*pip, *into], check=True, capture_output=True)
    return site
