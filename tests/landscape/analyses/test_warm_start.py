"""What a warm start costs and saves, in products."""

import copy

import pytest
import torch
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.subject.subject import Subject
from tests.landscape.references import small_network


def a_little_later(model, data, steps=5):
    """The network after some more steps of descent."""
    later = copy.deepcopy(model)
    optimizer = torch.optim.SGD(later.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(later(data.inputs), data.labels).backward()
        optimizer.step()
    return later


def diagnosed(model, data, vectors=None, **options):
    config = SpectrumConfig(trace_probes=2, warm_start=vectors is not None, **options)
    return spectrum(
        Subject(model, data), config, scopes=("overall", "classes"), warm_start_vectors=vectors
    )


@pytest.mark.parametrize("steps", [0, 1])
def test_a_warm_start_saves_products_between_near_checkpoints_at_a_tight_tolerance(steps):
    """At a loose one the random runs are as long as it takes to see that nothing hides."""
    model, data = small_network()
    vectors = {}
    diagnosed(model, data, vectors, tolerance=1e-5)
    later = a_little_later(model, data, steps)
    cold = diagnosed(later, data, tolerance=1e-5)
    warm = diagnosed(later, data, vectors, tolerance=1e-5)
    assert warm.matvecs.sum() < 0.97 * cold.matvecs.sum()
    assert warm.converged.all()
    for end in ("lambda_min", "lambda_max"):
        apart = abs(getattr(warm, end) - getattr(cold, end))
        assert (apart <= 2e-3 * cold.lambda_max).all()
