"""Faults of curvlinops, Landscaper and HessFormer; none may happen here."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from landscape.curvature.dense import MatrixOperator, dense
from landscape.curvature.lanczos import lanczos
from landscape.curvature.sampling import random_probes
from landscape.results.density import cumulative_density, smoothed_density
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape import references
from tests.landscape.references import generator, rotated
from tests.oracles import dense_hessian, mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))


def operator_of(subject, **options):
    return references.operator_of(subject, dtype=torch.float64, **options)


def probe(operator, seed=0):
    return random_probes(operator, 1, generator(seed))


def test_curvlinops_quadrature_shows_many_copies_of_an_outlier():
    exact = np.r_[100, 50, 20, 10, 5, -3, 0.05 * np.random.RandomState(0).randn(1994)]
    operator = MatrixOperator(torch.diag(torch.as_tensor(exact, dtype=torch.float32)))
    (run,) = lanczos(operator, probe(operator), 200)
    values = run.ritz().values.numpy()
    for outlier in exact[:6]:
        assert (np.abs(values - outlier) < 1e-2 * abs(outlier)).sum() == 1


def test_curvlinops_wants_a_loss_module():
    found = operator_of(Subject(mlp(outputs=3), DATA, Loss(lambda out, _: out.pow(2).sum(dim=1))))
    assert dense(found).abs().max() > 0


def test_curvlinops_averages_ignored_labels_per_batch():
    """Batches of four in which another number counts: 17 % off there, exact here."""
    model = mlp(outputs=3)

    def criterion(out, y):
        return F.cross_entropy(out, y, ignore_index=1)

    exact = dense_hessian(model, lambda out: criterion(out, DATA.labels), DATA.inputs)
    parts = []
    for inputs, labels in zip(DATA.inputs.split(4), DATA.labels.split(4), strict=True):
        batch = dense_hessian(model, lambda out, labels=labels: criterion(out, labels), inputs)
        parts.append(batch * len(labels) / len(DATA.labels))
    assert (sum(parts) - exact).norm() > 0.05 * exact.norm()
    subject = Subject(model, DATA, cross_entropy(ignore_index=1))
    for batch_size in (4, 100):
        found = dense(operator_of(subject, batch_size=batch_size))
        assert (found - exact).abs().max() <= 1e-12


def test_landscaper_squares_the_whole_matrix_of_eigenvectors():
    """One real weight a node, total one, not twenty complex rows."""
    operator = MatrixOperator(rotated(np.linspace(0, 1, 50)))
    (run,) = lanczos(operator, probe(operator), 20)
    weights = run.ritz().weights
    assert weights.shape == (20,)
    assert weights.dtype == torch.float64
    assert weights.min() >= 0
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)


def test_landscaper_draws_a_histogram_of_nodes_without_their_weights():
    """One outlier in 200 is one node in twenty; its mass is 1/200."""
    values, weights = references.quadrature(
        MatrixOperator(rotated(np.r_[10.0, np.linspace(-1, 1, 199)])), steps=20, probes=20
    )
    assert (values > 5).mean() == 1 / 20
    found = smoothed_density(values, weights)
    far = found.grid > 5
    assert np.trapezoid(found.mean[far], found.grid[far]) == pytest.approx(1 / 200, abs=0.002)
    below = cumulative_density(values, weights, np.array([5.0]))[0][0]
    assert 1 - below == pytest.approx(1 / 200, abs=0.002)


def test_hessformer_evaluates_the_hessian_at_the_vector():
    operator = operator_of(Subject(mlp(outputs=3), DATA))
    u, v = torch.randn(2, operator.size, 1, dtype=torch.float64)
    together = operator.matmat(u + v)
    assert torch.allclose(together, operator.matmat(u) + operator.matmat(v), rtol=1e-9)


def test_hessformer_takes_the_mean_of_the_logits_for_the_loss():
    model = mlp(outputs=3)
    operator = operator_of(Subject(model, DATA))
    exact = F.cross_entropy(model(DATA.inputs), DATA.labels)
    assert operator.loss_and_gradient()[0] == pytest.approx(exact.item(), rel=1e-12)
    hessian = dense_hessian(model, lambda out: F.cross_entropy(out, DATA.labels), DATA.inputs)
    of_logits = dense_hessian(model, lambda out: out.mean(), DATA.inputs)
    assert (dense(operator) - hessian).abs().max() <= 1e-12
    assert (of_logits - hessian).norm() > 0.5 * hessian.norm()
