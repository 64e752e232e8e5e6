"""Samples whose target is ignored count nowhere: as if the data were without them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import landscape
from landscape import PathConfig, Subject, SurfaceConfig, TensorData
from landscape.config import (
    GradientsConfig,
    SharpnessConfig,
    SpectrumConfig,
    SpikesConfig,
    StabilityConfig,
)
from landscape.errors import InputError
from landscape.subject.loss import cross_entropy
from tests.oracles import conv_net, mlp, toy_data

DATA = toy_data((3,), (14, 10, 6))
OVERALL = ("overall", "class/0", "class/1")
ANALYSES = {
    "gradients": (landscape.gradients, {}),
    "gradients of batches": (
        lambda s, **given: landscape.gradients(s, GradientsConfig(batches=1), **given),
        {},
    ),
    "gradient_noise": (landscape.gradient_noise, {}),
    "sharpness": (
        lambda s, **given: landscape.sharpness(s, SharpnessConfig(draws=1), **given),
        {"scopes": OVERALL},
    ),
    "surface": (landscape.surface, {"settings": SurfaceConfig(points=3)}),
    "path": (
        landscape.path,
        {"settings": PathConfig(points=3, align="none", curve=0), "to": mlp(1, outputs=3)},
    ),
    "spectrum": (
        landscape.spectrum,
        {"settings": SpectrumConfig(probes=1, trace_probes=0), "scopes": OVERALL},
    ),
    "stability": (
        landscape.stability,
        {"settings": StabilityConfig(learning_rate=0.1), "scopes": OVERALL},
    ),
    "spikes": (landscape.spikes, {"settings": SpikesConfig(vectors=2), "scopes": OVERALL}),
}
OF_COUNTS = {"training_count", "characteristic_radius", "weighted_loss", "split"}


def ignoring(data, of_class=(0,), ignored=-100, every=2):
    """Data of which every second target of some classes is ignored, and those without them."""
    chosen = torch.isin(data.labels, torch.tensor(of_class))
    chosen &= chosen.cumsum(0) % every == 0
    targets = data.labels.masked_fill(chosen, ignored)
    rest = TensorData(data.inputs[~chosen], data.labels[~chosen])
    return TensorData(data.inputs, data.labels, targets), rest


def assert_alike(found, expected):
    """Logits are those of the targets, and not known where these are given beside the labels."""
    for name, exact in vars(expected).items():
        if not isinstance(exact, np.ndarray) or name in OF_COUNTS or name.startswith("logit"):
            continue
        mine = getattr(found, name)
        if exact.dtype.kind == "f":
            assert np.allclose(mine, exact, rtol=1e-6, atol=1e-9, equal_nan=True), name
        else:
            assert mine.tolist() == exact.tolist(), name


@pytest.mark.parametrize("name", ANALYSES)
@pytest.mark.parametrize(("of_class", "every"), [((0, 1), 2), ((2,), 1)])
def test_an_analysis_is_that_of_the_data_without_ignored_samples(name, of_class, every):
    """Half of the samples of two classes, then all of one, which has as many as an absent one."""
    analysis, given = ANALYSES[name]
    data, rest = ignoring(DATA, of_class, every=every)
    names = ("a", "b", "c")
    found, expected = (
        analysis(
            Subject(mlp(outputs=3), own, class_names=names, class_counts=(14, 10, 6)),
            **{"batch_size": 64} | given,
        )
        for own in (data, rest)
    )
    assert_alike(found, expected)


def test_gradients_and_losses_against_autograd():
    data, _ = ignoring(DATA, ignored=1)
    data = TensorData(data.inputs, data.labels, data.targets.where(DATA.labels == 0, DATA.labels))
    loss, model = cross_entropy(ignore_index=1), mlp(outputs=3)
    kept = (data.labels == 0) & (data.targets == 0)
    value = F.cross_entropy(model(data.inputs[kept]), data.labels[kept])
    rows = torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])
    subject = Subject(model, data, loss)
    found = landscape.gradients(subject)
    assert found.loss[0] == pytest.approx(value.item(), rel=1e-12)
    assert found.norm[0] == pytest.approx(float(rows.norm()), rel=1e-12)
    assert np.isnan(found.loss[1])
    assert found.samples.tolist() == [7, 0, 6]


def test_batchnorm_normalises_ignored_samples_too():
    """Train mode: they are in the batch, though not in the classes' means."""
    data, _ = ignoring(toy_data((1, 4, 4), (9, 5, 3)))
    subject = Subject(conv_net(), data)
    found = landscape.gradients(subject, GradientsConfig(batches=1, mode="train"), batch_size=17)
    model = conv_net().train()
    each = F.cross_entropy(model(data.inputs), data.targets, reduction="none")
    kept = (data.labels == 0) & (data.targets == 0)
    value = each[kept].mean()
    rows = torch.autograd.grad(value, list(model.parameters()))
    assert found.loss[0] == pytest.approx(value.item(), rel=1e-9)
    assert found.norm[0] == pytest.approx(
        float(torch.cat([g.flatten() for g in rows]).norm()), rel=1e-9
    )
    settings = SurfaceConfig(points=3, dimensions=1, statistics="recomputed")
    at_centre = landscape.surface(subject, settings, batch_size=17).loss[0, 1]
    model.eval()  # whose statistics are the biased mean and the unbiased variance of the batch
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    model(data.inputs)
    value = F.cross_entropy(model.eval()(data.inputs[kept]), data.labels[kept])
    assert at_centre[0] == pytest.approx(value.item(), rel=1e-9)


def test_mini_batches_without_a_target_that_counts_are_refused():
    labels = torch.arange(40) // 20
    targets = torch.full((40,), -100)
    targets[39] = 1
    subject = Subject(mlp(), TensorData(torch.randn(40, 3).double(), labels, targets))
    with pytest.raises(InputError, match="target of each of the 2 samples is ignored"):
        landscape.gradients(subject, GradientsConfig(batches=1), batch_size=2)
    found = landscape.gradients(subject, GradientsConfig(batches=20), batch_size=2)
    assert (found.samples.tolist(), int(found.batches)) == ([0, 1], 1)
