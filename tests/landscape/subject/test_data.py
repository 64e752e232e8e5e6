"""Anybody's data and models as a subject."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import landscape
from landscape.analyses.features import penultimate_features
from landscape.errors import InputError
from landscape.subject.classifier import find_classifier, logits_of
from landscape.subject.data import TensorData, dataset_data
from landscape.subject.subject import Subject
from tests.oracles import mlp

X = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([2, 0, 1, 1, 0, 2, 2])


class Listed(Dataset):
    classes = ("a", "b", "c")

    def __init__(self, shift=0):
        self.targets, self.shift, self.read = Y.tolist(), shift, 0

    def __len__(self):
        return len(Y)

    def __getitem__(self, i):
        self.read += 1
        return X[i], (self.targets[i] + self.shift) % 3


class Plain(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Endless(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


@pytest.mark.parametrize(
    "data",
    [
        TensorDataset(X, Y),
        Listed(),
        Plain(list(zip(X, Y.tolist(), strict=True))),
        (X, Y.numpy()),
        DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True, drop_last=True),
        Subset(TensorDataset(torch.cat([X, X]), torch.cat([Y, Y])), list(range(7, 14))),
    ],
    ids=["tensors", "listed", "plain", "pair", "shuffling loader", "subset"],
)
def test_data_are_read_by_index(data):
    found = dataset_data(data, torch.device("cpu"))
    assert torch.equal(found.labels, Y)
    order = torch.tensor([6, 0, 3])
    parts = list(found.batches(order, 2))
    assert [len(inputs) for inputs, _ in parts] == [2, 1]
    assert torch.equal(torch.cat([inputs for inputs, _ in parts]), X[order])
    assert torch.equal(torch.cat([targets for _, targets in parts]), Y[order])
    assert (
        found.fingerprint() == dataset_data(TensorDataset(X, Y), torch.device("cpu")).fingerprint()
    )


def test_fingerprints_differ_by_inputs_and_labels():
    prints = {
        dataset_data(TensorDataset(x, y), torch.device("cpu")).fingerprint()
        for x, y in ((X, Y), (X + 1, Y), (X, Y.flip(0)))
    }
    assert len(prints) == 3


def test_targets_that_a_transform_changes_are_not_believed():
    cpu = torch.device("cpu")
    assert torch.equal(dataset_data(Listed(shift=1), cpu).labels, (Y + 1) % 3)
    data = Listed()
    dataset_data(data, cpu)
    assert data.read == 3  # listed labels are not read one by one


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Endless(), "cannot be read by index"),
        (Plain([]), "no sample"),
        (Plain([(X[0], 0.5)]), "label of item 0 is 0.5"),
        (Plain([X[0]]), "is a Tensor"),
        (Plain([(X[0], -1)]), "numbered from 0"),
        (TensorDataset(X, Y.float()), "one class number a sample"),
    ],
)
def test_data_that_cannot_be_used(data, words):
    with pytest.raises(InputError, match=words):
        dataset_data(data, torch.device("cpu"))


def test_reading_leaves_the_random_state():
    before = torch.get_rng_state()
    list(dataset_data(TensorDataset(X, Y), torch.device("cpu")).batches(torch.arange(7), 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_subject_takes_datasets_and_functions():
    model = mlp(outputs=3).float()

    def squared(outputs, targets):
        return (outputs.gather(1, targets[:, None])[:, 0] - 1) ** 2

    subject = Subject(model, Listed(), squared)
    assert subject.class_names == ("a", "b", "c")
    assert subject.class_counts == (2, 2, 3)
    assert subject.loss.name == "squared"
    value = subject.loss.per_sample(model, (X, Y))
    expected = (model(X).double()[torch.arange(7), Y] - 1) ** 2
    assert torch.equal(value, expected)
    assert subject.classifier_name() == "2"


def test_subjects_that_do_not_fit():
    model = mlp(outputs=3).float()
    with pytest.raises(InputError, match="a label is 2, and there are 2 class names"):
        Subject(model, TensorDataset(X, Y), class_names=("a", "b"))
    with pytest.raises(InputError, match="4 class counts for 3 classes"):
        Subject(model, TensorDataset(X, Y), class_counts=(1, 2, 3, 4))
    with pytest.raises(InputError, match="the loss is a str"):
        Subject(model, TensorDataset(X, Y), "cross_entropy")
    subject = Subject(model, TensorDataset(X, Y), lambda o, t: nn.functional.cross_entropy(o, t))
    with pytest.raises(InputError, match=r"shape \(\) for 7 samples"):
        subject.loss.per_sample(model, (X, Y))


def test_logits_among_outputs():
    logits, hidden = torch.ones(2, 3), torch.zeros(2, 4)

    class Output:
        def __init__(self):
            self.logits = logits

    for outputs in (
        logits,
        {"logits": logits, "hidden": hidden},
        {"out": logits, "loss": torch.tensor(1.0)},
        (logits, hidden),
        [logits],
        Output(),
    ):
        assert logits_of(outputs) is logits
    with pytest.raises(InputError, match="dict with a, b"):
        logits_of({"a": logits, "b": hidden})
    with pytest.raises(InputError, match="returns a NoneType"):
        logits_of(None)


def test_a_tuple_that_begins_with_features_is_refused():
    logits, hidden = torch.ones(2, 3), torch.zeros(2, 4)
    for first in (hidden, torch.zeros(2, 3, 5, 5)):
        with pytest.raises(
            InputError, match=r"begins with \(2, .*entry 1 has the columns of the 3"
        ):
            logits_of((first, logits), 3)
    for outputs in ((logits, hidden), (logits, logits + 1), (torch.ones(2, 5), hidden)):
        assert logits_of(outputs, 3) is outputs[0]


class Heads(nn.Module):
    """The head comes before an auxiliary one; outputs are made of both by a function."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs
        self.body, self.head, self.auxiliary = nn.Linear(3, 5), nn.Linear(5, 3), nn.Linear(3, 3)

    def forward(self, x):
        features = torch.tanh(self.body(x))
        return self.outputs(self.head(features), self.auxiliary(x), features)


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        (lambda head, auxiliary, _: (head, auxiliary), "head"),
        (lambda head, auxiliary, _: (auxiliary, head), "auxiliary"),
        (lambda head, auxiliary, _: {"aux": auxiliary, "logits": head[:]}, "head"),
        (lambda head, auxiliary, _: (3 * head.log_softmax(dim=1), auxiliary), "head"),
        (lambda head, auxiliary, _: (head.mul_(2), auxiliary), "head"),
        (lambda head, *_: head, "head"),
        (lambda head, auxiliary, _: head + auxiliary, "auxiliary"),
        (lambda head, _, features: (features, head), "head"),
    ],
)
def test_the_classifier_is_the_layer_that_gives_the_logits(outputs, name):
    with torch.no_grad():
        assert find_classifier(Heads(outputs), X, 3) == name


