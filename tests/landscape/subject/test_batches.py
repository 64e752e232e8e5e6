"""Batches of any form, against the dense Hessian of the same model called by hand."""

from collections import UserDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import landscape
from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.batch import Batch
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.landscape.every_analysis import ANALYSES, OF_LOSSES, SETTINGS, analyse
from tests.oracles import dense_hessian

COUNTS = (8, 5, 5)
N = sum(COUNTS)
Y = torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS))
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + Y[:, None]
Z = X[:, :2] ** 2
IDS = torch.randint(0, 9, (N, 5), generator=torch.Generator().manual_seed(1))
MASK = (torch.rand(N, 5, generator=torch.Generator().manual_seed(2)) > 0.3).long()
MASK[:, 0] = 1
IMAGES = X.new_zeros(N, 2, 4, 4).normal_(generator=torch.Generator().manual_seed(3))
Pair = namedtuple("Pair", "x z")


def every_analysis(subject):
    return {name: analyse(name, subject) for name in ANALYSES}


class Items(Dataset):
    def __init__(self, item, **attributes):
        self.item = item
        vars(self).update(attributes)

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.item(i)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.a, self.b, self.head = nn.Linear(4, 3), nn.Linear(2, 3), nn.Linear(3, 3)
        self.double()

    def forward(self, x, z=None):
        return self.head(torch.tanh(self.a(x) + (0 if z is None else self.b(z))))


class Nested(Two):
    def forward(self, given):
        return super().forward(given["first"], given["rest"][0])


class Whole(Two):
    def forward(self, pair):
        return super().forward(pair.x, pair.z)


class Tokens(nn.Module):
    """As transformers' classifiers are: called by keyword, logits among the outputs."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embedding, self.classifier = nn.Embedding(9, 4), nn.Linear(4, 3)
        self.double()

    def forward(self, input_ids=None, attention_mask=None, labels=None, **_options):
        assert labels is None
        mask = attention_mask[..., None].to(self.embedding.weight)
        pooled = torch.tanh((self.embedding(input_ids) * mask).sum(1) / mask.sum(1))
        return SimpleNamespace(logits=self.classifier(pooled), hidden=pooled)


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 3)
        self.double().eval()

    def forward(self, pixel_values, labels=None):
        assert labels is None
        return {"logits": self.head(torch.tanh(self.norm(self.body(pixel_values))).mean((2, 3)))}


def token_item(i):
    return {"input_ids": IDS[i], "attention_mask": MASK[i], "idx": i, "label": int(Y[i])}


def joined(items):
    """As transformers' collators do: a mapping of their own, and 'label' called 'labels'."""
    return UserDict(
        {
            "input_ids": torch.stack([item["input_ids"] for item in items]).numpy(),
            "attention_mask": torch.stack([item["attention_mask"] for item in items]),
            "labels": torch.tensor([item["label"] for item in items]),
        }
    )


CASES = {
    "nested tuple": (Two, Items(lambda i: ((X[i], Z[i]), int(Y[i]))), (X, Z)),
    "flat tuple": (Two, TensorDataset(X, Z, Y), (X, Z)),
    "one of a tuple": (Two, Items(lambda i: ((X[i],), int(Y[i]))), (X,)),
    "mapping": (Two, Items(lambda i: {"x": X[i], "z": Z[i], "target": Y[i]}), (X, Z)),
    "nest": (
        Nested,
        Items(lambda i: ({"first": X[i], "rest": [Z[i]]}, np.array([int(Y[i])]))),
        ({"first": X, "rest": [Z]},),
    ),
    "named tuple": (Whole, TensorData(Pair(X, Z), Y), (Pair(X, Z),)),
    "tokens": (Tokens, Items(token_item), (IDS, MASK)),
    "collated tokens": (Tokens, DataLoader(Items(token_item), collate_fn=joined), (IDS, MASK)),
    "images": (
        Vision,
        Items(lambda i: {"pixel_values": IMAGES[i], "labels": int(Y[i])}),
        (IMAGES,),
    ),
    "one entry": (Two, Items(lambda i: {"features": X[i], "y": int(Y[i])}), (X,)),
}


