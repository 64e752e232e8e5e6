"""Second stages against their equations."""

import pytest
import torch
from torch.nn import functional as F

from tests.oracles import Staged, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.resolve import resolve
from trainers.stages.adversarial import AdversarialFeatures
from trainers.trainer import Trainer
from trainers.training import train

DATA = toy_data((3,), (6, 4, 2))
LABELS, SIZE = DATA.labels, len(DATA.labels)
COUNTS = torch.tensor([50, 20, 7])


def head_only():
    model = Staged().eval()
    for parameter in (*model.first.parameters(), *model.second.parameters()):
        parameter.requires_grad_(False)
    return model


def losses(model, features):
    return F.cross_entropy(model.head(features), LABELS, reduction="none")


def expected_gradient(model, total):
    return torch.autograd.grad(total, list(model.head.parameters()))


def check(model, rule, total):
    expected = expected_gradient(model, total)
    rule(objective_of(model, DATA, class_counts=COUNTS, epoch=6, epochs=10))
    for parameter, gradient in zip(model.head.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-8, atol=1e-12)
    assert all(p.grad is None for p in model.first.parameters())


def test_adversarial_features_of_the_paper():
    model = head_only()
    z = model.features(DATA.inputs).requires_grad_()
    (slope,) = torch.autograd.grad(losses(model, z).mean(), z)
    moved = (z + 0.7 * slope / slope.norm()).detach()
    total = 0.4 * losses(model, z).mean() + 0.6 * losses(model, moved).mean()
    check(model, AdversarialFeatures(0.7), total)


def test_adversarial_steps_of_each_sample():
    model = head_only()
    z = model.features(DATA.inputs).requires_grad_()
    (slope,) = torch.autograd.grad(losses(model, z).mean(), z)
    moved = (z + 0.7 * slope / slope.norm(dim=1, keepdim=True)).detach()
    total = 0.4 * losses(model, z).mean() + 0.6 * losses(model, moved).mean()
    check(model, AdversarialFeatures(0.7, norm="sample"), total)


def test_no_step_is_computed_before_it_counts(monkeypatch):
    """In the first epoch, t = 0, the adversarial loss has no share."""
    model, calls = head_only(), []
    monkeypatch.setattr(AdversarialFeatures, "_moved", lambda *_: calls.append(1))
    AdversarialFeatures()(objective_of(model, DATA, class_counts=COUNTS, epoch=0, epochs=10))
    expected = expected_gradient(model, losses(model, model.features(DATA.inputs)).mean())
    assert all(map(torch.allclose, [p.grad for p in model.head.parameters()], expected))
    assert not calls


def test_adversarial_features_of_the_released_code():
    model = head_only()
    z = model.features(DATA.inputs).requires_grad_()
    moved, scale = z.detach().clone(), (50 / COUNTS.double() + 0.01).log() / 2
    for c in range(3):
        members = c == LABELS
        (slope,) = torch.autograd.grad(losses(model, z)[members].mean(), z)
        moved += scale[c] * slope / slope.norm()
    share = 0.3
    adversarial = (scale[LABELS] * losses(model, moved)).mean()
    total = (1 - share) * losses(model, z).mean() + share * adversarial
    check(model, AdversarialFeatures(class_scaled="yes", limit=0.3), total)


def test_epochs_and_rate_of_the_second_stage(tmp_path):
    config = TrainConfig(method="crt", epochs=10, device="cpu", out=tmp_path / "run")
    folder = train(config).folder
    rates = [entry["lr"] for entry in folder.metrics()]
    assert [entry["stage"] for entry in folder.metrics()] == [1] * 10 + [2] * 2
    assert rates[10:] == pytest.approx([0.01, 0.01])
    assert folder.checkpoint("epoch_0010").is_file()
    assert folder.checkpoint("epoch_0012").is_file()


def test_thirty_epochs_after_two_hundred():
    plan = resolve(TrainConfig(method="plot", data="cifar10"), 10)
    assert (plan.recipe.epochs, plan.epochs) == (200, 230)
    assert plan.checkpoints[-2:] == (200, 230)


def drawn_and_heads(tmp_path, monkeypatch, *settings):
    """Samples drawn of each class in the second stage; the classifier before and after it began."""
    taken, labels, heads = Trainer.step, [], {}

    def step(trainer, inputs, batch_labels, epoch, partners):
        if not trainer.stage.whole:
            heads.setdefault("second", trainer.model.head.weight.detach().clone())
            labels.append(batch_labels)
        done = taken(trainer, inputs, batch_labels, epoch, partners)
        if trainer.stage.whole:
            heads["first"] = trainer.model.head.weight.detach().clone()
        return done

    monkeypatch.setattr(Trainer, "step", step)
    train(
        TrainConfig(method="crt", epochs=2, device="cpu", out=tmp_path / "run", settings=settings)
    )
    return torch.bincount(torch.cat(labels)).tolist(), heads


def test_crt_draws_classes_alike_and_a_new_classifier(tmp_path, monkeypatch):
    drawn, heads = drawn_and_heads(tmp_path, monkeypatch)
    assert len(drawn) == 10
    assert max(drawn) - min(drawn) <= 1
    first, second = (heads[name].flatten() for name in ("first", "second"))
    # what is drawn anew knows nothing of what was there
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.3


def test_crt_goes_on_with_the_classifier_when_told(tmp_path, monkeypatch):
    _, heads = drawn_and_heads(tmp_path, monkeypatch, "initialise=kept")
    assert torch.equal(heads["first"], heads["second"])