def test_no_classifier_is_found_where_no_layer_gives_the_logits():
    model = Heads(lambda *outputs: outputs[-1] @ torch.ones(5, 3))
    with pytest.raises(InputError, match="no linear layer with 3 outputs"):
        find_classifier(model, X, 3)
    model.requires_grad_(False)  # without a graph it is not known
    assert find_classifier(model, X, 3) == "auxiliary"


def test_features_first_are_not_judged():
    subject = Subject(Heads(lambda head, _, features: (features, head)), TensorData(X, Y))
    for analysis in (landscape.accuracy, landscape.spectrum, landscape.surface):
        with pytest.raises(InputError, match="return the logits first, or a mapping"):
            analysis(subject)


class Branches(nn.Module):
    """An auxiliary head is defined after the head and called before it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 5)
        self.head = nn.Linear(5, 3)
        self.auxiliary = nn.Linear(5, 3)

    def forward(self, x):
        features = torch.relu(self.body(x))
        self.auxiliary(features)
        return {"logits": self.head(features), "features": features}


def test_the_classifier_is_the_last_one_called():
    model = Branches()
    assert find_classifier(model, X, 3) == "head"
    assert find_classifier(model, X, 3, "auxiliary") == "auxiliary"
    with pytest.raises(InputError, match="did you mean 'head'"):
        find_classifier(model, X, 3, "haed")
    with pytest.raises(InputError, match=r"3 outputs.*as 'body'"):
        find_classifier(model, X, 3, "body")
    with pytest.raises(InputError, match=r"9 outputs.*name it with classifier"):
        find_classifier(model, X, 9)
    found = penultimate_features(model, "head", TensorData(X, Y), batch_size=3)
    outputs = model(X)
    assert torch.allclose(found.features, outputs["features"].double())
    assert torch.equal(found.predicted, outputs["logits"].argmax(dim=1))
    assert torch.equal(found.weight, model.head.weight.detach().double())
