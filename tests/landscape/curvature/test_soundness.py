"""The code of model and loss is checked once for all scopes, the samples of each scope anew."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature import operator, soundness
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import conv_net, mlp, toy_data

SHORT = SpectrumConfig(steps=4, probes=1)


@pytest.fixture
def compared(monkeypatch):
    """Sizes of the batches whose products are compared with finite differences."""
    sizes, compare = [], soundness.compare_with_differences

    def watched(model, loss, batch, names, layout):
        sizes.append(batch.size)
        return compare(model, loss, batch, names, layout)

    monkeypatch.setattr(soundness, "compare_with_differences", watched)
    return sizes


def test_products_are_compared_once_for_all_scopes(compared):
    found = spectrum(Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3))), SHORT, scopes="classes")
    assert len(found.scope) == 3
    assert compared == [8, 1]


class Lengths:
    """Sequences, those of the last class longer than the others'."""

    def __init__(self):
        self.labels = torch.tensor([0] * 4 + [1] * 3 + [2] * 3)
        generator = torch.Generator().manual_seed(0)
        self.rows = [
            torch.randn(3 + int(c == 2), 4, generator=generator) for c in self.labels.tolist()
        ]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index], int(self.labels[index])


def padded(items):
    rows, labels = zip(*items, strict=True)
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), torch.tensor(labels)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return torch.tanh(self.layer(x)).mean(dim=1)


def test_samples_of_other_shapes_are_compared_anew(compared):
    data = DataLoader(Lengths(), batch_size=4, collate_fn=padded)
    spectrum(Subject(Pooled(), data), SHORT, scopes="classes")
    assert compared == [4, 1, 3, 1]


class RedrawnTail(TensorData):
    def batches(self, indices, batch_size):
        for inputs, targets in super().batches(indices, batch_size):
            yield inputs + torch.rand(len(inputs), 1) * (targets == 2)[:, None], targets


def test_a_later_scope_whose_samples_are_drawn_anew_is_refused():
    data = toy_data((3,), (9, 5, 3))
    redrawn = RedrawnTail(data.inputs, data.labels)
    with pytest.raises(InputError, match="came out differently the second time"):
        spectrum(Subject(mlp(outputs=3), redrawn), SHORT, scopes="classes")


def test_a_later_scope_whose_loss_has_no_gradient_is_refused():
    def loss(outputs, labels):
        each = nn.functional.cross_entropy(outputs, labels, reduction="none")
        return each.detach() if (labels == 2).all() else each

    subject = Subject(mlp(outputs=3), toy_data((3,), (9, 5, 3)), loss)
    with pytest.raises(InputError, match="no gradient"):
        spectrum(subject, SHORT, scopes="classes")


def test_one_copy_in_float64_certifies_all_scopes(monkeypatch):
    copies, copied = [], operator.evaluation_copy

    def watched(model, dtype=torch.float32, bn="eval"):
        copies.append(dtype)
        return copied(model, dtype, bn)

    monkeypatch.setattr(operator, "evaluation_copy", watched)
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(40 * torch.eye(3))
        model.bias.zero_()
    data = TensorData(torch.eye(3).repeat(3, 1), torch.arange(3).repeat(3))
    found = spectrum(Subject(model, data), SHORT, scopes="classes")
    assert (found.loss < 1e-6).all()
    assert copies.count(torch.float64) == 1


def test_a_scopes_numbers_do_not_depend_on_those_before_it():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3)))
    alone = spectrum(subject, SHORT, scopes="class/2", dtype=torch.float64)
    among = spectrum(subject, SHORT, scopes="classes", dtype=torch.float64)
    assert among.lambda_max[2] == alone.lambda_max[0]
    assert among.lambda_min[2] == alone.lambda_min[0]
