"""Each rule's direction against its equation, by dense autograd in float64, and the identities."""

import pytest
import torch

from landscape.errors import InputError
from tests.oracles import Point, Staged, followed, objective_of, toy_data
from trainers.methods.grammar import RULES
from trainers.rules.asam import ASAM
from trainers.rules.cc_sam import ClassConditionalSAM
from trainers.rules.focal_sam import FocalSAM
from trainers.rules.fsam import FriendlySAM
from trainers.rules.gsa import GroupedSAM
from trainers.rules.imbsam import ImbSAM
from trainers.rules.lpf_sgd import LowPassSGD
from trainers.rules.pgd import PerturbedGradientDescent
from trainers.rules.sam import SAM
from trainers.rules.sgd import SGD

DATA = toy_data((3,), (6, 4, 2))
LABELS = DATA.labels
SIZE = len(LABELS)
MEAN = torch.full((SIZE,), 1 / SIZE, dtype=torch.float64)
COUNTS = torch.tensor([50, 20, 7])


def direction(rule, model=None, **options):
    model = model or Staged()
    rule(objective_of(model, DATA, **options))
    return followed(model)


def climbed(point, weights, rho):
    g = point.gradient(weights)
    return point.w + rho * g / g.norm()


def close(found, expected):
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-13)


def test_asam():
    point = Point(Staged(), DATA)
    g, t = point.gradient(MEAN), point.w.abs() + 0.01
    at = point.w + 0.3 * t * t * g / (t * g).norm()
    close(direction(ASAM(0.3, 0.01)), point.gradient(MEAN, at))


def test_friendly_sam_takes_out_the_running_mean():
    model, rule = Staged(), FriendlySAM(0.2, sigma=0.7, decay=0.6)
    point = Point(model, DATA)
    g = point.gradient(MEAN)
    close(direction(rule, model), point.gradient(MEAN, climbed(point, MEAN, 0.2)))
    with torch.no_grad():
        model.first.weight.add_(0.3)
    model.zero_grad()
    moved = Point(model, DATA)
    d = moved.gradient(MEAN) - 0.7 * g
    close(direction(rule, model), moved.gradient(MEAN, moved.w + 0.2 * d / d.norm()))
    kept = torch.cat([m.flatten() for m in rule.state()["mean"]])
    close(kept, 0.6 * g + 0.4 * moved.gradient(MEAN))


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_imbsam(scale):
    point = Point(Staged(), DATA)
    rare = (LABELS == 2).double() / SIZE
    expected = point.gradient(MEAN - rare) + scale * point.gradient(rare, climbed(point, rare, 0.2))
    close(direction(ImbSAM(0.2, 20, scale), class_counts=COUNTS), expected)


def test_imbsam_with_every_class_rare_is_sam():
    close(direction(ImbSAM(0.2, 100), class_counts=COUNTS), direction(SAM(0.2)))


def test_imbsam_without_rare_samples_in_the_batch_takes_one_pass():
    model = Staged(batchnorm=True).train()
    common = toy_data((3,), (6, 4))
    objective = objective_of(model, common, class_counts=COUNTS)
    ImbSAM(0.2, 20)(objective)
    assert int(model.norm.num_batches_tracked) == 1
    found = followed(model)
    other = Staged(batchnorm=True).train()
    SGD()(objective_of(other, common))
    assert torch.equal(found, followed(other))


def test_the_released_imbsam_updates_statistics_twice_on_every_batch():
    common, model = toy_data((3,), (6, 4)), Staged(batchnorm=True).train()
    part = RULES["imbsam"]
    rule = part.build(**part.resolved("released") | {"eta": 20})
    rule(objective_of(model, common, class_counts=COUNTS))
    assert int(model.norm.num_batches_tracked) == 2
    other = Staged(batchnorm=True).train()
    SGD()(objective_of(other, common))
    assert torch.equal(followed(model), followed(other))


