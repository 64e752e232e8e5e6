"""What a spectrum asks for when the memory budget does not hold it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from landscape.analyses.spectrum import spectrum
from landscape.analyses.surface import surface
from landscape.config import SpectrumConfig, SurfaceConfig
from landscape.curvature import operator_spectrum as module
from landscape.curvature.lanczos import lanczos
from landscape.curvature.memory import GIB
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import share_memory
from landscape.errors import InputError, MemoryWarning
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.landscape.references import small_network, small_operator
from tests.oracles import mlp, toy_data


def found(subject=None, dtype=torch.float64, batch_size=256, **options):
    config = SpectrumConfig(**{"trace_probes": 4} | options)
    subject = subject or Subject(*small_network())
    return spectrum(subject, config, scopes="overall", dtype=dtype, batch_size=batch_size)


def basis_gib(vectors, size, runs=2):
    return vectors * runs * size * 8 / GIB


def test_a_basis_on_the_host_is_whole_however_small_the_budget():
    """38 parameters: the budget holds twenty vectors of a run."""
    subject = Subject(mlp(outputs=3), toy_data((3,), (6, 4, 2)))
    options = {"steps": 30, "tolerance": 0, "batch_size": 1}
    budget = 2 * basis_gib(20, 38)
    compressed = found(subject, memory_budget=budget, **options)
    whole = found(subject, basis="host", memory_budget=budget, **options)
    assert compressed.ritz_values.shape[-1] == 20  # the quadrature is of the first cycle
    assert whole.ritz_values.shape[-1] == 30
    free = found(subject, memory_budget=0.0, **options)
    for name in ("lambda_min", "lambda_max", "trace", "ritz_values"):
        assert getattr(whole, name) == pytest.approx(getattr(free, name), rel=1e-9)


def test_the_memory_of_a_basis_that_never_fills_is_not_touched():
    """NaN in what is not written would show in every number."""
    operator, starts = small_operator(dtype=torch.float64), torch.ones(516, 2).double()
    starts[:, 1] = torch.linspace(-1, 1, 516)
    for run in lanczos(operator, starts, 60, capacity=12):
        apart = run.basis @ run.basis.T - torch.eye(run.steps, dtype=torch.float64)
        assert apart.abs().max() < 1e-12
        products = operator.matmat(run.basis.T)
        recurrence = run.basis.T @ run.projected
        recurrence[:, -1] += run.coupling * run.following
        assert (products - recurrence).abs().max() < 1e-11


def test_a_basis_beyond_the_budget_is_asked_for_in_a_sentence():
    budget = basis_gib(8, 516) * 0.99
    with pytest.raises(InputError, match="8 Lanczos vectors of each of 2 runs over 516 parameters"):
        found(memory_budget=budget)
    found(memory_budget=1.0, steps=20)


@pytest.mark.parametrize("basis", ["device", "host"])
def test_a_basis_beyond_the_machine_is_refused(basis, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda _: 2 * 516 * 8 * 21)
    with pytest.raises(InputError, match=r"and 0\.000161 are free; lower steps to 20, or probes"):
        found(basis=basis)
    assert found(basis=basis, steps=20).ritz_values.shape[-1] <= 20


class OfSize:
    """What is asked of an operator before any product."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, size):
        self.size, self.reserved = size, 0

    def reserve(self, size):
        self.reserved = size

    def check_budget(self):
        pass


@pytest.mark.parametrize(("millions", "fits"), [(25.6, True), (66, True), (68, False)])
def test_the_default_budget_holds_eight_vectors_of_67_million_parameters(millions, fits):
    operator, config = OfSize(int(millions * 1e6)), SpectrumConfig()
    if fits:
        share_memory(operator, config)
        held = operator.reserved // (2 * operator.size * 4)
        assert held >= 8
        assert operator.reserved <= (2 if held > 8 else 4) * GIB
        return
    with pytest.raises(InputError, match=r"set it to 8\.11 or more, hold them in the host's"):
        share_memory(operator, config)
    share_memory(operator, replace(config, memory_budget=8.11))
    share_memory(operator, replace(config, basis="host", steps=8))


def wide(samples=64):
    """Graphs that outweigh the parameters by far."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    model = nn.Sequential(*layers, nn.Linear(8, 2)).double()
    data = toy_data((1, 32, 32), (samples // 2, samples // 2))
    return Subject(model, TensorData(data.inputs, data.labels))


def test_a_smaller_batch_is_announced_and_batches_of_one_are_refused():
    subject = wide()
    selection = subject.select_all()
    operator = CurvatureOperator(subject, selection, dtype=torch.float64, memory_budget=1.0)
    operator.check_budget()
    needed = [operator._graphs.size.working_memory(n) / GIB for n in (64, 32, 2, 1)]
    options = {"basis": "host", "steps": 4, "tolerance": 0}
    calm = found(subject, memory_budget=1.01 * needed[0], **options)
    with pytest.warns(MemoryWarning, match=r"64 samples at a time take .* 3[2-9] are taken"):
        warned = found(subject, memory_budget=1.1 * needed[1], **options)
    assert warned.lambda_max == pytest.approx(calm.lambda_max, rel=1e-12)
    with pytest.raises(InputError, match=r"64 samples at a time take .* would do"):
        found(subject, memory_budget=0.99 * needed[2], **options)
    found(subject, memory_budget=1.01 * needed[3], batch_size=1, **options)  # asked for


def test_the_sum_named_would_do():
    subject = wide()
    with pytest.raises(InputError) as error:
        found(subject, memory_budget=1e-4, basis="host")
    named = float(str(error.value).removesuffix(" would do").rpartition(" ")[2])
    found(subject, memory_budget=1.01 * named, basis="host")


def test_hessian_directions_leave_the_basis_its_memory(monkeypatch):
    """It is reserved before the first product, after which the budget is spent."""
    reserved, reserve = [], CurvatureOperator.reserve
    monkeypatch.setattr(
        CurvatureOperator, "reserve", lambda self, n: (reserve(self, n), reserved.append(n))
    )
    subject = Subject(mlp(outputs=3), toy_data((3,), (6, 4, 2)))
    config = SpectrumConfig(steps=8, trace_probes=0)
    surface(subject, SurfaceConfig(points=2, directions="hessian"), spectrum=config)
    assert reserved == [basis_gib(9, 38) * GIB]  # eight steps and the vector that follows


def test_the_vectors_of_a_warm_start_are_counted_before_they_are_kept(monkeypatch):
    subject, vectors = Subject(mlp(outputs=3), toy_data((3,), (6, 4, 2))), {}
    config = SpectrumConfig(steps=1, trace_probes=2, warm_start=True)
    monkeypatch.setattr(module, "free_bytes", lambda _: 2000)  # a basis, and two scopes' vectors
    options = {"dtype": torch.float64, "warm_start_vectors": vectors}
    with pytest.raises(InputError, match="two vectors of 38 parameters for each of 4 scopes"):
        spectrum(subject, config, scopes=("overall", "classes"), **options)
    spectrum(subject, config, scopes=("overall", "class/1"), **options)
    assert {v.shape for v in vectors.values()} == {(38, 2)}
