"""Values that are no numbers, and outputs of more or fewer classes than the labels."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import landscape
from landscape.analyses.features import feature_quality, neural_collapse
from landscape.config import (
    GradientsConfig,
    SpectrumConfig,
    SurfaceConfig,
)
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import DataWarning, InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from landscape.weight_space.evaluator import Evaluator
from tests.landscape import every_analysis
from tests.landscape.every_analysis import ANALYSES, OF_LOSSES
from tests.oracles import mlp, toy_data

DATA = toy_data((3,), (20, 12, 10))
SETTINGS = {"surface": SurfaceConfig(points=4)}  # no point of the grid is the centre


def analyse(name, subject):
    return every_analysis.analyse(name, subject, SETTINGS)


def damaged(kind):
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    with torch.no_grad():
        if kind == "buffer":
            model[1].running_var[2] = torch.nan
        else:
            model[3].weight[1, 2] = torch.nan if kind == "parameter" else torch.inf
    return model


@pytest.mark.parametrize("name", ANALYSES)
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("parameter", "parameter 3.weight is nan in 1 of its 15 entries"),
        ("infinite parameter", "parameter 3.weight is inf"),
        ("buffer", "buffer 1.running_var is nan"),
    ],
)
def test_weights_that_are_no_numbers(name, kind, sentence):
    for model in (damaged(kind), nn.DataParallel(damaged(kind))):
        with pytest.raises(InputError, match=f"^{sentence}"):
            analyse(name, Subject(model, DATA))


def test_masks_may_be_infinite():
    model = mlp(outputs=3)
    model.register_buffer("mask", torch.full((2,), -torch.inf))
    assert landscape.accuracy(Subject(model, DATA)).confusion.sum() == len(DATA.labels)


@pytest.mark.parametrize("name", ANALYSES)
def test_samples_that_are_no_numbers(name):
    inputs = DATA.inputs.clone()
    inputs[37, 1] = torch.nan
    said = r"^(the loss|a logit|a penultimate feature) of sample 37 is nan: its inputs hold"
    with pytest.raises(InputError, match=said):
        analyse(name, Subject(mlp(outputs=3), TensorData(inputs, DATA.labels)))


@pytest.mark.parametrize("name", OF_LOSSES)
def test_losses_that_are_no_numbers(name):
    def log(outputs, _targets):
        return (outputs[:, 0] - worst).log()

    model = mlp(outputs=3)
    worst = model(DATA.inputs)[:, 0].detach().sort().values[0] + 1e-9  # of one sample alone
    number = int(model(DATA.inputs)[:, 0].argmin())
    with pytest.raises(InputError, match=f"^the loss of sample {number} is nan: its inputs are"):
        analyse(name, Subject(model, DATA, log))


def test_more_logits_than_classes():
    """A class beyond those of the labels may be predicted, and is then wrong."""
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.9, 0.9]]).double()
    inputs = torch.tensor([[0.0, 1.0], [1.0, 0.8], [1.0, 0.0], [2.0, 0.1]]).double()
    subject = Subject(model, TensorData(inputs, torch.tensor([0, 0, 1, 1])))
    found = landscape.accuracy(subject)
    assert found.confusion.tolist() == [[1, 0, 1], [0, 2, 0]]
    assert found.per_class.tolist() == [0.5, 1.0]
    assert found.group[0] == 0.75
    features = landscape.features(subject)
    assert features.separation.tolist() == pytest.approx([np.hypot(1, 0.85)] * 2)
    assert np.isnan(features.nc3)
    named = Subject(model, subject.data, class_names=("a", "b", "c", "d"))
    assert landscape.accuracy(named).confusion[:2, :3].tolist() == found.confusion.tolist()


@pytest.mark.parametrize("name", [*OF_LOSSES, "accuracy"])
def test_labels_beyond_the_logits(name):
    labels = DATA.labels.clone()
    labels[30] = 5
    data = TensorData(DATA.inputs, labels)
    with pytest.raises(InputError, match=r"label of sample 30 is 5, and the model gives 3 logits"):
        analyse(name, Subject(mlp(outputs=3), data))


@pytest.mark.parametrize("count", [1, 2, 12])
@pytest.mark.parametrize("name", ANALYSES)
def test_one_class_and_few_samples(name, count):
    model = mlp(outputs=3)
    subject = Subject(model, TensorData(DATA.inputs[:count], DATA.labels[:count] * 0))
    if name == "similarity" and count < 12:
        with pytest.raises(InputError, match="take more samples"):
            analyse(name, subject)
        return
    found = analyse(name, subject)
    logits = model(DATA.inputs[:count])
    if name == "accuracy":
        assert found.group[0] == pytest.approx(float((logits.argmax(1) == 0).double().mean()))
    if name == "features":
        assert np.isnan(found.separation).all()  # there is no other class
    if name in ("spectrum", "surface"):
        value = nn.functional.cross_entropy(logits, DATA.labels[:count] * 0).item()
        at = found.loss[0] if name == "spectrum" else found.loss[0, 0, 0]
        assert at == pytest.approx(value) or name == "surface"


@pytest.mark.parametrize("name", [n for n in ANALYSES if n not in ("accuracy", "similarity")])
def test_one_class_of_one_logit(name):
    """Its cross-entropy is 0 everywhere, and so are its slopes."""
    subject = Subject(mlp(outputs=1), TensorData(DATA.inputs, DATA.labels * 0))
    found = analyse(name, subject)
    for key in ("lambda_max", "norm", "sam_sharpness", "loss"):
        if hasattr(found, key):
            assert (getattr(found, key) == 0).all()


@pytest.mark.parametrize("outputs", [1, None])
def test_accuracy_needs_logits(outputs):
    model = mlp(outputs=outputs or 2)
    model = model if outputs else nn.Sequential(model, nn.Flatten(0))
    loss = None if outputs is None else lambda o, t: (o[:, 0] - t) ** 2
    with pytest.raises(InputError, match=r"the model gives outputs \(\d+,.*a regression"):
        landscape.accuracy(Subject(model, TensorData(DATA.inputs, DATA.labels % 2), loss))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_features(dtype):
    """Rounding is neither a spread within a class nor a distance between classes."""
    model = nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 3)).to(dtype)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.uniform_(0.1, 1.0)
    found = landscape.features(Subject(model, DATA))
    assert found.variance.tolist() == [0, 0, 0]
    assert not np.isfinite(found.quality).any()
    for name in ("nc1", "nc2", "nc2_norms", "nc3", "nc1_class"):
        assert np.isnan(getattr(found, name)).all(), name


def test_rounded_features_and_features_with_little_spread():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(30) % 3
    centres = 3 * torch.randn(3, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(30, 5, generator=generator, dtype=torch.float64)
    little = centres[labels] + 1e-9 * noise  # resolved in float64
    assert feature_quality(little, labels, 3).quality.isfinite().all()
    rounded = little.float()  # to equal rows, or to rows one rounding apart
    assert not feature_quality(rounded, labels, 3).quality.isfinite().any()
    nearly = centres[:1].float() * (1 + 1e-7 * noise.sign()).float()
    assert np.isnan(neural_collapse(nearly, labels, 3).nc1)
    line = torch.tensor([1.0, 2.0, 3.0]).double()[:, None] * centres[:1]
    flat = (line[labels] + 0.1 * noise[:, :1] * centres[:1]).float()
    exact = neural_collapse(flat.double() @ centres[0, :, None], labels, 3).nc1
    assert neural_collapse(flat, labels, 3).nc1 == pytest.approx(exact, rel=1e-4)


def test_vectors_and_directions_of_another_shape():
    subject = Subject(mlp(outputs=3), DATA)
    operator = CurvatureOperator(subject, subject.select_all(), dtype=torch.float64)
    for shape in ((operator.size,), (operator.size + 1, 2), (1, operator.size)):
        with pytest.raises(InputError, match=rf"expected a tensor \({operator.size}, k\)"):
            operator.matmat(torch.zeros(shape, dtype=torch.float64))
    evaluator = Evaluator(subject, subject.select_all(), dtype=torch.float64)
    wrong = [torch.zeros(p.numel(), 1) for p in evaluator.parameters]
    with pytest.raises(InputError, match=r"is \(15, 1\) for parameter '0.weight' of \(5, 3\)"):
        evaluator.at([wrong], [1.0])


def test_unknown_curvature():
    subject = Subject(mlp(outputs=3), DATA)
    with pytest.raises(InputError, match="unknown curvature 'gnn'; did you mean 'ggn'"):
        CurvatureOperator(subject, subject.select_all(), curvature="gnn")


def test_accuracy_is_of_the_labels_and_not_of_soft_targets():
    soft = torch.full((len(DATA.labels), 3), 1 / 3, dtype=torch.float64)
    model = mlp(outputs=3)
    soft_subject = Subject(model, TensorData(DATA.inputs, DATA.labels, soft))
    plain = Subject(model, TensorDataset(DATA.inputs, DATA.labels))
    assert (landscape.accuracy(soft_subject).confusion == landscape.accuracy(plain).confusion).all()


def subject_of(**options):
    return Subject(mlp(outputs=3), DATA, **options)


NAN_WEIGHTS = {n: p * torch.nan for n, p in mlp(outputs=3).state_dict().items()}
WARM = SpectrumConfig(steps=5, warm_start=True)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: landscape.accuracy(mlp()), r"a Sequential is given; give landscape.Subject\("),
        (
            lambda: landscape.spectrum(
                subject_of(), WARM, warm_start_vectors={"overall": torch.ones(5, 2)}
            ),
            r"vectors are \(5, 2\); expected \(38, 2\)",
        ),
        (
            lambda: landscape.gradients(
                subject_of(), GradientsConfig(batches=1), direction=lambda *_: [torch.ones(3)]
            ),
            "the direction has 3 values, and the model 38",
        ),
        (
            lambda: landscape.gradients(
                subject_of(), GradientsConfig(batches=1), direction=lambda *_: 1 / 0
            ),
            "raised ZeroDivisionError .* on samples",
        ),
        (
            lambda: subject_of(loss=landscape.cross_entropy(class_weights=torch.ones(2))),
            r"weights are \[1.0, 1.0\]; expected .* each of 3 classes",
        ),
        (
            lambda: subject_of(
                loss=landscape.cross_entropy(class_weights=torch.tensor([1, torch.nan, 1]))
            ),
            r"weights are \[1.0, nan, 1.0\]",
        ),
        (
            lambda: landscape.surface(subject_of(), marks={"best": NAN_WEIGHTS}),
            "parameter 0.weight of 'best' is nan",
        ),
        (
            lambda: landscape.accuracy(Subject(mlp(outputs=3).to("meta"), DATA)),
            "parameter 0.weight is on the meta device",
        ),
        (
            lambda: Subject(mlp(), TensorData(DATA.inputs, DATA.labels * 0 - 1)),
            "every label is below 0",
        ),
        (
            lambda: CurvatureOperator(subject_of(), subject_of().select_all(), bn="batches"),
            "unknown mode of BatchNorm 'batches'; did you mean 'batch'",
        ),
    ],
)
def test_arguments_that_do_not_fit(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_samples_without_a_class_are_left_out():
    labels = DATA.labels.clone()
    labels[::5] = -1
    kept = labels >= 0
    some = Subject(mlp(outputs=3), TensorData(DATA.inputs, labels))
    rest = Subject(mlp(outputs=3), TensorData(DATA.inputs[kept], DATA.labels[kept]))
    assert some.class_counts == rest.class_counts
    assert (landscape.accuracy(some).confusion == landscape.accuracy(rest).confusion).all()
    for name, key in (("features", "separation"), ("gradients", "norm")):
        one, other = (getattr(analyse(name, subject), key) for subject in (some, rest))
        np.testing.assert_allclose(one, other, rtol=1e-12)
    by_batches = landscape.gradients(some, GradientsConfig(batches=9), batch_size=8)
    assert by_batches.samples.tolist() == list(rest.class_counts)


class Steep(nn.Module):
    """A norm at an input of zeros: its second derivative is infinite, its value is 0."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3, bias=False).double()

    def forward(self, x):
        z = self.layer(x)
        return z * z.norm(dim=1, keepdim=True)


