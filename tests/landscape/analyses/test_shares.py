"""A scope is one thing in every analysis: its classes mixed by their shares in the mean loss."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import landscape
from landscape import (
    GradientsConfig,
    PathConfig,
    SharpnessConfig,
    SpectrumConfig,
    Subject,
    SurfaceConfig,
    TensorData,
    cross_entropy,
)
from landscape.subject.loss import Loss
from tests.oracles import mlp, toy_data

COUNTS = (9, 5, 4, 1)
WEIGHTS = torch.tensor([0.3, 1.0, 2.0, 7.0]).double()
FOREIGN = (900, 500, 60, 10)  # of a training set other than the data judged


def ignoring_some(weights=None):
    """Leave out three of the nine samples of class 0, and the one of class 3."""
    data = toy_data((3,), COUNTS)
    zeros = (data.labels == 0).nonzero().flatten()[:3]
    targets = data.labels.masked_fill(data.labels == 3, 9)
    targets[zeros] = 9
    each = nn.CrossEntropyLoss(ignore_index=9, reduction="none")
    loss = Loss(each, class_weights=weights, ignore_index=9)
    return Subject(mlp(outputs=4), TensorData(data.inputs, data.labels, targets), loss)


SUBJECTS = {
    "plain": lambda: Subject(mlp(outputs=4), toy_data((3,), COUNTS)),
    "class weights": lambda: Subject(
        mlp(outputs=4), toy_data((3,), COUNTS), cross_entropy(class_weights=WEIGHTS)
    ),
    "ignored": ignoring_some,
    "both": lambda: ignoring_some(WEIGHTS),
    "other data": lambda: Subject(mlp(outputs=4), toy_data((3,), COUNTS), class_counts=FOREIGN),
}


def expected(subject):
    """Loss of each scope by its samples, its gradient, and the share classified as labelled."""
    outputs = subject.model(subject.data.inputs)
    targets = getattr(subject.data, "targets", None)
    targets = subject.data.labels if targets is None else targets
    ignored = targets == 9
    each = F.cross_entropy(outputs, targets.masked_fill(ignored, 0), reduction="none")
    weights = subject.loss.class_weights
    weights = torch.ones(4).double() if weights is None else weights
    weight = weights[subject.data.labels] * ~ignored
    right = (outputs.argmax(dim=1) == subject.data.labels).double()
    found = {}
    for scope in subject.scopes(split="saddle"):
        own = torch.isin(subject.data.labels, torch.tensor(scope.classes))
        if (own & ~ignored).any():
            loss = (weight * each)[own].sum() / weight[own].sum()
            gradient = torch.autograd.grad(
                loss, list(subject.model.parameters()), retain_graph=True
            )
            kept = own & ~ignored
            found[scope.name] = (
                float(loss.detach()),
                torch.cat([g.flatten() for g in gradient]),
                float(right[kept].mean()),
            )
    return found


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_scope_has_one_loss_whichever_analysis_tells_it(name):
    subject = SUBJECTS[name]()
    known = expected(subject)
    scopes = tuple(known)
    spectrum = landscape.spectrum(
        subject, SpectrumConfig(steps=3, probes=1, trace_probes=0), scopes=scopes, split="saddle"
    )
    surface = landscape.surface(subject, points=3, split="saddle")
    if subject.loss.class_weights is not None:
        objective = surface.scope_objective("overall")[1, 1]
        assert objective == pytest.approx(known["overall"][0], rel=1e-12)
    settings = PathConfig(points=3, align="none")
    path = landscape.path(subject, settings, to=mlp(1, outputs=4), split="saddle")
    sharpness = landscape.sharpness(
        subject, SharpnessConfig(draws=1, ratios=(0.1,)), scopes=scopes, split="saddle"
    )
    for at, (scope, (loss, _, right)) in enumerate(known.items()):
        assert spectrum.loss[at] == pytest.approx(loss, rel=1e-12)
        assert sharpness.start[at] == pytest.approx(loss, rel=1e-12)
        assert surface.scope_loss(scope)[1, 1] == pytest.approx(loss, rel=1e-12)
        assert surface.scope_accuracy(scope)[1, 1] == pytest.approx(right, rel=1e-12)
        curve, accuracy = path.scope_curve(0, scope)
        assert curve[0] == pytest.approx(loss, rel=1e-12)
        assert accuracy[0] == pytest.approx(right, rel=1e-12)
        place = path.scope.tolist().index(scope)
        for heights, found in ((curve, path.barrier), (1 - accuracy, path.accuracy_drop)):
            above = heights - np.linspace(heights[0], heights[-1], 3)
            assert found[0, place] == pytest.approx(above.max(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_gradient_of_all_samples_is_that_of_the_mean_loss(name):
    subject = SUBJECTS[name]()
    known = expected(subject)
    _, whole, _ = known["overall"]
    found = landscape.gradients(subject)
    one_batch = landscape.gradients(subject, GradientsConfig(batches=1), batch_size=64)
    for c in range(4):
        if f"class/{c}" in known:
            cosine = float(F.cosine_similarity(known[f"class/{c}"][1], whole, dim=0))
            assert found.similarity_to_batch[c] == pytest.approx(cosine, rel=1e-9)
            assert one_batch.similarity_to_batch[c] == pytest.approx(cosine, rel=1e-9)


def test_a_draw_of_each_class_leaves_the_shares():
    """Class 0 and 1 are drawn from, and of equal samples, so that a draw tells the whole."""
    data = TensorData(torch.eye(2)[[0] * 8 + [1] * 4].double(), torch.tensor([0] * 8 + [1] * 4))
    subject = Subject(
        nn.Linear(2, 2).double(), data, cross_entropy(class_weights=torch.tensor([1.0, 5.0]))
    )
    whole, drawn = (
        landscape.surface(subject, points=3, samples_per_class=most) for most in (None, 2)
    )
    assert drawn.scope_loss("overall") == pytest.approx(whole.scope_loss("overall"), rel=1e-12)
    assert drawn.share == pytest.approx([8 / 28, 20 / 28])
    assert drawn.frequency == pytest.approx([8 / 12, 4 / 12])


def test_a_class_without_weight_has_a_loss_of_its_own_and_no_part_in_the_whole():
    data = toy_data((3,), (5, 4, 3))
    loss = cross_entropy(class_weights=torch.tensor([1.0, 2.0, 0.0]))
    subject = Subject(mlp(outputs=3), data, loss)
    each = F.cross_entropy(subject.model(data.inputs), data.labels, reduction="none").detach()
    surface = landscape.surface(subject, points=3)
    own = float(each[data.labels == 2].mean())
    assert surface.scope_loss("class/2")[1, 1] == pytest.approx(own, rel=1e-12)
    settings = PathConfig(points=3, align="none")
    found = landscape.path(subject, settings, to=mlp(4, outputs=3))
    curve, _ = found.scope_curve(0, "class/2")
    place = found.scope.tolist().index("class/2")
    assert curve[0] == pytest.approx(own, rel=1e-12)
    assert found.barrier[0, place] == pytest.approx(curve[1] - curve[[0, 2]].mean(), rel=1e-9)
    assert found.barrier[0, place] > 0.01


def test_mini_batches_of_classes_without_weight_have_no_gradient_of_all_samples():
    data = toy_data((3,), (6, 6, 6))
    subject = Subject(
        mlp(outputs=3), data, cross_entropy(class_weights=torch.tensor([0.0, 0.0, 1.0]))
    )
    found = landscape.gradients(subject, GradientsConfig(batches=9), batch_size=2)
    labels = data.labels[torch.randperm(18, generator=torch.Generator().manual_seed(0))]
    with_weight = (labels.view(9, 2) == 2).any(dim=1)
    assert int((~with_weight).sum()) > 0
    assert found.similarity_to_batch[2] == pytest.approx(1)
    assert np.isfinite(found.similarity_to_batch).all()


def test_files_without_shares_say_that_training_samples_weigh():
    subject = SUBJECTS["other data"]()
    counts = np.array(FOREIGN) / sum(FOREIGN)
    line = SurfaceConfig("checkpoints", points=3, x=(0, 1))
    surface = landscape.surface(subject, line, through=[mlp(1, outputs=4)])
    path = landscape.path(subject, points=3, align="none", to=mlp(1, outputs=4))
    for record in (surface, path):
        assert "training samples" not in str(record)
        arrays = {k: v for k, v in vars(record).items() if k not in ("share", "frequency")}
        arrays.pop("provenance")
        older = type(record)(**type(record).completed(arrays))
        assert "several classes are weighed by training samples" in str(older)
        found = (
            older.scope_loss("overall")[0]
            if record is surface
            else older.scope_curve(0, "overall")[0]
        )
        loss = record.loss[0]
        assert found == pytest.approx(loss @ counts)
