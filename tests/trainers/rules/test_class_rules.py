"""Rules that weigh class gradients, against dense autograd, brute force and torchjd."""

import numpy as np
import pytest
import torch

from landscape.errors import InputError
from tests.oracles import Point, Staged, followed, objective_of, toy_data
from trainers.data.mixup import mixup
from trainers.models.catalogue import build_model
from trainers.rules.cagrad import CAGrad
from trainers.rules.class_step import class_objectives, gram_matrix, log_ratio_prior
from trainers.rules.epo import EPO
from trainers.rules.gradient_weights import pcgrad_weights
from trainers.rules.mgda import MGDA
from trainers.rules.pcgrad import PCGrad
from trainers.rules.plot import PLOT, class_deviations
from trainers.rules.sam import SAM
from trainers.rules.sgd import SGD

DATA = toy_data((3,), (6, 4, 2))
LABELS, SIZE = DATA.labels, len(DATA.labels)
MEAN = torch.full((SIZE,), 1 / SIZE, dtype=torch.float64)
COUNTS = torch.tensor([50, 20, 7])


def close(found, expected, rtol=1e-9):
    assert torch.allclose(found, expected, rtol=rtol, atol=1e-12)


def direction(rule, model=None, **options):
    model = model or Staged()
    rule(objective_of(model, DATA, class_counts=COUNTS, **options))
    return followed(model)


def class_matrix(point, at=None):
    """Gradients of f_c = K/B Σ ℓ, (3, P)."""
    rows = [point.gradient(3 * (c == LABELS).double() / SIZE, at) for c in range(3)]
    return torch.stack(rows)


def simplex(step=0.01):
    for a in np.arange(0, 1 + step / 2, step):
        for b in np.arange(0, 1 - a + step / 2, step):
            yield torch.tensor([a, b, max(1 - a - b, 0)])


def best(score):
    return min(score(w) for w in simplex())


@pytest.mark.parametrize(
    "rule", [MGDA(), CAGrad(), PCGrad(), EPO()], ids=lambda r: type(r).__name__
)
def test_the_last_stage_is_weighed_and_the_rest_follows_the_mean(rule):
    point = Point(Staged(), DATA)
    mean, found = point.gradient(MEAN), direction(rule)
    last = point.where("second")
    close(found[~last], mean[~last])
    rows = class_matrix(point)[:, last]
    weights = torch.linalg.lstsq(rows.T, found[last][:, None]).solution[:, 0]
    close(weights @ rows, found[last])
    assert (found[last] - mean[last]).norm() > 1e-3 * mean.norm()


@pytest.mark.parametrize("layers", ["last", "all"])
def test_mgda_is_the_shortest_combination(layers):
    point = Point(Staged(), DATA)
    mask = point.where("second" if layers == "last" else "")
    rows, d = class_matrix(point)[:, mask], direction(MGDA(layers))[mask]
    assert float(d.norm()) <= best(lambda w: float((w @ rows).norm())) + 1e-12
    assert (rows @ d >= d @ d * (1 - 1e-9)).all()


LAYERED = {"layer1": "first", "layer2": "second", "layer3": "head"}


class Layered(Staged):
    """With stages named as those of a ResNet."""

    def layer_parameters(self, name):
        return list(getattr(self, LAYERED[name]).parameters())


@pytest.mark.parametrize("layer", LAYERED)
@pytest.mark.parametrize("rule", [CAGrad, PLOT])
def test_classes_are_weighed_over_a_stage_of_choice(rule, layer):
    """The climb and the weights are of that stage; the rest follows the mean."""
    options = {"rho": 0.2, "variability": 0.0} if rule is PLOT else {}
    point, model = Point(Staged(), DATA), Layered()
    mask = point.where(LAYERED[layer])
    g = point.gradient(MEAN) * mask
    at = point.w + 0.2 * g / g.norm() if rule is PLOT else point.w
    found = direction(rule(c=0.5, layers=layer, **options), model, epochs=4)
    mean, rows = point.gradient(MEAN, at), class_matrix(point, at)[:, mask]
    close(found[~mask], mean[~mask])
    close((found - mean)[mask].norm(), 0.5 * mean[mask].norm())
    least = best(
        lambda w: float(w @ rows @ mean[mask] + 0.5 * mean[mask].norm() * (w @ rows).norm())
    )
    assert float((rows @ found[mask]).min()) == pytest.approx(least, rel=2e-3)


