"""The memory of a product, as the operating system sees it."""

import subprocess
import sys

import pytest

MEASURED = """
import sys, torch
from pathlib import Path
from torch import nn
from landscape.curvature.operator import CurvatureOperator
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

samples, budget = int(sys.argv[1]), float(sys.argv[2])
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(16, 2),
)
subject = Subject(model, TensorData(torch.randn(samples, 1, 32, 32), torch.arange(samples) % 2))
(scope,) = subject.scopes(("overall",))

def multiply(memory_budget, samples_per_class=None):
    selection = subject.select(scope, samples_per_class)
    operator = CurvatureOperator(
        subject, selection, batch_size=16, memory_budget=memory_budget
    )
    operator.matmat(torch.ones(operator.size, 2))

multiply(0.0, 4)  # what libraries set up at their first use
before = peak()
multiply(budget)
print(peak() - before)
"""


def grown(samples, budget):
    """MiB by which the resident memory of a fresh process grew in one product, at its peak."""
    command = [sys.executable, "-c", MEASURED, str(samples), str(budget)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_resident_memory_is_flat_in_the_samples_and_within_the_budget():
    """hessian-eigenthings measures with a tool that sees no tensor."""
    few, many, kept = grown(160, 0.05), grown(640, 0.05), grown(640, 4.0)
    assert many <= few + 25
    assert many <= 0.05 * 1024 + 25
    assert kept >= many + 50
