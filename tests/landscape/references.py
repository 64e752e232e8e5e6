"""Matrices of known spectrum, and a network small enough for its dense Hessian."""

import functools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape.analyses.spectrum import padded_ritz
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.sampling import random_probes
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Scope, Subject
from tests.oracles import dense_hessian, toy_data


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def rotated(eigenvalues, seed=0, dtype=torch.float64) -> Tensor:
    """A symmetric matrix with the given eigenvalues in random directions."""
    q, _ = torch.linalg.qr(gaussian(len(eigenvalues), len(eigenvalues), seed=seed))
    return ((q * torch.as_tensor(eigenvalues, dtype=torch.float64)) @ q.T).to(dtype)


def wishart(n=80, samples=120) -> np.ndarray:
    a = gaussian(samples, n, seed=5)
    return torch.linalg.eigvalsh(a.T @ a / samples).numpy()


SPECTRA = {
    "decaying": 0.7 ** np.arange(100),
    "harmonic": 1 / (1 + np.arange(100)),
    "step": np.r_[np.ones(50), np.full(50, 1e-3)],
    "linear": np.linspace(-1, 2, 60),
    "two clusters": np.r_[np.full(30, 1.0), np.full(30, 5.0)],
    "indefinite Wishart": wishart() - 0.5,
    "outliers": np.r_[100, 50, 20, 10, 5, -3, 0.05 * np.random.RandomState(0).randn(300)],
    "multiplicity": np.r_[np.full(4, 3.0), np.linspace(0, 1, 50)],
    "zero": np.zeros(20),
    "rank one": np.r_[2.0, np.zeros(30)],
    "identity": np.ones(25),
    "one by one": np.array([-2.5]),
    "negative definite": -np.linspace(1, 9, 40),
}


class Diagonal:
    """A diagonal of many entries, without the matrix."""

    def __init__(self, values):
        self.values, self.size = values, len(values)
        self.dtype, self.device, self.products = values.dtype, values.device, 0

    def matmat(self, vectors):
        self.products += vectors.shape[1]
        return self.values[:, None] * vectors

    fresh_matmat = matmat


def run(matrix, steps=60, probes=2, seed=1, tolerance=0.0):
    operator = MatrixOperator(matrix)
    config = SpectrumConfig(steps=steps, probes=probes, tolerance=tolerance)
    return operator_spectrum(operator, config, generator(seed)), operator


def quadrature(operator, steps, probes, seed=0):
    """Ritz values and weights (probes, steps), as a record stores them."""
    runs = lanczos(operator, random_probes(operator, probes, generator(seed)), steps)
    values, weights = padded_ritz([[one.ritz() for one in runs]])
    return values[0], weights[0]


class Quadratic(nn.Module):
    """The loss ½ θᵀAθ, of a matrix A or its diagonal, at every sample."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.theta = nn.Parameter(gaussian(len(matrix)))

    def forward(self, x: Tensor) -> Tensor:
        diagonal = self.matrix.dim() == 1
        product = self.matrix * self.theta if diagonal else self.matrix @ self.theta
        return (0.5 * self.theta @ product).expand(len(x))


def quadratic(matrix: Tensor) -> Subject:
    data = TensorData(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))
    return Subject(Quadratic(matrix), data, Loss(lambda out, _: out))


@functools.cache
def small_network(epochs: int = 60, seed: int = 0) -> tuple[nn.Module, TensorData]:
    """An MLP of 516 parameters, trained a little; weights and inputs are exact in float32."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)
        model = nn.Sequential(*layers).double()
    data = toy_data((10,), (100, 80, 50, 26), seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(epochs):
        optimizer.zero_grad()
        F.cross_entropy(model(data.inputs), data.labels).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model.float().double(), TensorData(data.inputs.float().double(), data.labels)


@functools.cache
def exact_hessian(epochs: int = 60, seed: int = 0) -> Tensor:
    """The dense float64 Hessian of :func:`small_network`."""
    model, data = small_network(epochs, seed)
    return dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)


@functools.cache
def exact_eigenvalues(epochs: int = 60, seed: int = 0) -> np.ndarray:
    return torch.linalg.eigvalsh(exact_hessian(epochs, seed)).numpy()


def operator_of(subject: Subject, **options) -> CurvatureOperator:
    everything = Scope("overall", tuple(range(subject.num_classes)))
    return CurvatureOperator(subject, subject.select(everything), **options)


def double_operator_of(subject: Subject, **options) -> CurvatureOperator:
    """As :func:`operator_of`, in float64 unless told."""
    return operator_of(subject, **({"dtype": torch.float64} | options))


def probe(operator, seed: int = 0) -> Tensor:
    """One start of random signs (P, 1)."""
    return random_probes(operator, 1, generator(seed))


def small_operator(epochs: int = 60, seed: int = 0, scale: float = 1.0, **options):
    """The operator of :func:`small_network`, its loss scaled."""
    model, data = small_network(epochs, seed)
    loss = Loss(lambda out, y: scale * F.cross_entropy(out, y, reduction="none"))
    return operator_of(Subject(model, data, loss), **options)