def test_imbsam_without_rare_classes_is_refused():
    with pytest.raises(InputError, match=r"eta = 5 .*smallest has 7"):
        ImbSAM(0.2, 5).check(COUNTS)
    ImbSAM(0.2, 8).check(COUNTS)


def test_focal_sam():
    point = Point(Staged(), DATA)
    weight = 0.6 * (1 - COUNTS.double() / COUNTS.sum())[LABELS] ** 2.5 / SIZE
    expected = point.gradient(MEAN - weight) + point.gradient(weight, climbed(point, weight, 0.3))
    close(direction(FocalSAM(0.3, 2.5, 0.6), class_counts=COUNTS), expected)


def test_focal_sam_without_focus_is_sam():
    close(direction(FocalSAM(0.3, 0.0, 1.0), class_counts=COUNTS), direction(SAM(0.3)))


@pytest.mark.parametrize("layers", ["classifier", "all"])
@pytest.mark.parametrize(("share", "reduction"), [(1.0, "classes"), (0.3, "samples")])
def test_cc_sam(layers, share, reduction):
    point = Point(Staged(), DATA)
    mask = point.where("head" if layers == "classifier" else "")
    k, norm = int(mask.sum()), point.w[mask].norm()
    expected = (1 - share) * point.gradient(MEAN)
    for c in range(3):
        members = (c == LABELS).double()
        mean = members / members.sum()
        g = point.gradient(mean) * mask
        rho = (norm / (2 * g.norm())).sqrt() * (k * float(COUNTS[c] - 1)) ** -0.25
        offset = 0.1 * k**0.5 * rho * g / g.norm()
        weights = mean / 3 if reduction == "classes" else members / SIZE
        expected = expected + share * point.gradient(weights, point.w + offset)
    rule = ClassConditionalSAM(0.1, share, reduction=reduction, layers=layers)
    close(direction(rule, class_counts=COUNTS), expected)


def test_cc_sam_tensor_by_tensor():
    point = Point(Staged(), DATA)
    heads = [point.where(f"head.{name}") for name in ("weight", "bias")]
    head = heads[0] | heads[1]
    k, norm, expected = int(head.sum()), point.w[head].norm(), 0.0
    for c in range(3):
        members = (c == LABELS).double()
        g = point.gradient(members / members.sum())
        offset = torch.zeros_like(g)
        for part in heads:
            rho = (norm / (2 * g[part].norm())).sqrt() * (k * float(COUNTS[c] - 1)) ** -0.25
            offset[part] = k**0.5 * rho * g[part] / g[part].norm()
        expected = expected + point.gradient(members / (3 * members.sum()), point.w + offset)
    close(direction(ClassConditionalSAM(norms="tensor"), class_counts=COUNTS), expected)


def class_ascents(point, scale=1.0):
    """Each class's mean weights, gradient over the head, and Eq. 9's perturbation."""
    head = point.where("head")
    k, norm = int(head.sum()), point.w[head].norm()
    for c in range(3):
        members = (c == LABELS).double()
        g = point.gradient(members / members.sum()) * head
        rho = (norm / (2 * g.norm())).sqrt() * (k * float(COUNTS[c] - 1)) ** -0.25
        yield members / (3 * members.sum()), g, scale * k**0.5 * rho * g / g.norm()


def test_cc_sam_is_capped_in_units_of_the_classifier():
    point = Point(Staged(), DATA)
    pieces = list(class_ascents(point))
    norm = point.w[point.where("head")].norm()
    lengths = sorted(float(offset.norm() / norm) for *_, offset in pieces)
    cap = (lengths[0] + lengths[1]) / 2  # binds on two of the three classes
    expected = sum(
        point.gradient(weights, point.w + offset * min(1, cap * norm / offset.norm()))
        for weights, _, offset in pieces
    )
    close(direction(ClassConditionalSAM(most=cap), class_counts=COUNTS), expected)


