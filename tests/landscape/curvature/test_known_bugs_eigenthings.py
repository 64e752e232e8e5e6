"""Faults of hessian-eigenthings; none may happen here."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator, dense
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape.references import (
    SPECTRA,
    double_operator_of,
    exact_eigenvalues,
    probe,
    rotated,
    small_operator,
)
from tests.oracles import conv_net, dense_hessian, mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))
FLOAT64 = {"dtype": torch.float64}


def test_eigenthings_two_steps_for_one_eigenpair_look_like_an_answer():
    operator = MatrixOperator(rotated(np.linspace(-1, 2, 60)))
    config = SpectrumConfig(steps=2, probes=1)
    found = operator_spectrum(operator, config, torch.Generator().manual_seed(0))
    assert not found.converged
    assert found.high.bound > 0.1


def test_eigenthings_averages_unequal_batches_as_if_equal():
    model, data = mlp(outputs=3), toy_data((3,), (120, 90, 46))
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    found = dense(double_operator_of(Subject(model, data), batch_size=200))
    assert (found - exact).abs().max() <= 1e-12


@pytest.mark.parametrize("length", [1e-3, 1.0, 30.0, 1e3])
def test_eigenthings_finite_differences_depend_on_the_length_of_the_vector(length):
    operator = double_operator_of(Subject(mlp(outputs=3), DATA))
    v = torch.randn(operator.size, 1, dtype=torch.float64)
    unit = v / v.norm()
    assert torch.allclose(operator.matmat(length * unit), length * operator.matmat(unit))


@pytest.mark.parametrize("curvature", ["hessian", "ggn", "difference"])
def test_eigenthings_crashes_on_an_unused_parameter(curvature):
    model, plain = mlp(outputs=3), Subject(mlp(outputs=3), DATA)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    found = dense(double_operator_of(Subject(model, DATA), curvature=curvature))
    assert not found[:2].any()  # a module's own parameters come first
    exact = dense(double_operator_of(plain, curvature=curvature))
    assert (found[2:, 2:] - exact).abs().max() <= 1e-14


def test_eigenthings_crashes_on_a_loss_linear_in_the_parameters():
    model = nn.Linear(3, 1).double()
    subject = Subject(model, DATA, Loss(lambda out, _: out[:, 0]))
    found = spectrum(subject, SpectrumConfig(), scopes="overall", **FLOAT64)
    assert found.lambda_min[0] == found.lambda_max[0] == found.trace[0] == 0
    assert found.grad_norm[0] == pytest.approx(
        float(torch.cat([DATA.inputs.mean(dim=0), torch.ones(1)]).norm())
    )


@pytest.mark.parametrize("scale", [1e-20, 1e-13, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eigenthings_breaks_down_at_an_absolute_1e12(scale, dtype):
    """Rank three: four steps at any scale, neither one because β is small nor ghosts after."""
    matrix = rotated(np.r_[3.0, 2.0, -1.0, np.zeros(57)])
    operator = MatrixOperator((matrix * scale).to(dtype))
    (run,) = lanczos(operator, probe(operator), 20)
    assert run.steps == 4
    values = run.ritz().values / scale
    assert values.numpy() == pytest.approx([-1, 0, 2, 3], abs=1e-6)
    assert float(run.ritz().residuals.max()) == 0


def test_eigenthings_orthogonalises_no_more_above_fifty_steps():
    operator = small_operator()
    (run,) = lanczos(operator, probe(operator), 120)
    gram = (run.basis @ run.basis.T).double()
    assert (gram - torch.eye(120)).abs().max() <= 1e-5
    top = exact_eigenvalues()[-3:]
    assert run.ritz().values[-3:].numpy() == pytest.approx(top, rel=1e-5)


def test_eigenthings_projects_in_the_precision_of_the_operator():
    """T holds more digits than its float32 operator, and its eigenvalues are float64's."""
    operator = MatrixOperator(rotated(SPECTRA["outliers"], dtype=torch.float32))
    (run,) = lanczos(operator, probe(operator), 20)
    assert run.projected.dtype == torch.float64
    assert (run.projected.diag() != run.projected.diag().float()).all()
    exact = np.linalg.eigvalsh(run.projected.numpy())
    assert run.ritz().values.numpy() == pytest.approx(exact, abs=1e-12)


class Shuffled(TensorData):
    """Data in another order at every reading."""

    def batches(self, indices, batch_size):
        yield from super().batches(indices[torch.randperm(len(indices))], batch_size)


def test_eigenthings_gauss_newton_takes_a_fresh_batch_at_every_product():
    weighted = cross_entropy(class_weights=torch.tensor([0.1, 1.0, 4.0]))
    subject = Subject(mlp(outputs=3), Shuffled(DATA.inputs, DATA.labels), weighted)
    config = SpectrumConfig(steps=8, trace_probes=0, curvature="ggn")
    with pytest.raises(InputError, match="differently the second time"):
        spectrum(subject, config, scopes="overall", **FLOAT64)


def test_a_shuffling_loader_gives_one_gauss_newton_matrix_of_all_samples():
    model = mlp(outputs=3)
    pairs = TensorDataset(DATA.inputs, DATA.labels)
    loader = DataLoader(pairs, batch_size=4, shuffle=True)
    operator = double_operator_of(
        Subject(model, loader), curvature="ggn", batch_size=4, memory_budget=0.0
    )
    found = [dense(operator) for _ in range(2)]
    assert torch.equal(*found)
    exact = dense(double_operator_of(Subject(model, DATA), curvature="ggn"))
    assert (found[0] - exact).abs().max() <= 1e-14


def test_eigenthings_draws_the_same_vector_however_it_is_seeded():
    subject = Subject(mlp(outputs=3), DATA)
    config = SpectrumConfig(steps=3, probes=2)
    a, b, c = (spectrum(subject, config, scopes="overall", seed=s, **FLOAT64) for s in (0, 0, 1))
    assert np.array_equal(a.ritz_values, b.ritz_values)
    assert not np.array_equal(a.ritz_values, c.ritz_values)
    assert not np.array_equal(a.ritz_values[0, 0], a.ritz_values[0, 1])


@pytest.mark.parametrize("bn", ["eval", "batch"])
def test_eigenthings_products_in_train_mode_change_running_statistics(bn):
    """Neither the user's model nor the copy that is judged."""
    model = conv_net().train()
    operator = double_operator_of(Subject(model, toy_data((1, 4, 4), (4, 4, 4))), bn=bn)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = dense(operator)
    operator.loss_and_gradient()
    for judged in (model, operator._model):
        assert all(torch.equal(v, before[k]) for k, v in judged.state_dict().items())
    assert torch.equal(dense(operator), first)


MEASURED = """
import sys, torch
from pathlib import Path
from torch import nn
from landscape.curvature.operator import CurvatureOperator
from landscape.subject.subject import Subject, TensorData

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
def test_eigenthings_measures_memory_with_a_tool_that_sees_no_tensor():
    """Resident memory: flat in the samples, within the budget, and seen to grow without one."""
    few, many, kept = grown(160, 0.05), grown(640, 0.05), grown(640, 4.0)
    assert many <= few + 25
    assert many <= 0.05 * 1024 + 25
    assert kept >= many + 50
