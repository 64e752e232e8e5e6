"""Losses as they are given: modules of PyTorch, and what the default needs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import landscape
from landscape.config import SpectrumConfig
from landscape.errors import InputError
from landscape.subject.subject import Subject
from tests.oracles import dense_hessian, toy_data

DATA = toy_data((4,), (7, 5, 4))
WEIGHT = torch.tensor([1.0, 2.0, 10.0])
CASES = [
    (nn.CrossEntropyLoss, {"weight": WEIGHT}),
    (nn.CrossEntropyLoss, {"ignore_index": 1}),
    (nn.CrossEntropyLoss, {"label_smoothing": 0.2}),
    (nn.NLLLoss, {"weight": WEIGHT, "ignore_index": 0}),
]


class LogShares(nn.Sequential):
    def forward(self, x):
        return super().forward(x).log_softmax(dim=1)


def net(kind=nn.Sequential):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(nn.Linear(4, 3)).double()


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(("module", "given"), CASES)
def test_modules_of_pytorch_mean_what_they_mean_over_all_samples(module, given, reduction):
    model = net(nn.Sequential if module is nn.CrossEntropyLoss else LogShares)
    # batches of three: a mean of means would not be the mean over all
    found = landscape.spectrum(
        Subject(model, DATA, module(**given, reduction=reduction)),
        SpectrumConfig(steps=20),
        scopes="overall",
        batch_size=3,
    )
    own = {name: v.double() if name == "weight" else v for name, v in given.items()}

    def loss(outputs):
        return module(**own)(outputs, DATA.labels)

    exact = torch.linalg.eigvalsh(dense_hessian(model, loss, DATA.inputs))
    assert found.loss[0] == pytest.approx(loss(model(DATA.inputs)).item(), rel=1e-9)
    assert found.lambda_max[0] == pytest.approx(float(exact[-1]), rel=1e-6)


def test_a_module_derived_from_one_of_pytorch_is_taken_as_it_is():
    class Doubled(nn.CrossEntropyLoss):
        def forward(self, outputs, targets):
            return 2 * F.cross_entropy(outputs, targets, reduction="none")

    model = net()
    found = Subject(model, DATA, Doubled()).loss.per_sample(model, (DATA.inputs, DATA.labels))
    right = 2 * F.cross_entropy(model(DATA.inputs), DATA.labels, reduction="none")
    torch.testing.assert_close(found, right)


@pytest.mark.parametrize("scope", ["class/0", "overall"])
def test_one_logit_needs_another_loss(scope):
    data = toy_data((4,), (7, 5))
    model = nn.Linear(4, 1).double()
    with pytest.raises(InputError, match=r"one logit a sample, \(\d+, 1\).* two at least"):
        landscape.spectrum(Subject(model, data), SpectrumConfig(steps=3), scopes=scope)

    def binary(outputs, targets):
        target = targets.to(outputs.dtype)
        return F.binary_cross_entropy_with_logits(outputs[:, 0], target, reduction="none")

    found = landscape.spectrum(Subject(model, data, binary), SpectrumConfig(steps=3), scopes=scope)
    assert found.loss[0] > 0
