"""Items of anybody's dataset, their labels, and the errors of the code that gives them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import landscape
from landscape.errors import InputError
from landscape.subject.data import TensorData, dataset_data
from landscape.subject.items import class_names_of
from landscape.subject.subject import Subject
from tests.landscape.every_analysis import ANALYSES, OF_LOSSES, analyse
from tests.oracles import mlp

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
CPU = torch.device("cpu")


def net():
    return mlp(outputs=3).float()


class Items(Dataset):
    def __init__(self, item, **attributes):
        self.item = item
        vars(self).update(attributes)

    def __len__(self):
        return len(Y)

    def __getitem__(self, i):
        return self.item(i)


def damaged(i):
    if i == 37:
        raise OSError("image file is truncated")
    return X[i], int(Y[i])


def ragged(i):
    return X[i, : 3 - (i == 37)], int(Y[i])


@pytest.mark.parametrize(
    "dataset",
    [
        Items(lambda i: (X[i], np.array([int(Y[i])]))),
        Items(lambda i: (X[i], int(Y[i])), labels=Y.numpy()[:, None]),
        Items(lambda i: (X[i], Y[i], "path", i)),
        Items(lambda i: {"image": X[i], "path": str(i), "label": Y[i]}),
        Items(lambda i: (X[i], Y[i] == 1), targets=[int(y == 1) for y in Y]),
        TensorDataset(X, F.one_hot(Y, 3).float(), Y),
    ],
    ids=["column", "listed column", "more entries", "mapping", "booleans", "soft and hard"],
)
def test_labels_that_are_clear(dataset):
    found = dataset_data(dataset, CPU)
    assert torch.equal(found.labels, Y if len(found.labels.unique()) == 3 else (Y == 1).long())
    _, targets = next(found.batches(torch.tensor([5, 2]), 2))
    assert torch.equal(targets.long(), found.labels[[5, 2]])


DOMAIN = torch.arange(40) // 4 % 2


class Domains(nn.Module):
    """Takes an integer beside the inputs."""

    def __init__(self):
        super().__init__()
        self.net, self.shift = net(), nn.Embedding(2, 3)

    def forward(self, x, domain):
        return self.net(x) + self.shift(domain.flatten())


class Perhaps(Domains):
    def forward(self, x, domain=None):
        return self.net(x) if domain is None else super().forward(x, domain)


def three(i):
    return X[i], DOMAIN[i], int(Y[i])


THREES = [
    TensorDataset(X, DOMAIN, Y),
    TensorDataset(X, DOMAIN[:, None], Y),
    (X, DOMAIN, Y),
    Items(three),
    DataLoader(Items(three)),
]


@pytest.mark.parametrize("data", THREES)
def test_a_number_that_the_model_takes_is_no_label(data):
    model = Domains()
    subject = Subject(model, data)
    assert torch.equal(subject.data.labels, Y)
    found = landscape.spectrum(subject, landscape.SpectrumConfig(steps=3), scopes="overall").loss
    assert found[0] == pytest.approx(F.cross_entropy(model(X, DOMAIN), Y).item(), rel=1e-5)


@pytest.mark.parametrize("data", THREES)
def test_which_number_is_the_label_is_not_guessed(data):
    with pytest.raises(InputError, match=r"entries 1 and 2 of the items .* list 'targets'"):
        Subject(Perhaps(), data)


@pytest.mark.parametrize("labels", [Y, DOMAIN])
def test_targets_tell_the_label(labels):
    tensors = TensorDataset(X, DOMAIN, Y)
    tensors.targets = labels.tolist()
    for data in (Items(three, targets=labels), tensors):
        assert torch.equal(Subject(Perhaps(), data).data.labels, labels)


def test_numbers_after_the_label_are_left_out():
    data = TensorDataset(X, Y, torch.arange(40))
    subject = Subject(net(), data)
    assert torch.equal(subject.data.labels, Y)
    right = (net()(X).argmax(1) == Y).double().mean()
    assert landscape.accuracy(subject).group[0] == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (Items(lambda i: (X[i], "cat")), "label of item 0 is 'cat'"),
        (Items(lambda i: (X[i], 0), targets=["cat"] * 40), "labels are strs such as 'cat'"),
        (Items(lambda i: (X[i], 0), targets=np.array(["cat"] * 40)), "labels are str_s such as"),
        (Items(lambda i: {"image": X[i]}), "item 0 of Items holds image and no label"),
        (Items(lambda i: (X[i], X[i], X[i])), r"label of item 0 is tensor\("),
        (TensorDataset(X, Y.float()), r"\(40,\) of torch.float32.*list 'targets'"),
        (TensorData(X, Y.float()), r"\(40,\) of torch.float32; expected one class number"),
        (TensorData(X, Y[:, None]), r"labels are \(40, 1\) for inputs of \[40\] rows"),
        (TensorData(X[:30], Y), r"labels are \(40,\) for inputs of \[30, 40\] rows"),
        (DataLoader(TensorDataset(X, Y), batch_size=None), "makes no batches"),
        (Items(damaged), "item 37 of Items cannot be read: OSError: image file is truncated"),
    ],
)
def test_data_that_cannot_be_used(data, sentence):
    with pytest.raises(InputError, match=sentence):
        Subject(net(), data)


@pytest.mark.parametrize("name", ANALYSES)
def test_errors_of_items_name_the_sample(name):
    subject = Subject(net(), Items(damaged, targets=Y.tolist()))
    with pytest.raises(InputError, match=r"item 37 of Items cannot be read: OSError") as caught:
        analyse(name, subject)
    assert "in damaged" in caught.value.__notes__[0]  # where it was raised


class Together(Items):
    """Reads several items at once, as Hugging Face's datasets do."""

    def __getitems__(self, places):
        return [self.item(i) for i in places]