def test_stages_of_networks():
    network = build_model("resnet8", 4, 1)
    assert network.layer_parameters("layer3") == network.last_parameters()
    assert len(network.layer_parameters("layer1")) == 6
    with pytest.raises(InputError, match="unknown stage of CifarResNet 'layer4'"):
        network.layer_parameters("layer4")
    assert build_model("resnet50", 4).layer_parameters("layer4")


@pytest.mark.parametrize("rule", [MGDA, CAGrad, PCGrad, EPO])
def test_plain_training_after_an_early_stop(rule):
    stopped = rule(shared_epochs=0.25)
    assert torch.equal(direction(stopped, epoch=1, epochs=4), direction(SGD()))
    close(direction(stopped, epoch=0, epochs=4), direction(rule()))
    assert not torch.allclose(direction(stopped, epoch=0, epochs=4), direction(SGD()))


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        (CAGrad(), 3),
        (CAGrad(layers="all"), 3),
        (PLOT(variability=0.0), 4),  # one to climb
        (PLOT(), 4),
        (PLOT(in_class_gradients="no"), 5),  # what the rest follows is not the objectives' mean
    ],
    ids=str,
)
def test_backward_passes_through_the_last_stage(rule, passes):
    """The gradient of one class is left by the pass that the other parameters need."""
    model, seen = Staged(), []
    model.second.register_forward_hook(
        lambda _, __, output: output.register_hook(lambda _: seen.append(1)) and None
    )
    direction(rule, model, epochs=4)
    assert len(seen) == passes


def test_gram_matrix_in_blocks():
    generator = torch.Generator().manual_seed(0)
    shapes, rows = [(70, 130), (3,)], 4
    gradients = [torch.randn(rows, *shape, generator=generator) for shape in shapes]
    flat = torch.cat([g.flatten(1) for g in gradients], dim=1).double()
    found = torch.from_numpy(gram_matrix([(g[:3], g[3:]) for g in gradients]))
    close(found, flat @ flat.T)


def test_mgda_conflicts_with_no_class_however_small_its_gradient():
    """Class weights that span four decades leave no class behind."""
    model = Staged()
    objective = objective_of(model, DATA, class_counts=COUNTS)
    objective.weights = torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    MGDA("all")(objective)
    rows, d = class_matrix(Point(model, DATA)), followed(model)
    assert (rows @ d / (rows.norm(dim=1) * d.norm()) > 0).all()


@pytest.mark.parametrize("c", [0.2, 0.5])
def test_cagrad_optimum(c):
    point = Point(Staged(), DATA)
    rows, d = class_matrix(point), direction(CAGrad(c, layers="all"))
    mean = point.gradient(MEAN)
    close((d - mean).norm(), c * mean.norm())
    # the dual: max over the ball of the worst class is the least value over the simplex
    least = best(lambda w: float(w @ rows @ mean + c * mean.norm() * (w @ rows).norm()))
    assert float((rows @ d).min()) == pytest.approx(least, rel=2e-3)


def test_cagrad_without_room_is_the_mean():
    close(direction(CAGrad(0.0, layers="all")), direction(SGD()))


def test_rescaled_cagrad():
    plain = direction(CAGrad(0.5, layers="all"))
    close(direction(CAGrad(0.5, "yes", layers="all")), plain / 1.25)


def test_epo_lowers_the_largest_weighted_loss():
    point = Point(Staged(), DATA)
    _, values = class_objectives(point.losses(point.w), LABELS)
    prior = torch.from_numpy(log_ratio_prior(COUNTS, LABELS))
    worst = int((prior * values).argmax())
    assert float(class_matrix(point)[worst] @ direction(EPO(layers="all"))) > 0


def test_objectives_average_to_the_batch_loss_with_an_absent_class():
    each = torch.arange(1.0, 7.0)
    classes, values = class_objectives(each, torch.tensor([4, 4, 0, 0, 0, 4]))
    assert classes.tolist() == [0, 4]
    assert values.tolist() == [(3 + 4 + 5) / 3, (1 + 2 + 6) / 3]
    assert float(values.mean()) == float(each.mean())


def test_prior_of_the_released_code():
    prior = log_ratio_prior(torch.tensor([100, 10, 1]), torch.tensor([0, 2, 2]))
    raw = np.log(np.array([1.01, 100.01])) / 2
    assert prior == pytest.approx(raw / raw.sum(), rel=1e-12)


def test_class_deviations():
    each = torch.tensor([1.0, 3.0, 5.0, 2.0, 7.0], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 2])
    found = class_deviations(each, labels)
    close(found.detach(), torch.tensor([2.0, 0, 0], dtype=torch.float64))
    found.sum().backward()
    assert torch.isfinite(each.grad).all()


