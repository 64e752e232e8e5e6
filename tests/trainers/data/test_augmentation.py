"""Augmentation of whole batches against torchvision's of single images."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from landscape.errors import InputError
from trainers.data.augment import CropFlip
from trainers.data.auto_augment import CIFAR10, apply_operation, auto_augment
from trainers.data.images import ArrayImages, FileImages, with_views
from trainers.data.sim_augment import crop_and_resize, random_boxes, sim_augment, turn_hue
from trainers.data.views import cut_out
from trainers.methods.grammar import parse_method

REFERENCE = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=128)
SPACE = REFERENCE._AUGMENTATION_SPACE


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(batch=6, side=32):
    """Smooth colour images, uint8, whose histograms are not flat."""
    coarse = torch.rand((batch, 3, 4, 4), generator=seeded())
    fine = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1)
    return (fine**2 * 255).to(torch.uint8)


def test_the_sub_policies_are_those_of_the_paper():
    meaningless = {name for name, (bins, _) in SPACE.items() if bins(10, 32, 32) is None}
    ours = [
        tuple((n, p, None if n in meaningless else level) for n, p, level in pair)
        for pair in CIFAR10
    ]
    assert ours == REFERENCE._policies


@pytest.mark.parametrize("name", [name for name in SPACE if name != "Identity"])
@pytest.mark.parametrize("level", [0, 3, 8, 9])
@pytest.mark.parametrize("negative", [False, True])
def test_operations_are_torchvisions(name, level, negative):
    bins, signed = SPACE[name]
    magnitudes = bins(10, 32, 32)
    magnitude = 0.0 if magnitudes is None else float(magnitudes[level])
    images = photographs()
    found = apply_operation(name, images, level, negative=negative and signed)
    for image, ours in zip(images, found, strict=True):
        theirs = REFERENCE._apply_image_or_video_transform(
            image,
            name,
            -magnitude if negative and signed else magnitude,
            interpolation=REFERENCE.interpolation,
            fill=REFERENCE._fill,
        )
        # a magnitude on the edge between two pixels may round to either
        assert (ours.int() - theirs.int()).abs().float().mean() < 0.5


def test_each_image_has_a_sub_policy_of_its_own():
    images = photographs(1).expand(400, -1, -1, -1)
    found = auto_augment(images, seeded())
    assert len(found.flatten(1).unique(dim=0)) > 40
    assert torch.equal(found, auto_augment(images, seeded()))
    untouched = (found == images).flatten(1).all(dim=1).float().mean()
    chances = [(1 - first[1]) * (1 - second[1]) for first, second in CIFAR10]
    assert abs(untouched - sum(chances) / 25) < 0.12  # some operations may leave an image alone


def test_crops_are_resized_as_torchvision_does():
    images = photographs(40)
    corner, size = random_boxes(40, 32, lambda *shape: torch.rand(shape, generator=seeded(1)))
    assert torch.all((size >= 1) & (corner >= 0) & (corner + size <= 32))
    ours = crop_and_resize(images.float(), corner, size)
    for image, found, (top, left), (height, width) in zip(
        images, ours, corner.int().tolist(), size.int().tolist(), strict=True
    ):
        theirs = F.resized_crop(image.float(), top, left, height, width, [32, 32], antialias=True)
        assert (found - theirs).abs().max() < 1e-2


def test_crops_have_the_area_and_the_ratio_asked_for():
    generator = seeded()
    corner, size = random_boxes(20_000, 32, lambda *shape: torch.rand(shape, generator=generator))
    area, ratio = size.prod(dim=1) / 32**2, size[:, 1] / size[:, 0]
    assert 0.18 < area.min() < 0.22
    assert 0.95 < area.max() <= 1
    assert 0.7 < ratio.min() < 0.76
    assert 1.32 < ratio.max() < 1.43
    assert abs(float((corner[:, 0] / (32 - size[:, 0]).clamp(min=1)).mean()) - 0.5) < 0.05


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.03, 0.1, 0.5])
def test_hue_turns_as_in_torchvision(turn):
    pixels = photographs().float() / 255
    pixels[:, :, 0] = pixels[:, :1, 0]  # grey has no hue
    ours = turn_hue(pixels, torch.full((len(pixels), 1, 1), turn))
    assert (ours - F.adjust_hue(pixels, turn)).abs().max() < 1e-5


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_and_grey_come_as_often_as_stated(channels):
    images = torch.full((3000, channels, 4, 4), 100, dtype=torch.uint8)
    images[:, 0] = 140
    found = sim_augment(images, seeded(), flip=True)
    changed = (found != images).flatten(1).any(dim=1).float().mean()
    grey = (found == found[:, :1]).flatten(1).all(dim=1).float().mean()
    kept = 0.8 if channels == 3 else 1.0
    assert abs(changed - (1 - 0.2 * kept)) < 0.03
    assert abs(grey - (0.2 if channels == 3 else 1.0)) < 0.03


def test_holes_are_half_a_side_around_any_pixel():
    holes = cut_out(torch.ones(4000, 1, 32, 32), seeded()) == 0
    sizes = holes.flatten(1).sum(dim=1)
    assert sizes.max() == 256
    assert sizes.min() == 64
    assert (holes.flatten(1).sum(dim=0) > 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_one_strong_view(channels):
    """Crop, flip, AutoAugment (of colours) and Cutout of a single view, in memory."""
    pixels = photographs(8)[:, :channels].clamp(min=1)
    images = ArrayImages(pixels, torch.arange(8), (0.0,), (1 / 255,), CropFlip(4, flip=True))
    strong = with_views(images, 1, strong=True)
    ((found, labels),) = strong.batches(torch.arange(8), 8, seeded())
    assert found.shape == pixels.shape
    assert labels.tolist() == list(range(8))
    expected = CropFlip(4, flip=True)(pixels, generator := seeded())
    if channels == 3:
        expected = auto_augment(expected, generator)
    assert torch.equal(found, cut_out(expected, generator).float())
    plain = with_views(images, 1)
    assert plain is images


def test_one_strong_view_of_a_file(tmp_path):
    image = photographs(1, 64)[0]
    v2.functional.to_pil_image(image).save(tmp_path / "a.png")
    images = FileImages(tmp_path, ("a.png",), torch.tensor([0]), 32, torch.device("cpu"))
    strong = with_views(images, 1, strong=True)
    ((found, _),) = strong.batches(torch.tensor([0]), 1, seeded())
    assert found.shape == (1, 3, 32, 32)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in images.scaling)
    black = (found[0] * std + mean).abs().amax(dim=0) < 1e-5
    assert 50 < int(black.sum()) <= 400  # the square is of 16 pixels, and may leave the image


def test_views_that_are_strong_already_take_no_augmentation():
    with pytest.raises(InputError, match="augmented so already"):
        parse_method("bcl-autoaugment")