@pytest.mark.parametrize(
    "data",
    [
        DataLoader(Items(damaged, targets=Y.tolist()), num_workers=1),
        Together(damaged, targets=Y.tolist()),
    ],
    ids=["another process", "several at once"],
)
def test_errors_of_items_are_named_however_they_are_read(data):
    with pytest.raises(InputError, match=r"item 37 of .* cannot be read: OSError"):
        landscape.accuracy(Subject(net(), data))


def test_errors_of_collate_functions_name_the_samples():
    with pytest.raises(
        InputError, match=r"samples 32 … 39 cannot be joined .* RuntimeError: stack"
    ):
        list(dataset_data(Items(ragged), CPU).batches(torch.arange(40), 8))

    def broken(_items):
        raise KeyError("mine")

    loader = DataLoader(TensorDataset(X, Y), collate_fn=broken)
    with pytest.raises(InputError, match=r"cannot be joined .* KeyError: 'mine'"):
        landscape.accuracy(Subject(net(), loader))


class Refusing(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        if (x == X[37]).all(dim=1).any():
            raise ZeroDivisionError("of mine")
        return self.net(x)


@pytest.mark.parametrize("name", ANALYSES)
def test_errors_of_models_name_model_and_samples(name):
    said = r"'Refusing' raised ZeroDivisionError .* on samples .*, inputs \(\d+, 3\) of float32: of"
    with pytest.raises(InputError, match=said):
        analyse(name, Subject(Refusing(), TensorDataset(X, Y)))


@pytest.mark.parametrize("name", OF_LOSSES)
def test_errors_of_losses_name_loss_and_samples(name):
    def mine(outputs, targets):
        if len(targets) > 8:
            raise ArithmeticError("too many")
        return F.cross_entropy(outputs, targets, reduction="none")

    with pytest.raises(InputError, match=r"mine' raised ArithmeticError .* samples .*: too many"):
        analyse(name, Subject(net(), TensorDataset(X, Y), mine))


@pytest.mark.parametrize("name", ANALYSES)
def test_bytes_are_one_sentence(name):
    subject = Subject(net(), TensorDataset((20 * X.abs()).byte(), Y))
    with pytest.raises(InputError, match=r"inputs \(\d+, 3\) of uint8"):
        analyse(name, subject)


def test_bytes_that_a_model_takes():
    class Scaling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            return self.net(x.float() / 20)

    whole = (20 * X.abs()).byte()
    one, other = (
        landscape.spectrum(Subject(model, TensorDataset(inputs, Y)), scopes="overall").lambda_max
        for model, inputs in ((Scaling(), whole), (net(), whole.float() / 20))
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)


class Columns(Dataset):
    """Stands for a dataset of Hugging Face's: columns, named classes, a transform on reading."""

    column_names = ("image", "label")

    def __init__(self, columns=("image", "label")):
        self.columns, self.features = columns, {"label": SimpleNamespace(names=["a", "b", "c"])}

    def select_columns(self, names):
        return Columns(names)

    def with_format(self, kind):
        assert kind is None
        return self

    def __len__(self):
        return len(Y)

    def __getitem__(self, i):
        if isinstance(i, slice):
            assert list(self.columns) == ["label"], "images are not decoded for their labels"
            return {"label": Y.tolist()}
        return {"pixel_values": X[i], "labels": int(Y[i])}


def test_columns_of_labels():
    assert class_names_of(DataLoader(Columns())) == ("a", "b", "c")
    subject = Subject(net(), Columns())
    assert torch.equal(subject.data.labels, Y)
    right = (net()(X).argmax(1) == Y).double().mean()
    assert landscape.accuracy(subject).group[0] == pytest.approx(float(right))