def test_cc_sam_along_the_direction_alone():
    point = Point(Staged(), DATA)
    expected = sum(point.gradient(w, point.w + g / g.norm()) for w, g, _ in class_ascents(point))
    close(direction(ClassConditionalSAM(ascent="direction"), class_counts=COUNTS), expected)


def test_cc_sam_with_the_magnitude_alone():
    model = Staged()
    point, generator = Point(model, DATA), torch.Generator().manual_seed(2)
    noise = [
        torch.empty(3, *p.shape, dtype=p.dtype).normal_(generator=generator)
        for p in model.head.parameters()
    ]
    expected = 0.0
    for c, (weights, _, offset) in enumerate(class_ascents(point)):
        drawn = torch.zeros_like(point.w)
        drawn[point.where("head")] = torch.cat([n[c].flatten() for n in noise])
        expected = expected + point.gradient(
            weights, point.w + offset.norm() * drawn / drawn.norm()
        )
    rule = ClassConditionalSAM(ascent="magnitude")
    found = direction(rule, class_counts=COUNTS, generator=torch.Generator().manual_seed(2))
    close(found, expected)


def test_cc_sam_with_the_bounds_last_term():
    """∇ of ‖w‖ / (2 ρ_c √(n_c - 1)) at w + ε_c, ρ_c held constant (Eq. 7), mean of the classes."""
    point = Point(Staged(), DATA)
    head = point.where("head")
    plain = direction(ClassConditionalSAM(), class_counts=COUNTS)
    expected = 0.0
    for c, (*_, offset) in enumerate(class_ascents(point)):
        rho = offset.norm() / int(head.sum()) ** 0.5
        there = (point.w + offset) * head
        slope = 1 / (2 * rho * float(COUNTS[c] - 1) ** 0.5)
        expected = expected + slope * there / there.norm() / 3
    found = direction(ClassConditionalSAM(bound="yes"), class_counts=COUNTS)
    close(found - plain, expected)


def test_cc_sam_computes_features_once():
    model = Staged(batchnorm=True).train()
    direction(ClassConditionalSAM(), model, class_counts=torch.tensor([6, 4, 1]))
    assert int(model.norm.num_batches_tracked) == 1
    assert torch.isfinite(followed(model)).all()


def group_pieces(point, groups, counts):
    """Each group's share, gradient, own direction and radius, by the equations."""
    g, size = point.gradient(MEAN), len(point.w)
    for group in groups.unique():
        members = (groups[LABELS] == group).double()
        own = point.gradient(members / members.sum())
        d = own - (own @ g) / (g @ g) * g
        n = float(counts[groups == group].sum())
        rho = (point.w.norm() / (2 * own.norm())).sqrt() * (size * (n - 1)) ** -0.25
        yield members / SIZE, 0.01 * size**0.5 * rho * d / d.norm()


@pytest.mark.parametrize("passes", ["groups", "one"])
def test_gsa(passes):
    point, groups = Point(Staged(), DATA), torch.tensor([0, 1, 1])
    pieces = list(group_pieces(point, groups, COUNTS))
    if passes == "groups":
        expected = sum(point.gradient(share, point.w + offset) for share, offset in pieces)
    else:
        offset = sum(share.sum() * offset for share, offset in pieces)
        expected = point.gradient(MEAN, point.w + offset)
    found = direction(GroupedSAM(passes=passes), class_counts=COUNTS, groups=groups)
    close(found, expected)


def test_gsa_with_one_group_fixed_radius_and_no_projection_is_sam():
    rule = GroupedSAM(radius="fixed", rho=0.2, direction="plain")
    found = direction(rule, groups=torch.zeros(3, dtype=torch.int64))
    close(found, direction(SAM(0.2)))


def test_gsa_of_a_group_alone_in_its_batch_has_nothing_to_climb():
    found = direction(GroupedSAM(), groups=torch.zeros(3, dtype=torch.int64))
    close(found, direction(SGD()))


