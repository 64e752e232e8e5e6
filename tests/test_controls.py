"""docs/controls.py: what the controls judge is what they say."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import landscape
from landscape.errors import InputError
from trainers.data.augment import CropFlip
from trainers.data.images import ArrayImages


@pytest.fixture(scope="module")
def controls():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "docs")
        yield import_module("controls")


def subject_with(logits, labels):
    model = torch.nn.Linear(3, 3, bias=False)
    model.weight.data = torch.eye(3)
    return landscape.Subject(model, landscape.TensorData(logits, labels))


def test_the_factor_gives_the_loss_asked_for(controls):
    torch.manual_seed(0)
    labels = torch.arange(3).repeat(5)
    logits = torch.randn(15, 3) + 2 * F.one_hot(labels, 3)  # some are wrong
    subject = subject_with(logits, labels)
    own = logits[labels == 1]
    target = 0.9 * torch.log(torch.tensor(3.0)).item()
    factor = controls.factor_for(subject, "class/1", target)
    reached = F.cross_entropy(own.double() * factor, labels[labels == 1]).item()
    assert reached == pytest.approx(target, rel=1e-6)


def test_a_loss_that_no_factor_gives_is_refused(controls):
    subject = subject_with(torch.eye(3).roll(1, 0), torch.arange(3))  # every one is wrong
    with pytest.raises(InputError, match="no factor on the logits gives 'class/0'"):
        controls.factor_for(subject, "class/0", 0.1)


def test_frozen_views_are_draws_of_the_augmentation_in_order(controls):
    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    images = ArrayImages(pixels, torch.arange(4), (0.5,) * 3, (0.25,) * 3, CropFlip(2, True))
    found = controls.frozen_views(images, views=3, seed=7)
    generator = torch.Generator().manual_seed(7)
    drawn = [images.augmentation(pixels, generator) for _ in range(3)]
    assert torch.equal(found.pixels, torch.cat(drawn))
    assert found.labels.tolist() == [0, 1, 2, 3] * 3
    assert not torch.equal(drawn[0], drawn[1])


def test_an_unknown_control_is_named(controls, tmp_path):
    with pytest.raises(InputError, match="no control is called 'tset'; there are draw"):
        controls.control("tset", tmp_path)
