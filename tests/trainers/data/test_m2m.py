"""Major-to-minor translation: which images, how they move, and what is kept."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.data.m2m import MajorToMinor, Pixels
from trainers.recipes import learning_rate
from trainers.trainer import Trainer
from trainers.training import prepare


def linear(weight):
    """A network whose logits are linear in the two pixels of an image."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor(weight)
    return SimpleNamespace(model=SimpleNamespace(head=layer), features=lambda x: x.flatten(1))


def translation(guide=None, **settings):
    made = MajorToMinor(**settings)
    made._guide = guide or linear([[1.0, 0.0], [0.0, 1.0]])
    made._pixels = Pixels(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    made._counts = torch.tensor([1000.0, 1.0]).double()
    return made


def test_ten_steps_of_a_tenth_against_the_gradient():
    start = torch.tensor([0.9, 0.1]).view(1, 1, 1, 2)
    still = linear([[0.0, 0.0], [0.0, 0.0]])
    found = translation().translate(still, start, torch.tensor([0]), torch.tensor([1]))
    assert found.flatten().tolist() == pytest.approx([0.9 - 0.5**0.5, 0.1 + 0.5**0.5], abs=1e-5)


def test_the_class_of_the_seed_is_left_too():
    start = torch.tensor([0.9, 0.2]).view(1, 1, 1, 2)
    indifferent = linear([[0.0, 0.0], [0.0, 0.0]])
    made = translation(guide=indifferent, attraction=0.5)
    leaving = linear([[1.0, 0.0], [0.0, 0.0]])
    found = made.translate(leaving, start, torch.tensor([0]), torch.tensor([1]))
    assert found.flatten().tolist() == pytest.approx([0.0, 0.2], abs=1e-5)  # and no farther


def test_rare_images_give_way_to_seeds_of_frequent_classes():
    made, generator = translation(beta=0.999), torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 1, 0])
    places, seeds, odds = made.draw_seeds(labels, generator)
    assert places.tolist() == [1, 2]
    assert set(labels[seeds].tolist()) == {0}
    assert odds.tolist() == pytest.approx([1 - 0.999**999] * 2)  # 0.632


@pytest.mark.parametrize("labels", [(0, 0, 0), (1, 1, 1), (1,)])
def test_a_batch_of_one_class_has_no_seeds(labels):
    labels, generator = torch.tensor(labels), torch.Generator().manual_seed(0)
    places, seeds, odds = translation().draw_seeds(labels, generator)
    assert len(places) == len(seeds) == len(odds) == 0


@pytest.fixture(scope="module")
def trainer():
    plan, data, device = prepare(TrainConfig(method="m2m", epochs=10, device="cpu"))
    return Trainer(plan, data, device)


def test_the_plain_network_is_trained_until_the_start(trainer):
    made = trainer.translation
    assert [made.active(epoch) for epoch in (7, 8)] == [False, True]
    assert made._recipe.epochs == 8
    before = made._guide.model.head.weight.clone()
    inputs, labels, _ = next(trainer.batches(torch.arange(64), 64))
    assert torch.equal(made(trainer.forward, inputs, labels, 3, trainer.augmentation), inputs)
    assert not torch.equal(made._guide.model.head.weight, before)
    assert made._optimizer.param_groups[0]["lr"] == learning_rate(made._recipe, 3)


def test_only_places_of_rare_classes_change_and_flags_stay(trainer):
    made = trainer.translation
    made._threshold = 0.0  # whatever the plain network says
    trainer.set_training()
    inputs, labels, _ = next(trainer.batches(torch.arange(len(trainer.data.train.labels)), 400))
    found = made(trainer.forward, inputs, labels, 9, trainer.augmentation)
    changed = (found != inputs).flatten(1).any(dim=1)
    assert changed.any()
    assert not changed[labels == 0].any()
    assert trainer.model.training
    pixels = made._pixels.of(found)
    assert (pixels >= -1e-6).all()
    assert (pixels <= 1 + 1e-6).all()
    made._threshold = 1.01
    assert torch.equal(made(trainer.forward, inputs, labels, 9, trainer.augmentation), inputs)