def test_vectors_of_infinite_curvature_are_no_numbers():
    """They would be the random start of the Krylov run."""
    data = toy_data((3,), (9, 6, 5))
    data.inputs[(data.labels == 2).nonzero()[0]] = 0.0
    subject = Subject(Steep(), data)
    with pytest.warns(DataWarning, match="a second derivative is infinite"):
        found = landscape.stability(subject, learning_rate=0.1, scopes=("overall", "class/0"))
    assert np.isnan(found.lambda_max).tolist() == [True, False]
    assert np.isnan(found.gradient_top).all()
    assert np.isnan(found.gradient_lowest).all()
    with pytest.warns(DataWarning):
        split = landscape.spikes(subject, vectors=1, scopes="class/0")
    assert np.isnan(split.gradient_overlap).all()
    assert np.isnan(split.curvature[0, :2]).all()
    with (
        pytest.warns(DataWarning),
        pytest.raises(InputError, match="no eigenvectors to go along"),
    ):
        landscape.surface(subject, SurfaceConfig("hessian", points=3))
    known = {}
    warm = SpectrumConfig(probes=1, trace_probes=0, warm_start=True)
    with pytest.warns(DataWarning):
        landscape.spectrum(subject, warm, scopes=("overall", "class/0"), warm_start_vectors=known)
    assert set(known) == {"class/0"}


