"""Parametric contrastive learning against a value computed by hand, and its keys and queue."""

import pytest
import torch

from trainers.losses.loss import Scored
from trainers.losses.parametric_contrastive import ParametricContrast
from trainers.models.catalogue import build_model

COUNTS = torch.tensor([5, 5])


def unit(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_loss_of_known_projections():
    loss = ParametricContrast(COUNTS, alpha=0.5, temperature=1.0, dimension=2)
    logits = torch.zeros(1, 2, dtype=torch.float64)
    found = loss.loss(logits, torch.tensor([0]), unit((1, 0)), unit((1, 0), (0, 1)), COUNTS - 5)
    # row (log ½, log ½, 1, 0), of which all but the second pull with weights 1, ½, ½
    assert float(found) == pytest.approx(1.551445 - (-0.693147 + 0.5) / 2, abs=1e-5)
    other = loss.loss(
        logits, torch.tensor([0]), unit((1, 0)), unit((1, 0), (0, 1)), torch.tensor([0, 1])
    )
    assert float(other) == pytest.approx(1.680210, abs=1e-5)


def test_queries_contrast_with_each_other_but_not_with_themselves():
    loss = ParametricContrast(COUNTS, alpha=1.0, temperature=1.0, dimension=2)
    none = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    logits, labels = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([1, 1])
    found = loss.loss(logits, labels, unit((1, 0), (0.6, 0.8)), *none)
    row = torch.tensor([0.5, 0.5, torch.tensor(0.6).exp()]).sum().log()
    expected = float(row) - (-0.693147 + 0.6) / 2
    assert found.tolist() == pytest.approx([expected, expected], abs=1e-5)


def test_without_samples_it_is_logit_adjustment():
    counts = torch.tensor([30, 10, 2])
    loss = ParametricContrast(counts, alpha=0.0, dimension=2)
    none = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = loss.loss(logits, torch.tensor([2]), unit((1, 0)), *none)
    adjusted = logits + counts.double().log()
    assert float(found) == pytest.approx(float(adjusted.logsumexp(1) - adjusted[:, 2]))


def batch(size, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2 * size, 1, 8, 8, generator=generator), torch.arange(size) % 2


def test_keys_come_from_a_running_mean_and_pass_through_the_queue():
    torch.manual_seed(0)
    model = build_model("resnet8", 2, 1, projection=4).train()
    loss = ParametricContrast(COUNTS, queue=6, momentum=0.75, dimension=4)
    inputs, labels = batch(4, 0)
    queries = loss.prepare(model, inputs, labels, "float32")
    assert torch.equal(queries, inputs[:4])
    first = loss.state()["encoder"]["head.weight"].clone()
    assert torch.equal(first, model.head.weight)
    with torch.no_grad():
        model.head.weight.add_(1.0)
    before = loss.state()["queue"].clone()
    assert before.shape == (4, 4)
    assert torch.allclose(before.norm(dim=1), torch.ones(4))
    loss.prepare(model, *batch(4, 1), "float32")
    state = loss.state()
    assert torch.allclose(state["encoder"]["head.weight"], first + 0.25)
    assert torch.equal(state["queue"][4:], before[:2])
    assert state["labels"].tolist() == [0, 1, 0, 1, 0, 1]


def test_a_batch_of_one_sample_is_projected():
    model = build_model("resnet8", 2, 1, projection=4).train()
    loss = ParametricContrast(COUNTS, dimension=4)
    inputs, labels = batch(1, 0)
    queries = loss.prepare(model, inputs, labels, "float32")
    each = loss.of_network(Scored(model, model.features(queries), labels))
    assert torch.isfinite(each).all()
