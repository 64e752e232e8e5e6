"""Gradient penalty and model perturbation against autograd, and the stages in which they act."""

import pytest
import torch
from torch import nn

from landscape.errors import InputError
from tests.oracles import Point, Staged, followed, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.resolve import resolve
from trainers.rules.gradient_penalty import GradientPenalty
from trainers.rules.model_perturbation import ModelPerturbation
from trainers.rules.sgd import SGD
from trainers.stages.crt import crt
from trainers.trainer import Trainer
from trainers.training import prepare

DATA = toy_data((3,), (6, 4, 2))
MEAN = torch.full((12,), 1 / 12, dtype=torch.float64)


def test_gradient_penalty_mixes_two_gradients():
    model = Staged().eval()
    point = Point(model, DATA)
    here = point.gradient(MEAN)
    there = point.gradient(MEAN, point.w + 0.3 * here / here.norm())
    GradientPenalty(0.8, 0.3)(objective_of(model, DATA))
    assert torch.allclose(followed(model), 0.2 * here + 0.8 * there)


def test_gradient_penalty_is_that_of_the_norm_to_first_order():
    model = Staged().eval()
    parameters = list(model.parameters())
    loss = nn.functional.cross_entropy(model(DATA.inputs), DATA.labels)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    penalty = torch.autograd.grad(loss + 0.5 * 1e-5 * norm, parameters)
    GradientPenalty(0.5, 1e-5)(objective_of(model, DATA))
    expected = torch.cat([g.flatten() for g in penalty])
    assert torch.allclose(followed(model), expected, rtol=0, atol=1e-9)


def test_model_perturbation_is_the_mean_over_noise_on_the_last_layers():
    model = Staged().eval()
    point = Point(model, DATA)
    generator = torch.Generator().manual_seed(3)
    ModelPerturbation(0.5, 2)(objective_of(model, DATA, generator=generator))
    generator = torch.Generator().manual_seed(3)
    total = 0
    for _ in range(2):
        noise = torch.zeros_like(point.w)
        drawn = torch.empty(20, dtype=torch.float64).uniform_(-0.5, 0.5, generator=generator)
        noise[point.where("second.weight")] = drawn
        total = total + point.gradient(MEAN, point.w + noise) / 2
    assert torch.allclose(followed(model), total)


@pytest.mark.parametrize(
    ("stage", "kinds"),
    [
        ("first", (GradientPenalty, SGD)),
        ("second", (SGD, GradientPenalty)),
        ("both", (GradientPenalty, GradientPenalty)),
    ],
)
def test_stages_in_which_a_rule_acts(stage, kinds):
    plan = resolve(TrainConfig(method="crt+gp", settings=(f"stage={stage}",)), 10)
    stages = crt(plan, **plan.settings["stages"])
    assert tuple(type(s.rule) for s in stages) == kinds


def trainer(method, *settings, **given):
    config = TrainConfig(method=method, epochs=2, device="cpu", settings=settings, **given)
    return Trainer(*prepare(config))


@pytest.mark.parametrize("method", ["ce+gp", "ce+mp", "ce+swa", "ce+sn"])
def test_a_second_stage_that_is_not_there_is_refused(method):
    with pytest.raises(InputError, match="has one stage"):
        trainer(method, "stage=both")


def test_a_second_stage_with_a_rule_of_its_own_takes_no_other():
    with pytest.raises(InputError, match="has a rule of its own"):
        trainer("ce-adversarial+gp", "stage=both")