def test_a_count_of_errors_has_a_surface():
    model = mlp(outputs=3)
    subject = Subject(model, DATA, lambda outputs, labels: (outputs.argmax(dim=1) != labels).long())
    found = landscape.surface(subject, points=3)
    wrong = (model(DATA.inputs).argmax(dim=1) != DATA.labels).double().mean()
    assert found.scope_loss("overall")[1, 1] == pytest.approx(float(wrong))
    assert found.scope_accuracy("overall")[1, 1] == pytest.approx(1 - float(wrong))


@pytest.mark.parametrize("name", ["spectrum", "surface", "gradients"])
def test_a_loss_of_numpy_is_named(name):
    def loss(outputs, labels):
        return nn.functional.cross_entropy(outputs, labels, reduction="none").detach().numpy()

    with pytest.raises(InputError, match=r"returns a value of ndarray for \d+ samples"):
        analyse(name, Subject(mlp(outputs=3), DATA, loss))


def test_random_directions_without_length_are_refused():
    zeros = mlp(outputs=3)
    with torch.no_grad():
        for parameter in zeros.parameters():
            parameter.zero_()
    biases = mlp(outputs=3)
    for index in (0, 2):
        biases[index].weight.requires_grad_(False)
    for model in (zeros, biases):
        with pytest.raises(InputError, match="a random direction has no length"):
            landscape.surface(Subject(model, DATA), points=3)
    single = nn.Linear(1, 1, bias=False).double()
    subject = Subject(single, toy_data((1,), (3, 2)), lambda outputs, _: outputs[:, 0].square())
    with pytest.raises(InputError, match="a random direction has no length"):
        landscape.surface(subject, points=3)
    assert np.ptp(landscape.surface(subject, points=3, dimensions=1).loss) > 0
    moved = landscape.surface(Subject(biases, DATA), points=3, vectors=True)
    assert np.ptp(moved.scope_loss("overall")) > 0
    plain = landscape.surface(Subject(zeros, DATA), points=3, normalisation="none")
    assert np.ptp(plain.scope_loss("overall")) > 0


@pytest.mark.parametrize("counts", [(0, 0, 0), (5, -1, 2)])
def test_counts_of_no_training_are_refused(counts):
    with pytest.raises(InputError, match="and not 0 of all"):
        Subject(mlp(outputs=3), DATA, class_counts=counts)