def test_gsa_along_the_batch_gradient_alone():
    """GSA-proj: the part of a group's gradient that the projection takes out."""
    point, groups = Point(Staged(), DATA), torch.tensor([0, 1, 1])
    g, expected = point.gradient(MEAN), 0.0
    for share, offset in group_pieces(point, groups, COUNTS):
        own = point.gradient(share / share.sum())
        d = (own @ g) / (g @ g) * g
        expected = expected + point.gradient(share, point.w + offset.norm() * d / d.norm())
    rule = GroupedSAM(direction="shared")
    close(direction(rule, class_counts=COUNTS, groups=groups), expected)


def test_gsa_with_the_bounds_last_term():
    point, groups = Point(Staged(), DATA), torch.tensor([0, 1, 1])
    options = {"class_counts": COUNTS, "groups": groups}
    plain, expected = direction(GroupedSAM(), **options), 0.0
    for group, (share, offset) in enumerate(group_pieces(point, groups, COUNTS)):
        n = float(COUNTS[groups == group].sum())
        rho, there = offset.norm() / 0.01 / len(point.w) ** 0.5, point.w + offset
        slope = share.sum() / (2 * rho * (n - 1) ** 0.5)
        expected = expected + slope * there / there.norm()
    close(direction(GroupedSAM(bound="yes"), **options) - plain, expected)


def test_gsa_with_statistics_of_the_group_is_the_same_without_batchnorm():
    options = {"class_counts": COUNTS, "groups": torch.tensor([0, 1, 1])}
    found = direction(GroupedSAM(statistics="group"), **options)
    close(found, direction(GroupedSAM(), **options))


def test_gsa_with_statistics_of_the_group_takes_groups_for_batches():
    """Each sample passes once a phase; the gradients are those of batches of one group each."""
    groups, seen = torch.tensor([0, 1, 1]), []
    model = Staged(batchnorm=True).train()
    model.first.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    options = {"direction": "plain", "radius": "fixed", "rho": 0.2, "statistics": "group"}
    objective = objective_of(model, DATA, class_counts=COUNTS, groups=groups)
    each = GroupedSAM(**options)(objective)
    assert sum(seen) == 2 * SIZE
    expected = 0.0
    for group in (0, 1):
        i = (groups[LABELS] == group).nonzero().flatten()
        alone = Staged(batchnorm=True).train()
        part = objective_of(alone, type(DATA)(DATA.inputs[i], LABELS[i]), class_counts=COUNTS)
        close(each[i], SAM(0.2, "first")(part))
        close(objective.logits[i], part.logits)
        expected = expected + len(i) / SIZE * followed(alone)
    close(followed(model), expected)


def test_statistics_of_groups_move_as_those_of_one_batch():
    """Groups of the same samples move the running mean as one batch of them does."""
    data = type(DATA)(DATA.inputs[:4].repeat(2, 1), torch.tensor([0] * 4 + [1] * 4))
    model, other = (Staged(batchnorm=True).train() for _ in range(2))
    options = {"class_counts": COUNTS, "groups": torch.tensor([0, 1, 1])}
    GroupedSAM(statistics="group")(objective_of(model, data, **options))
    SGD()(objective_of(other, type(DATA)(data.inputs[:4], data.labels[:4])))
    close(model.norm.running_mean, other.norm.running_mean)


def test_a_group_too_small_for_batchnorm_is_a_sentence():
    data = type(DATA)(DATA.inputs[:3], torch.tensor([0, 0, 1]))
    options = {"class_counts": COUNTS, "groups": torch.tensor([0, 1, 1])}
    objective = objective_of(Staged(batchnorm=True).train(), data, **options)
    with pytest.raises(InputError, match=r"too few samples in a batch .* statistics=batch"):
        GroupedSAM(statistics="group")(objective)


