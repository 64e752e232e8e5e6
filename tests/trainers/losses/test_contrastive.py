"""Balanced contrastive learning: the loss against loops, the projections, the three views."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.data.views import AugmentedViews
from trainers.losses.balanced_contrastive import (
    balanced_contrastive,
    balanced_supervised_contrastive,
)
from trainers.losses.logit_adjustment import logit_adjustment
from trainers.losses.loss import Scored
from trainers.models.catalogue import build_model
from trainers.models.contrastive import Contrast
from trainers.objective import on_views

CLASSES, COUNTS = 5, torch.tensor([50, 20, 10, 5, 2])
# class 0 has several samples, classes 1 and 4 one, classes 2 and 3 none
LABELS = torch.tensor([0, 4, 0, 1, 0, 0])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit(rows: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 7, generator=seeded(seed), dtype=torch.float64), dim=1)


PROJECTIONS, PROTOTYPES = unit(2 * len(LABELS), 0), unit(CLASSES, 1)


def by_loops(
    projections: Tensor, labels: Tensor, prototypes: Tensor, temperature: float
) -> list[float]:
    points = [*projections, *prototypes]
    classes = [*labels.tolist() * 2, *range(len(prototypes))]

    def anchor_loss(i: int) -> float:
        def exponential(k: int) -> float:
            return math.exp(float(points[i] @ points[k]) / temperature)

        members = {c: [k for k, of in enumerate(classes) if of == c and k != i] for c in classes}
        denominator = sum(sum(map(exponential, m)) / len(m) for m in members.values())
        positives = members[classes[i]]
        return -sum(math.log(exponential(p) / denominator) for p in positives) / len(positives)

    size = len(labels)
    return [(anchor_loss(i) + anchor_loss(size + i)) / 2 for i in range(size)]


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("labels", [LABELS, torch.zeros(6, dtype=torch.int64), torch.arange(6) % 5])
def test_loss_equals_loops(labels, temperature):
    found = balanced_supervised_contrastive(PROJECTIONS, labels, PROTOTYPES, temperature)
    expected = by_loops(PROJECTIONS, labels, PROTOTYPES, temperature)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_loss_of_one_sample_equals_loops():
    found = balanced_supervised_contrastive(PROJECTIONS[:2], LABELS[:1], PROTOTYPES)
    expected = by_loops(PROJECTIONS[:2], LABELS[:1], PROTOTYPES, 0.1)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_points_that_coincide_cost_log_classes_whatever_the_imbalance():
    same = PROTOTYPES[:1]
    found = balanced_supervised_contrastive(
        same.expand(2 * len(LABELS), -1), LABELS, same.expand(CLASSES, -1)
    )
    assert torch.allclose(found, torch.full_like(found, math.log(CLASSES)))


def test_order_of_samples_and_views_does_not_matter():
    expected = balanced_supervised_contrastive(PROJECTIONS, LABELS, PROTOTYPES)
    order = torch.randperm(len(LABELS), generator=seeded())
    first, second = PROJECTIONS.chunk(2)
    permuted = balanced_supervised_contrastive(
        torch.cat([first[order], second[order]]), LABELS[order], PROTOTYPES
    )
    assert torch.allclose(permuted, expected[order])
    swapped = balanced_supervised_contrastive(torch.cat([second, first]), LABELS, PROTOTYPES)
    assert torch.allclose(swapped, expected)


@pytest.mark.parametrize("temperature", [0.1, 1e-3])
def test_gradient_is_finite(temperature):
    projections = PROJECTIONS.float().requires_grad_()
    prototypes = PROTOTYPES.float().requires_grad_()
    loss = balanced_supervised_contrastive(projections, LABELS, prototypes, temperature)
    gradients = torch.autograd.grad(loss.mean(), (projections, prototypes))
    assert torch.isfinite(loss).all()
    for gradient in gradients:
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0


def test_gradient_agrees_with_differences():
    points = (PROJECTIONS.clone().requires_grad_(), PROTOTYPES.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda z, c: balanced_supervised_contrastive(z, LABELS, c), points
    )


def test_sum_with_logit_adjustment():
    logits = torch.randn(len(LABELS), CLASSES, generator=seeded(2), dtype=torch.float64)
    loss = balanced_contrastive(
        COUNTS, tau=1.5, temperature=0.2, cross_entropy_share=3, contrastive_share=0.5
    )
    expected = 3 * logit_adjustment(COUNTS, tau=1.5)(logits, LABELS)
    expected += 0.5 * balanced_supervised_contrastive(PROJECTIONS, LABELS, PROTOTYPES, 0.2)
    assert torch.allclose(loss(logits, LABELS, PROJECTIONS, PROTOTYPES), expected)


@pytest.fixture
def contrast():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Contrast(6)


def test_contrast_projects_onto_the_unit_sphere(contrast):
    features, weight = torch.randn(9, 6, generator=seeded()), torch.eye(4, 6)
    projections, prototypes = contrast.project(features), contrast.prototypes(weight)
    assert projections.shape == (9, 128)
    assert prototypes.shape == (4, 128)
    assert torch.allclose(projections.norm(dim=1), torch.ones(9))
    assert torch.allclose(prototypes.norm(dim=1), torch.ones(4))


def test_a_prototype_depends_on_its_own_weights_alone(contrast):
    weight = torch.eye(4, 6)
    alone = contrast.prototypes(weight[:1])
    assert torch.allclose(contrast.prototypes(weight)[:1], alone, atol=1e-6)


def test_prototypes_with_batchnorm(contrast):
    normed = Contrast(6, prototype_norm=True)
    first, norm, _, last = normed.prototype_projection
    assert isinstance(norm, torch.nn.BatchNorm1d)
    weight = torch.randn(4, 6, generator=seeded())
    hidden = first(weight)
    hidden = (hidden - hidden.mean(dim=0)) / (hidden.var(dim=0, unbiased=False) + 1e-5).sqrt()
    expected = F.normalize(last(hidden.relu()), dim=1)
    assert torch.allclose(normed.prototypes(weight), expected, atol=1e-6)
    assert not any(isinstance(m, torch.nn.BatchNorm1d) for m in contrast.prototype_projection)


def test_all_three_views_are_projected():
    """BatchNorm of the projection sees the classified view too."""
    model = build_model("resnet8", CLASSES, 1, "cosine", contrast=True)
    contrast = model.contrast
    features = torch.randn(3 * len(LABELS), 64, generator=seeded(5))
    seen = []
    contrast.feature_projection[1].register_forward_hook(lambda _, given, __: seen.append(given))
    losses = on_views(balanced_contrastive(COUNTS))(Scored(model, features, LABELS))
    ((hidden,),) = seen
    assert torch.equal(hidden, contrast.feature_projection[0](features))
    projections = contrast.project(features)[len(LABELS) :]
    prototypes, logits = contrast.prototypes(model.head.weight), model.head(features[:6])
    expected = balanced_contrastive(COUNTS)(logits, LABELS, projections, prototypes)
    assert torch.allclose(losses, expected, rtol=1e-5)


def test_contrast_within_groups():
    """Samples of a group are compared with each other, after a projection of the whole batch."""
    model = build_model("resnet8", CLASSES, 1, "cosine", contrast=True)
    features = torch.randn(3 * len(LABELS), 64, generator=seeded(5))
    criterion, within = on_views(balanced_contrastive(COUNTS)), (LABELS > 0).long()
    batch = Scored(model, features, LABELS, within=within)
    found, logits = criterion(batch), batch.logits
    prototypes = model.contrast.prototypes(model.head.weight)
    first, second = model.contrast.project(features)[len(LABELS) :].chunk(2)
    for group in (0, 1):
        i = (within == group).nonzero().flatten()
        projections = torch.cat([first[i], second[i]])
        expected = balanced_contrastive(COUNTS)(logits[i], LABELS[i], projections, prototypes)
        assert torch.allclose(found[i], expected, rtol=1e-5)
    assert not torch.allclose(found, criterion(Scored(model, features, LABELS)), rtol=1e-3)


def test_the_loss_reaches_features_and_classifier(contrast):
    features = torch.randn(2 * len(LABELS), 6, generator=seeded(3), requires_grad=True)
    weight = torch.randn(CLASSES, 6, generator=seeded(4), requires_grad=True)
    loss = balanced_supervised_contrastive(
        contrast.project(features), LABELS, contrast.prototypes(weight)
    )
    for gradient in torch.autograd.grad(loss.mean(), (features, weight)):
        assert torch.isfinite(gradient).all()
        assert torch.all(gradient.abs().amax(dim=1) > 0)


def random_images(channels: int, side: int, batch: int = 4) -> Tensor:
    pixels = torch.randint(256, (batch, channels, side, side), generator=seeded())
    return pixels.to(torch.uint8)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 32), (1, 8), (3, 8)])
def test_views_keep_shape_and_dtype(channels, side, flip):
    images = random_images(channels, side)
    kept = images.clone()
    views = AugmentedViews(flip)(images, seeded())
    assert views.shape == (12, channels, side, side)
    assert views.dtype == torch.uint8
    assert torch.equal(images, kept)


def test_views_are_in_view_major_order():
    values = torch.tensor([40, 200, 40, 40, 200], dtype=torch.uint8)
    images = values[:, None, None, None].expand(5, 1, 32, 32)
    brightest = AugmentedViews(flip=True)(images, seeded()).flatten(1).max(dim=1).values
    assert torch.equal(brightest[:5], values)
    # brightness changes by 40 % at most
    assert torch.equal(brightest > 90, (values > 90).repeat(3))


def test_the_first_view_has_a_hole():
    images = torch.full((16, 1, 32, 32), 255, dtype=torch.uint8)
    black = (AugmentedViews(flip=True)(images, seeded()) == 0).flatten(1).sum(dim=1)
    # a hole of 16 pixels a side, of 8 in a corner; padding uncovers 4 rows and columns at most
    assert torch.all((black[:16] >= 64) & (black[:16] <= 256 + 32**2 - 28**2))
    assert torch.all(black[16:] == 0)


def test_flips_happen_only_when_asked_for():
    images = torch.zeros(32, 1, 32, 32, dtype=torch.uint8)
    images[..., :16] = 200
    left, right = (
        AugmentedViews(flip=False)(images, seeded()).long().sum(dim=(1, 2)).split(16, dim=1)
    )
    assert torch.all(left.sum(dim=1) >= right.sum(dim=1))
    left, right = (
        AugmentedViews(flip=True)(images, seeded()).long().sum(dim=(1, 2)).split(16, dim=1)
    )
    mirrored = (left.sum(dim=1) < right.sum(dim=1)).view(3, 32)
    assert mirrored.any(dim=1).all()


def test_views_of_an_image_and_of_equal_images_differ():
    images = random_images(3, 32, batch=1).expand(2, -1, -1, -1)
    views = AugmentedViews(flip=True)(images, seeded())
    assert len(views.flatten(1).unique(dim=0)) == 6


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 8)])
def test_only_the_generator_decides_the_views(channels, side):
    images, views = random_images(channels, side), AugmentedViews(flip=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = views(images, seeded())
        torch.manual_seed(2)
        before = torch.get_rng_state()
        second = views(images, seeded())
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)


def test_each_batch_draws_anew():
    images, views, generator = random_images(3, 32), AugmentedViews(flip=True), seeded()
    assert not torch.equal(views(images, generator), views(images, generator))
