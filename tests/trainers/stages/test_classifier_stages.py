"""Second stages that go on with the classifier: what they train, at which rates, and τ."""

import pytest
import torch
from torch import nn

from landscape.errors import InputError
from trainers.architecture import architecture_of
from trainers.config import TrainConfig
from trainers.models.catalogue import build_model
from trainers.models.heads import ScaledHead
from trainers.recipes import learning_rate
from trainers.reopen import load_model, open_run_data
from trainers.resolve import resolve
from trainers.runs.checkpoint import load_checkpoint
from trainers.stages.las import las
from trainers.stages.rebalance import rebalance
from trainers.stages.tau_norm import Normalise
from trainers.training import train


def plan(method, **given):
    return resolve(TrainConfig(method=method, data="cifar10", **given), 10)


def moved(tmp_path, method, *settings):
    """Names of what the second stage moves, and the run."""
    config = TrainConfig(
        method=method, epochs=2, device="cpu", out=tmp_path / "run", settings=settings
    )
    folder = train(config).folder
    names = folder.checkpoint_names()
    start, end = (load_checkpoint(folder.checkpoint(name))["model"] for name in names[-2:])
    return {key for key in start if not torch.equal(start[key], end[key])}, start, end


def test_mislas_trains_scales_and_classifier(tmp_path):
    names, start, end = moved(tmp_path, "mislas")
    assert names == {"head.class_scale", "head.plain.weight", "head.plain.bias"}
    assert torch.equal(start["head.class_scale"], torch.ones(10))
    assert (end["head.class_scale"] > 0).all()


def test_mislas_shifts_running_statistics_on_a_hundred_classes():
    resolved = resolve(TrainConfig(method="mislas", data="cifar100"), 100).settings["stages"]
    assert resolved["statistics"] == "batch"
    assert (resolved["smooth_head"], resolved["smooth_tail"], resolved["head_rate"]) == (
        0.4,
        0.1,
        0.2,
    )


def test_learnable_scales_move_alone(tmp_path):
    names, _, _ = moved(tmp_path, "ce-lws")
    assert names == {"head.class_scale"}


def test_rates_of_mislas_fall_along_a_half_cosine():
    resolved = plan("mislas", epochs=200)
    _, second = las(resolved, **resolved.settings["stages"])
    assert (second.recipe.epochs, second.sampler, second.head_rate) == (10, "balanced-4", 0.5)
    rates = [learning_rate(second.recipe, epoch) for epoch in (0, 5)]
    assert rates == pytest.approx([0.1, 0.05])


def test_rates_of_gcl_fall_along_a_half_cosine():
    resolved = plan("gcl")
    _, second = rebalance(resolved, **resolved.settings["stages"])
    assert resolved.recipe.batch_size == 64
    assert (second.recipe.epochs, second.sampler, second.mixed) == (30, "balanced", True)
    assert learning_rate(second.recipe, 0) == pytest.approx(0.002)
    loss = second.loss(torch.tensor([10, 1]))
    assert (loss.scale, loss.head_scale, loss.margin, loss.focus) == (20, 30, 0.1, 1)


@pytest.mark.parametrize(
    ("method", "rates"),
    [
        ("mislas", {0: 0.02, 4: 0.1, 159: 0.1, 160: 0.01, 180: 0.001}),
        ("bbn", {118: 0.1, 119: 1e-3, 158: 1e-3, 159: 1e-5}),
        ("paco", {0: 0.005, 320: 0.05, 321: 0.005, 361: 0.0005}),
        ("ib", {99: 0.1, 100: 1e-3, 160: 1e-5, 180: 1e-7}),
    ],
)
def test_rates_of_the_first_stage(method, rates):
    recipe = plan(method).recipe
    assert {epoch: learning_rate(recipe, epoch) for epoch in rates} == pytest.approx(rates)


def test_weights_are_divided_by_a_power_of_their_norm():
    model = build_model("resnet8", 2, 1)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[0, :2] = torch.tensor([3.0, 4.0])
        model.head.weight[1, 1] = 2.0
    Normalise(0.5)(model)
    assert model.head.weight[0, :2].tolist() == pytest.approx([3 / 5**0.5, 4 / 5**0.5])
    assert float(model.head.weight[1, 1].detach()) == pytest.approx(2**0.5)
    assert not model.head.bias.any()


def test_nothing_is_trained_after_normalising(tmp_path):
    names, start, end = moved(tmp_path, "ce-tau", "tau=0.7")
    assert names == {"head.weight", "head.bias"}
    expected = start["head.weight"] / start["head.weight"].norm(dim=1, keepdim=True) ** 0.7
    assert torch.allclose(end["head.weight"], expected)


def test_a_cosine_classifier_has_no_norms(tmp_path):
    with pytest.raises(InputError, match="trains a cosine classifier"):
        train(TrainConfig(method="ldam-tau", epochs=1, device="cpu", out=tmp_path / "run"))


def test_a_trained_network_is_normalised_without_training_it_again(tmp_path):
    whole = train(
        TrainConfig(method="ce-tau", epochs=2, device="cpu", out=tmp_path / "whole")
    ).folder
    first = train(TrainConfig(method="ce", epochs=2, device="cpu", out=tmp_path / "ce")).folder
    forked = train(
        TrainConfig(
            method="ce-tau", epochs=2, device="cpu", out=tmp_path / "forked", fork=first.last
        )
    )
    assert forked.resumed_from == 2
    ends = [
        load_checkpoint(folder.checkpoint("epoch_0003"))["model"]
        for folder in (whole, forked.folder)
    ]
    assert all(map(torch.equal, ends[0].values(), ends[1].values()))


@pytest.mark.parametrize(("method", "kind"), [("mislas", nn.Linear), ("ldam-lws", ScaledHead)])
def test_a_diagnosis_sees_no_parameters_but_a_classifiers(tmp_path, method, kind):
    folder = train(TrainConfig(method=method, epochs=2, device="cpu", out=tmp_path / "run")).folder
    data = open_run_data(folder, torch.device("cpu"))
    last = folder.checkpoint_names()[-1]
    judged = load_model(folder, last, data).eval()
    assert isinstance(judged.head, kind)
    trained = architecture_of(folder.plan(), data).build().eval()
    trained.load_state_dict(load_checkpoint(folder.checkpoint(last))["model"])
    images, _ = next(data.test.batches(torch.arange(8), 8))
    with torch.no_grad():
        assert torch.allclose(judged(images), trained(images), atol=1e-5)
    free = [name for name, p in judged.named_parameters() if p.requires_grad]
    assert not any("class_scale" in name for name in free)