def test_plot_without_weighing_is_sam_on_the_batch_mean():
    rule = PLOT(c=0.0, variability=0.0, rho=0.2, layers="all")
    close(direction(rule, epochs=4), direction(SAM(0.2)))


def test_plot_climbs_over_the_last_stage_and_weighs_it():
    point = Point(Staged(), DATA)
    last = point.where("second")
    g = point.gradient(MEAN) * last
    at = point.w + 0.2 * g / g.norm()
    model = Staged()
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    found = direction(PLOT(c=0.5, variability=0.0, rho=0.2), model, epochs=4)
    mean, rows = point.gradient(MEAN, at), class_matrix(point, at)[:, last]
    close(found[~last], mean[~last])
    close((found - mean)[last].norm(), 0.5 * mean[last].norm())
    least = best(
        lambda w: float(w @ rows @ mean[last] + 0.5 * mean[last].norm() * (w @ rows).norm())
    )
    assert float((rows @ found[last]).min()) == pytest.approx(least, rel=2e-3)
    assert torch.equal(torch.nn.utils.parameters_to_vector(model.parameters()), before)


@pytest.mark.parametrize("inside", ["yes", "no"])
def test_variability_loss(inside):
    """With c = 0 the last stage follows the mean of the class objectives."""
    model = Staged()
    point = Point(model, DATA)
    each = point.losses(point.w)
    spread = torch.stack([each[c == LABELS].std() for c in range(3)]).mean()
    parts = torch.autograd.grad(each.mean() + 0.7 * spread, list(point.model.parameters()))
    expected = torch.cat([p.flatten() for p in parts])
    rule = PLOT(c=0.0, variability=0.7, rho=0.0, in_class_gradients=inside)
    found, last = direction(rule, model, epochs=4), point.where("second")
    close(found[~last], expected[~last])
    close(found[last], (expected if inside == "yes" else point.gradient(MEAN))[last])


def test_plot_is_plain_after_its_shared_epochs():
    rule = PLOT(shared_epochs=0.25, rho=0.2)
    assert torch.equal(direction(rule, epoch=1, epochs=4), direction(SGD()))
    assert not torch.allclose(direction(rule, epoch=0, epochs=4), direction(SGD()))


def test_the_released_plot_keeps_its_perturbation():
    model = Staged()
    point = Point(model, DATA)
    last = point.where("second")
    g = point.gradient(MEAN) * last
    direction(PLOT(rho=0.2, kept=1.0), model, epochs=4)
    after = torch.nn.utils.parameters_to_vector(model.parameters())
    close(after, point.w + 0.2 * g / g.norm())


def test_hard_labels_of_mixed_images():
    """The ascent follows the mixed loss, the gradients that of the first partner's label."""
    mixed = mixup(DATA.inputs, LABELS, 1.0, torch.Generator().manual_seed(1))
    model = Staged()
    objective = objective_of(model, DATA, class_counts=COUNTS, epochs=4, mixed=mixed)
    objective.inputs = mixed.inputs
    PLOT(c=0.0, variability=0.0, rho=0.0, labels="hard")(objective)
    data = type(DATA)(mixed.inputs, LABELS)
    close(followed(model), Point(Staged(), data).gradient(MEAN))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["mgda", "cagrad", "pcgrad"])
def test_directions_agree_with_torchjd(rule):
    aggregation = pytest.importorskip("torchjd.aggregation")
    point = Point(Staged(), DATA)
    rows = class_matrix(point)
    if rule == "mgda":
        theirs = aggregation.MGDA(epsilon=1e-12, max_iters=100_000)(rows)
        ours = direction(MGDA("all"))
    elif rule == "cagrad":
        theirs, ours = aggregation.CAGrad(c=0.5)(rows), direction(CAGrad(0.5, layers="all"))
    else:
        rows = rows[:2]  # only the order of projections is random, and two classes have one
        gram = (rows @ rows.T).numpy()
        weights = torch.from_numpy(pcgrad_weights(gram, np.array([[1, 0], [0, 1]])))
        theirs, ours = aggregation.PCGrad()(rows) / 2, weights @ rows
    cosine = ours @ theirs / (ours.norm() * theirs.norm())
    assert float(cosine) == pytest.approx(1, abs=1e-5)
    assert float(ours.norm()) == pytest.approx(float(theirs.norm()), rel=1e-3)
