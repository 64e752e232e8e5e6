"""Two branches: features side by side, and the pairs of cumulative learning."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.errors import InputError
from trainers.config import TrainConfig
from trainers.methods.grammar import parse_method
from trainers.models.backbones import TorchvisionResNet
from trainers.models.bilateral import Bilateral
from trainers.models.catalogue import build_model
from trainers.trainer import Trainer
from trainers.training import prepare

X = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network():
    torch.manual_seed(0)
    model = build_model("resnet8", 3, 1, bilateral=True).double()
    assert isinstance(model, Bilateral)
    return model


def branch(model, block, images):
    return block(model.base.last_stage(model.base.shared(images))).mean(dim=(2, 3))


def test_size_of_the_network_of_the_paper():
    model = build_model("resnet32", 10, bilateral=True)
    block = sum(p.numel() for p in model.conventional.parameters())
    plain = sum(p.numel() for p in build_model("resnet32", 10).parameters())
    assert sum(p.numel() for p in model.parameters()) == plain + block + 640
    assert len(model.base.last_stage) == 4
    assert not torch.equal(model.conventional.conv1.weight, model.rebalancing.conv1.weight)


def test_branches_of_a_torchvision_network():
    nets = [TorchvisionResNet("resnet18", 3) for _ in range(2)]
    model = Bilateral(*nets, nn.Linear(1024, 3)).eval()
    images = torch.rand(2, 3, 32, 32)
    assert model(images).shape == (2, 3)
    assert len(model.base.last_stage) == 1
    with torch.no_grad():
        expected = [
            branch(model, block, images) for block in (model.conventional, model.rebalancing)
        ]
        assert torch.allclose(model.features(images), torch.cat(expected, dim=1), atol=1e-6)


def test_judged_features_are_those_of_both_branches():
    model = network().eval()
    model.paired = True
    expected = [branch(model, block, X) for block in (model.conventional, model.rebalancing)]
    assert torch.equal(model.features(X), torch.cat(expected, dim=1))
    assert model(X).shape == (6, 3)


def test_pairs_are_weighed_and_normalised_apart():
    model = network().train()
    model.paired = True
    model.share.fill_(0.8)
    other = copy.deepcopy(model)
    first, second = X.chunk(2)
    expected = torch.cat(
        [
            2 * 0.8 * branch(other, other.conventional, first),
            2 * 0.2 * branch(other, other.rebalancing, second),
        ],
        dim=1,
    )
    assert torch.allclose(model.features(X), expected)
    for mine, its in zip(model.buffers(), other.buffers(), strict=True):
        assert torch.allclose(mine.double(), its.double())


def test_cumulative_learning_moves_from_one_branch_to_the_other():
    plan, data, device = prepare(TrainConfig(method="bbn", epochs=8, device="cpu"))
    trainer = Trainer(plan, data, device)
    trainer.set_training()
    inputs, labels, partners = next(trainer.batches(torch.arange(32), 32))
    assert inputs.shape[0] == 2 * len(labels) == 64
    objective = trainer.objective(inputs, labels, 4, partners)
    assert objective.mixed.share == 0.75  # 1 - (1/2)²
    each = objective.losses()
    logits = trainer.model.head(objective.features())
    expected = [F.cross_entropy(logits, y, reduction="none") for y in (labels, partners)]
    assert torch.allclose(each, 0.75 * expected[0] + 0.25 * expected[1], atol=1e-5)


def test_the_second_batch_is_drawn_from_the_rare_classes():
    plan, data, device = prepare(TrainConfig(method="bbn", device="cpu"))
    trainer = Trainer(plan, data, device)
    order = torch.arange(len(data.train.labels))
    drawn = torch.cat([partners for _, _, partners in trainer.batches(order, 64)])
    counts = torch.bincount(drawn, minlength=10)
    assert counts[-1] > 5 * counts[0]


@pytest.mark.parametrize("method", ["ce-mixup-bilateral", "bcl-bilateral", "paco-bilateral+plot"])
def test_what_pairs_images_itself_is_refused(method):
    with pytest.raises(InputError, match="pairs batches"):
        parse_method(method)
