"""A sample's loss is its own in every analysis, or the numbers are refused as those of batches."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import landscape
from landscape import PathConfig, SharpnessConfig, SpectrumConfig, Subject, TensorData
from landscape.errors import DataWarning, InputError
from landscape.subject.loss import Loss
from tests.oracles import mlp, toy_data

SHORT = SpectrumConfig(steps=2, probes=1, trace_probes=0)
ANALYSES = {
    "spectrum": lambda s: landscape.spectrum(s, SHORT, scopes="overall"),
    "gradients": landscape.gradients,
    "gradient noise": landscape.gradient_noise,
    "surface": lambda s: landscape.surface(s, points=3),
    "path": lambda s: landscape.path(
        s, PathConfig(points=3, align="none"), to=landscape.subject.evaluation_copy.copied(s.model)
    ),
    "sharpness": lambda s: landscape.sharpness(s, SharpnessConfig(draws=1, perturbed="all")),
    "operator": landscape.operator,
}
REFUSED = "the result would depend on the batches"


class Sequences(Dataset):
    """Rows of unlike lengths, two classes."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        lengths = torch.randint(2, 9, (40,), generator=generator).tolist()
        self.rows = [torch.randn(n, 3, generator=generator).double() for n in lengths]
        self.targets = [k % 2 for k in range(40)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index], self.targets[index]


def padded(items):
    rows, labels = zip(*items, strict=True)
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), torch.tensor(labels)


class Pooled(nn.Module):
    """A mean over the places: of all, padding included, or of those that hold something."""

    def __init__(self, *, masked):
        super().__init__()
        self.layer, self.masked = mlp(), masked

    def forward(self, x):
        held = (x != 0).any(dim=2) if self.masked else torch.ones(x.shape[:2], dtype=torch.bool)
        return (self.layer(x) * held[..., None]).sum(dim=1) / held.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", [*ANALYSES, "accuracy"])
def test_a_loss_that_depends_on_padding_is_refused(name):
    data = DataLoader(Sequences(), batch_size=8, collate_fn=padded)
    run = (ANALYSES | {"accuracy": landscape.accuracy})[name]
    with pytest.raises(InputError, match=REFUSED):
        run(Subject(Pooled(masked=False), data))


def test_padding_that_is_left_out_changes_nothing():
    data = DataLoader(Sequences(), batch_size=8, collate_fn=padded)
    model = Pooled(masked=True)
    each = [F.cross_entropy(model(row[None]), torch.tensor([label])) for row, label in data.dataset]
    expected = float(torch.stack(each).mean().detach())
    subject = Subject(model, data)
    assert ANALYSES["spectrum"](subject).loss == pytest.approx(expected, rel=1e-12)
    found = ANALYSES["surface"](subject).scope_loss("overall")[1, 1]
    assert found == pytest.approx(expected, rel=1e-12)
    assert landscape.accuracy(subject, batch_size=4).confusion.sum() == 40


@pytest.mark.parametrize("name", ANALYSES)
def test_a_loss_of_the_hardest_samples_of_a_batch_is_refused(name):
    """Of a few samples all count, so that only a batch as it is read shows it."""

    def hardest(outputs, labels):
        each = F.cross_entropy(outputs, labels, reduction="none")
        kept = each.topk(min(10, len(each))).values.min()
        return each * (each >= kept)

    with pytest.raises(InputError, match=REFUSED):
        ANALYSES[name](Subject(mlp(), toy_data((3,), (30, 30)), hardest))


@pytest.mark.parametrize("name", [n for n in ANALYSES if n not in {"spectrum", "operator"}])
def test_norms_of_the_batch_are_refused(name):
    norm = nn.BatchNorm1d(3, track_running_stats=False).double()
    with pytest.raises(InputError, match=REFUSED):
        ANALYSES[name](Subject(nn.Sequential(norm, mlp()), toy_data((3,), (20, 20))))


def test_models_that_take_no_single_sample_are_judged():
    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, x):
            return self.net(x[:, :, None].squeeze()).log_softmax(dim=1)

    data = toy_data((3,), (20, 12))
    found, plain = (
        landscape.surface(Subject(model, data), points=3) for model in (Squeezed(), mlp())
    )
    assert found.scope_loss("overall") == pytest.approx(plain.scope_loss("overall"), rel=1e-9)


def test_chance_in_a_model_is_said():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, x):
            return F.dropout(self.net(x), 0.5)

    subject = Subject(Noisy(), toy_data((3,), (20, 12)))
    for name in ("gradients", "surface"):
        with pytest.warns(DataWarning, match="those of one draw"):
            ANALYSES[name](subject)


def test_the_batch_is_compared_once():
    calls = []

    def counted(model, batch):
        calls.append(len(batch[1]))
        return F.cross_entropy(model(batch[0]), batch[1], reduction="none")

    data = TensorData(torch.randn(64, 3).double(), torch.arange(64) % 2)
    landscape.surface(Subject(mlp(), data, Loss.of_batch(counted)), points=9, batch_size=32)
    assert calls.count(1) == 4


class Following(nn.Module):
    """Takes off a mean that follows the batches in eval mode, too: before or after it does."""

    def __init__(self, *, first):
        super().__init__()
        self.net, self.first = mlp(), first
        self.register_buffer("mean", torch.ones(3).double())

    def follow(self, x):
        self.mean.mul_(0.5).add_(x.mean(dim=0), alpha=0.5)

    def forward(self, x):
        if self.first:
            self.follow(x)
        outputs = self.net((x - self.mean) * self.mean)
        if not self.first:
            self.mean = self.mean.clone()
            self.follow(x)
        return outputs


@pytest.mark.parametrize("name", ANALYSES)
def test_buffers_that_follow_the_batches_are_taken_back(name):
    data = toy_data((3,), (20, 12))
    with pytest.raises(InputError, match=REFUSED):
        ANALYSES[name](Subject(Following(first=True), data))
    model = Following(first=False)
    found = ANALYSES[name](Subject(model, data))
    shifted = TensorData(data.inputs - 1, data.labels)
    plain = ANALYSES[name](Subject(model.net, shifted))
    if name == "operator":
        ones = torch.ones(found.size, 1).double()
        assert torch.allclose(found.matmat(ones), plain.matmat(ones), rtol=1e-12)
        return
    for field in ("loss", "start", "norm", "lambda_max", "noise"):
        if hasattr(found, field):
            assert getattr(found, field) == pytest.approx(getattr(plain, field), rel=1e-9), field
    assert model.mean.tolist() == [1, 1, 1]