@pytest.mark.parametrize("case", CASES)
def test_hessians_of_any_batch(case):
    build, data, inputs = CASES[case]
    model = build()

    def loss(outputs):
        logits = outputs if isinstance(outputs, torch.Tensor) else None
        if logits is None:
            logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
        return F.cross_entropy(logits, Y)

    class Called(nn.Module):  # functorch passes one argument
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, given):
            return self.model(*given)

    exact = dense_hessian(Called(), loss, inputs)
    subject = Subject(model, data)
    assert subject.class_counts == COUNTS
    chosen = subject.select_all()
    operator = CurvatureOperator(subject, chosen, dtype=torch.float64, batch_size=5)
    operator.check_deterministic()
    assert torch.allclose(dense(operator), exact, rtol=0, atol=1e-10 * float(exact.abs().max()))


@pytest.mark.parametrize("case", ["nested tuple", "tokens", "images"])
def test_every_analysis_takes_any_batch(case):
    build, data, inputs = CASES[case]
    model = build()
    found = every_analysis(Subject(model, data))
    outputs = model(*inputs)
    logits = outputs if isinstance(outputs, torch.Tensor) else None
    if logits is None:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs.logits
    right = (logits.argmax(1) == Y).double().mean()
    assert found["accuracy"].group[0] == pytest.approx(float(right))
    loss = F.cross_entropy(logits, Y).item()
    assert found["spectrum"].loss[0] == pytest.approx(loss)
    assert found["surface"].scope_loss("overall")[1, 1] == pytest.approx(loss)
    assert found["gradients"].provenance.data_sha256 == found["features"].provenance.data_sha256


def test_a_gauss_newton_matrix_of_named_logits():
    subject = Subject(Tokens(), Items(token_item))
    named = CurvatureOperator(subject, subject.select_all(), curvature="ggn", dtype=torch.float64)

    class Plain(Tokens):
        def forward(self, input_ids, attention_mask):
            return super().forward(input_ids, attention_mask).logits

    plain = Subject(Plain(), TensorData((IDS, MASK), Y))
    same = CurvatureOperator(plain, plain.select_all(), curvature="ggn", dtype=torch.float64)
    assert torch.allclose(dense(named), dense(same), atol=1e-14)


class Fives:
    """Labelled data that come in batches of five, whatever is asked for."""

    labels = Y

    def __init__(self, most=5):
        self.most = most

    def batches(self, indices, _batch_size):
        for part in indices.split(5):
            yield X[part][: self.most], Y[part][: self.most]