@pytest.mark.parametrize("variant", ["", "released"])
def test_gsa_under_another_default_type(variant):
    part = RULES["gsa"]
    options = {"class_counts": COUNTS, "groups": torch.tensor([0, 1, 1])}
    first, second = Staged(), Staged()
    expected = direction(part.build(**part.resolved(variant)), first, **options)
    torch.set_default_dtype(torch.float64)
    try:
        found = direction(part.build(**part.resolved(variant)), second, **options)
    finally:
        torch.set_default_dtype(torch.float32)
    close(found, expected)


def test_gsa_of_a_group_alone_takes_one_pass():
    model, seen = Staged(), []
    model.first.register_forward_hook(lambda *_: seen.append(1))
    direction(GroupedSAM(), model, groups=torch.zeros(3, dtype=torch.int64))
    assert len(seen) == 1


def test_gsa_released():
    """One group, adaptive scaling, a clamped radius, the running mean taken out."""
    model = Staged()
    options = {"scale": 0.1, "least": 2e-3, "most": 3e-3, "direction": "ema", "adaptive": "yes"}
    rule, groups = GroupedSAM(**options, passes="one"), torch.zeros(3, dtype=torch.int64)
    direction(rule, model, groups=groups, class_counts=COUNTS)
    with torch.no_grad():
        model.first.weight.add_(0.2)
    model.zero_grad()
    before = torch.cat([m.flatten() for m in rule.state()["means"][0]])
    point = Point(model, DATA)
    t, size = point.w.abs(), len(point.w)
    d = point.gradient(MEAN) - before
    rho = 0.1 * (point.w.norm() / (2 * (t * d).norm())).sqrt() * (size * 76.0) ** -0.25
    offset = size**0.5 * rho.clamp(2e-3, 3e-3) * t * t * d / (t * d).norm()
    found = direction(rule, model, groups=groups, class_counts=COUNTS)
    close(found, point.gradient(MEAN, point.w + offset))


def test_pgd_adds_noise_of_the_stated_length():
    plain, model = direction(SGD()), Staged()
    draws = []
    for seed in range(400):
        model.zero_grad()
        generator = torch.Generator().manual_seed(seed)
        noise = direction(PerturbedGradientDescent(0.3), model, generator=generator) - plain
        draws.append(noise)
    draws = torch.stack(draws)
    assert float(draws.pow(2).sum(dim=1).mean()) == pytest.approx(0.09, rel=0.03)
    assert float(draws.mean(dim=0).norm()) < 0.3 * 3 / 400**0.5


def test_lpf_sgd_noise_follows_the_filters():
    gamma, seed = 0.05, 3
    found = direction(LowPassSGD(gamma), generator=torch.Generator().manual_seed(seed))
    model, generator = Staged(), torch.Generator().manual_seed(seed)
    point = Point(model, DATA)
    noise = []
    for p in model.parameters():
        rows = p.detach().reshape(len(p), -1) if p.dim() > 1 else p.detach()[None]
        draw = torch.empty_like(rows).normal_(generator=generator)
        noise.append((gamma * rows.norm(dim=1, keepdim=True) * draw).flatten())
    close(found, point.gradient(MEAN, point.w + torch.cat(noise)))


def test_lpf_sgd_parts_average_to_the_batch():
    model = Staged()
    objective = objective_of(model, DATA)
    each = LowPassSGD(0.0, parts=5)(objective)
    close(followed(model), direction(SGD()))
    assert len(each) == SIZE
    assert objective.logits.shape == (SIZE, 3)


def test_lpf_sgd_noise_grows_along_its_schedule():
    def noise(progress):
        options = {"epoch": progress, "epochs": 100, "generator": torch.Generator().manual_seed(0)}
        return direction(LowPassSGD(1e-6, growth=15), **options) - direction(SGD())

    assert float(noise(100).norm() / noise(0).norm()) == pytest.approx(15, rel=1e-3)