def test_data_may_have_batches_of_their_own():
    subject, plain = Subject(Two(), Fives()), Subject(Two(), TensorData(X, Y))
    one, other = (
        CurvatureOperator(s, s.select_all(), dtype=torch.float64, batch_size=8)
        for s in (subject, plain)
    )
    one.check_deterministic()
    assert torch.allclose(dense(one), dense(other), atol=1e-13)
    assert torch.allclose(dense(one), dense(other), atol=1e-13)  # of kept graphs
    assert one.kept_batches == 4
    for name in ("accuracy", "gradients", "features", "surface", "sharpness", "path"):
        mine, theirs = (analyse(name, s) for s in (subject, plain))
        for key, value in vars(theirs).items():
            if key != "provenance" and getattr(value, "dtype", None) == np.float64:
                np.testing.assert_allclose(getattr(mine, key), value, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", ANALYSES)
def test_samples_that_are_left_out_are_missed(name):
    with pytest.raises(InputError, match=r"the data gave \d+ of \d+ samples asked for"):
        analyse(name, Subject(Two(), Fives(most=4)))


def test_rows_of_a_batch():
    shared = torch.ones(2, 2)
    batch = Batch({"x": X, "shared": shared}, [Y], torch.arange(N) + 100)
    part = batch.rows(torch.tensor([4, 2]))
    assert torch.equal(part[0]["x"], X[[4, 2]])
    assert part[0]["shared"] is shared
    assert part.samples.tolist() == [104, 102]
    assert part.size == 2
    assert part.described() == "samples 104, 102, inputs (2, 4) of float64, (2, 2) of float32"
    with pytest.raises(InputError, match="without a tensor of one row a sample"):
        _ = Batch("text", "label").size


def test_data_of_tasks_without_classes():
    """A regression is one class; a multi-label task is addressed by the classes it lists."""
    wanted = X.sum(dim=1)
    regression = Subject(
        nn.Linear(4, 2).double(),
        Items(lambda i: (X[i], wanted[i]), targets=[0] * N),
        lambda outputs, t: (outputs[:, 0] - t) ** 2,
    )
    one = CurvatureOperator(regression, regression.select_all(), dtype=torch.float64)
    exact = 2 * torch.cat([X, torch.ones(N, 1).double()], dim=1)
    matrix = dense(one)[[0, 1, 2, 3, 8]][:, [0, 1, 2, 3, 8]]
    assert torch.allclose(matrix, exact.T @ exact / 2 / N, atol=1e-12)
    with pytest.raises(InputError, match="a regression has no accuracy"):
        landscape.accuracy(regression)
    several = Subject(
        Two(),
        Items(lambda i: (X[i], F.one_hot(Y[i], 3).double()), targets=Y.tolist()),
        lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").mean(1),
    )
    found = every_analysis(several)
    assert found["accuracy"].group[0] == pytest.approx(
        float((Two()(X).argmax(1) == Y).double().mean())
    )


class PerPixel(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(2, 3, 1)
        self.double()

    def forward(self, x):
        return self.body(x)


def test_segmentation():
    classes = (IMAGES[:, 0] > 0).long()
    data = Items(lambda i: (IMAGES[i], classes[i]), targets=Y.tolist())

    def pixels(outputs, targets):
        return F.cross_entropy(outputs, targets, reduction="none").mean((1, 2))

    model = PerPixel()
    subject = Subject(model, data, pixels)
    exact = dense_hessian(model, lambda out: pixels(out, classes).mean(), IMAGES)
    found = landscape.spectrum(subject, SETTINGS["spectrum"], scopes="overall")
    assert found.lambda_max[0] == pytest.approx(float(torch.linalg.eigvalsh(exact)[-1]), rel=1e-6)
    expected = pytest.approx(pixels(model(IMAGES), classes).mean().item())
    assert landscape.surface(subject, SETTINGS["surface"]).scope_loss("overall")[1, 1] == expected
    assert landscape.sharpness(subject, SETTINGS["sharpness"]).start[0] == expected
    for name in ("accuracy", "features", "similarity"):
        with pytest.raises(InputError, match=r"outputs \(16, 3, 4, 4\)|no linear layer"):
            getattr(landscape, name)(subject)
    with pytest.raises(InputError, match=r"shape \(8, 3, 4, 4\); the cross-entropy by default"):
        landscape.spectrum(Subject(model, data))


def test_logits_of_tokens_need_a_loss():
    model, targets = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9)), IDS.roll(1, 1)
    data = TensorData(IDS, Y, targets)
    for name in (*OF_LOSSES, "accuracy"):
        with pytest.raises(InputError, match=r"\(\d+, 5, 9\)"):
            analyse(name, Subject(model, data))

    def tokens(outputs, targets):
        each = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
        return each.view(len(targets), -1).mean(1)

    found = landscape.spectrum(Subject(model, data, tokens), SETTINGS["spectrum"])
    assert found.loss[0] == pytest.approx(tokens(model(IDS), targets).mean().item(), rel=1e-5)
