"""Models that cache, cast, lock, stash or route: right numbers, or one sentence."""

import functools
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint as checkpointing
from torch.utils.checkpoint import checkpoint
from torch.utils.data import TensorDataset

import landscape
from landscape.config import GradientsConfig, SharpnessConfig, SpectrumConfig, SurfaceConfig
from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.precise import Precise
from landscape.subject.subject import Subject
from tests.landscape.every_analysis import OF_LOSSES, analyse
from tests.oracles import central_differences, conv_net, dense_hessian, toy_data

DATA = toy_data((4,), (7, 5, 4))
IMAGES = toy_data((2, 5, 5), (7, 5, 4))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def operator_of(model, data=DATA, **options):
    subject = Subject(model, data)
    options = {"dtype": torch.float64, "batch_size": 5} | options
    operator = CurvatureOperator(subject, subject.select_all(), **options)
    operator.check_deterministic()
    return operator


def same_matrix(model, like, data=DATA, within=1e-10, **options):
    def loss(outputs):
        return F.cross_entropy(outputs, data.labels)

    exact = dense_hessian(like.double().eval(), loss, data.inputs)
    found = dense(operator_of(model, data, **options)).double()
    assert float((found - exact).abs().max()) <= within * float(exact.abs().max())


class Biased(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.bias = nn.Parameter(torch.randn(3))
        self.register_buffer("places", torch.tensor([0, 1, 2, 0, 1, 2]))
        self.double()

    def biases(self):
        return self.bias[self.places]

    def forward(self, x):
        return self.last(torch.tanh(self.first(x) + self.biases()))


class Caching(Biased):
    """As LeViT keeps its attention biases in eval mode."""

    def __init__(self):
        super().__init__()
        self.cache = {}

    def biases(self):
        if self.training:
            return super().biases()
        if "cpu" not in self.cache:
            self.cache["cpu"] = super().biases()
        return self.cache["cpu"]

    def train(self, mode=True):
        super().train(mode)
        if mode:
            self.cache = {}
        return self


class Lazily(Biased):
    ready = False

    def biases(self):
        if not self.ready:
            self.kept, self.ready = super().biases(), True
        return self.kept


class Stale(Caching):
    def train(self, mode=True):
        return nn.Module.train(self, mode)


class Memoised(Biased):
    @functools.cache  # noqa: B019 - as people write it
    def biases(self):
        return self.bias[self.places]


def used(model, *, recorded=False):
    model.eval()
    with torch.set_grad_enabled(recorded):
        model(DATA.inputs)
    return model


@pytest.mark.parametrize(
    "build",
    [
        Caching,
        Lazily,
        lambda: used(Caching()),
        lambda: used(Caching(), recorded=True),
    ],
    ids=["dictionary", "attribute", "filled", "filled with a graph"],
)
def test_caches_follow_the_parameters(build):
    model, plain = seeded(build), seeded(Biased)
    same_matrix(model, plain)
    one, other = Subject(model, DATA), Subject(plain, DATA)
    line, ascent = SurfaceConfig(points=3), SharpnessConfig(draws=1, perturbed="all")
    np.testing.assert_array_equal(
        landscape.surface(one, line).loss, landscape.surface(other, line).loss
    )
    np.testing.assert_array_equal(
        landscape.sharpness(one, ascent).sam_sharpness,
        landscape.sharpness(other, ascent).sam_sharpness,
    )
    np.testing.assert_array_equal(landscape.gradients(one).norm, landscape.gradients(other).norm)


@pytest.mark.parametrize("name", OF_LOSSES)
@pytest.mark.parametrize(
    "build",
    [lambda: used(Stale()), lambda: used(Stale(), recorded=True), Memoised],
    ids=["filled", "filled with a graph", "memoised"],
)
def test_caches_out_of_reach_are_refused(build, name):
    with pytest.raises(InputError, match=r"earlier pass|cannot be differentiated"):
        analyse(name, Subject(seeded(build), DATA))


def test_passes_leave_the_copy_as_it_was():
    """What was kept is no part of the copy, and counts that hold no tensor go on."""

    class Counting(Lazily):
        passes = 0

        def forward(self, x):
            self.passes += 1
            return super().forward(x)

    class Silent(Biased):
        passes = 0

        def forward(self, x):
            self.passes += 1
            return super().forward(x)

    for build, passes in ((Counting, 0), (Silent, 1)):
        subject = Subject(build(), DATA)
        copied = evaluation_copy(subject.model, torch.float64)
        subject.loss.per_sample(copied, (DATA.inputs, DATA.labels))
        assert "kept" not in vars(copied)
        assert copied.passes == passes


class Locked(Biased):
    def __init__(self):
        super().__init__()
        self.lock, self.more = threading.Lock(), {"again": [threading.RLock()]}

    def forward(self, x):
        with self.lock, self.more["again"][0]:
            self.last_output = super().forward(x)
            self.seen = [self.last_output * 2]
        return self.last_output


def test_locks_and_stashed_activations():
    model = used(seeded(Locked), recorded=True)
    kept = model.last_output
    same_matrix(model, seeded(Biased))
    assert model.last_output is kept
    assert landscape.accuracy(Subject(model, DATA)).confusion.sum() == len(DATA.labels)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils:FutureWarning")
def test_old_weight_norm():
    def build():
        first = nn.utils.weight_norm(nn.Linear(4, 6))
        return nn.Sequential(first, nn.Tanh(), nn.Linear(6, 3)).double()

    def loss(outputs):
        return F.cross_entropy(outputs, DATA.labels)

    model = used(seeded(build), recorded=True)
    exact = central_differences(seeded(build), loss, DATA.inputs)
    found = dense(operator_of(model))
    assert float((found - exact).abs().max()) < 1e-7 * float(exact.abs().max())


class HardFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.double()

    def forward(self, x):
        h = self.first(x)
        return self.last(F.hardswish(h * 1, inplace=True) + h * F.hardsigmoid(h))


class ByClamps(HardFunctions):
    def forward(self, x):
        h = self.first(x)
        return self.last(2 * h * (h + 3).clamp(0, 6) / 6)


def test_hard_functions_have_second_derivatives():
    same_matrix(seeded(HardFunctions), seeded(ByClamps))


class Checkpointed(nn.Module):
    """A part is computed once more in the backward pass."""

    again = True

    def __init__(self):
        super().__init__()
        self.first, self.hard, self.last = nn.Linear(4, 6), nn.Hardswish(), nn.Linear(6, 3)
        self.double()

    def body(self, x):
        return self.hard(self.first(x))

    def forward(self, x):
        h = checkpoint(self.body, x, use_reentrant=False) if self.again else self.body(x)
        return self.last(h)


class Straight(Checkpointed):
    again = False

    def body(self, x):
        h = self.first(x)
        return h * (h + 3).clamp(0, 6) / 6


def test_substitutes_serve_checkpointed_layers():
    same_matrix(seeded(Checkpointed), seeded(Straight))


class CheckpointedFunctions(Checkpointed):
    """As many tensors are saved by the function as by what it is computed by, or not."""

    def body(self, x):
        h = self.first(x)
        return F.hardswish(h) + F.hardsigmoid(h).half() + F.log_softmax(h.float(), dim=1)


class StraightFunctions(Checkpointed):
    again = False

    def body(self, x):
        h = self.first(x)
        hard = (h + 3).clamp(0, 6) / 6
        return h * hard + hard + h - h.logsumexp(dim=1, keepdim=True)


def test_functions_in_checkpointed_layers_are_computed_alike_again():
    theirs = checkpointing.noop_context_fn
    same_matrix(seeded(CheckpointedFunctions), seeded(StraightFunctions))
    assert checkpointing.noop_context_fn is theirs
    model = seeded(CheckpointedFunctions).float()
    same_matrix(model, seeded(StraightFunctions), within=1e-5, dtype=torch.float32)


class Sparse(nn.Module):
    def __init__(self, sparse):
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 4, sparse=sparse), nn.Linear(4, 3)
        self.double()

    def forward(self, x):
        h = self.embedding(x.abs().long().clamp(max=4))
        return self.head(torch.tanh(h.mean(1)))


def test_sparse_embeddings():
    same_matrix(seeded(lambda: Sparse(True)), seeded(lambda: Sparse(False)))
    one, other = (Subject(seeded(lambda s=s: Sparse(s)), DATA) for s in (True, False))
    np.testing.assert_array_equal(landscape.gradients(one).norm, landscape.gradients(other).norm)


class Mixed(nn.Module):
    """Casts within itself, in each of the ways people do."""

    casts = True

    def __init__(self):
        super().__init__()
        self.body, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.scale, self.head = nn.Parameter(torch.ones(4)), nn.Linear(4, 3)
        self.norm.running_mean.normal_()

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.casts):
            h = self.norm(self.body(x))
        h = torch.tanh(h.float() if self.casts else h).mean((2, 3))
        kind = h.dtype
        h = h.to(torch.float32).half() if self.casts else h
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
        h = torch.softmax(h, -1, dtype=torch.float32 if self.casts else None)
        return self.head(self.scale * h.to(kind))


class Uniform(Mixed):
    casts = False


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_models_that_cast_are_computed_in_one_precision(dtype):
    model, plain = seeded(Mixed).to(dtype), seeded(Uniform)
    within = 1e-10 if dtype == torch.float64 else 1e-5
    same_matrix(model, plain, IMAGES, within, dtype=dtype)
    one, other = Subject(model, IMAGES), Subject(seeded(Uniform).to(dtype), IMAGES)
    for name in ("surface", "gradients"):
        settings = [SurfaceConfig(points=3)] if name == "surface" else []
        mine, theirs = (getattr(landscape, name)(s, *settings).loss for s in (one, other))
        np.testing.assert_allclose(mine, theirs, rtol=1e-12 if dtype == torch.float64 else 1e-6)


class Low(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
        self.kind = dtype

    def forward(self, x):
        return self.net(x.to(self.kind))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
def test_models_of_half_precision(dtype):
    """They are judged in single precision at their own weights, by every analysis."""
    model = seeded(lambda: Low(dtype))
    plain = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    plain.load_state_dict({n: p.double() for n, p in model.net.state_dict().items()})
    same_matrix(model, plain, within=1e-5, dtype=torch.float32)
    subject = Subject(model, DATA)
    right = (plain(DATA.inputs).argmax(1) == DATA.labels).double().mean()
    assert landscape.accuracy(subject).group[0] == pytest.approx(float(right))
    for name in ("features", "gradients"):
        assert getattr(landscape, name)(subject).provenance.dtype == "float32"


def test_casts_to_a_higher_precision_stay():
    x = torch.ones(2)
    with Precise(torch.float32):
        assert x.double().dtype == torch.float64
        assert x.half().dtype == x.to(torch.bfloat16).dtype == torch.float32
        assert x.view(torch.int32).view(torch.float32).dtype == torch.float32
        assert torch.zeros(2, dtype=torch.half).dtype == torch.float32
        assert x.long().dtype == torch.int64
        assert x.type(torch.HalfTensor).dtype == x.type("torch.BFloat16Tensor").dtype == x.dtype
        assert x.type(torch.DoubleTensor).dtype == x.type(torch.float64).dtype == torch.float64
        assert x.type(torch.LongTensor).dtype == torch.int64
        assert x.type() == "torch.FloatTensor"
    with Precise(torch.float64):
        assert x.double().type(torch.FloatTensor).dtype == torch.float64


class Routing(nn.Module):
    """BatchNorm is passed by for images that the first eight samples do not hold."""

    rare = True

    def __init__(self):
        super().__init__()
        self.body, self.norm, self.head = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.double()

    def forward(self, x):
        h = self.body(x)
        past = (x.flatten(1).mean(1) > 1.5)[:, None, None, None]
        h = torch.where(past, h, self.norm(h)) if past.any() else self.norm(h)
        return self.head(torch.tanh(h).mean((2, 3)))


def test_folding_is_checked_in_every_batch():
    past = IMAGES.inputs.flatten(1).mean(1) > 1.5
    order = torch.cat([IMAGES.labels.eq(c).nonzero().flatten() for c in range(3)])
    assert past.any()
    assert not past[order[:8]].any()
    model = seeded(Routing)
    same_matrix(model, seeded(Routing), IMAGES, batch_size=16)
    same_matrix(model, seeded(Routing), IMAGES, batch_size=4, memory_budget=0.0)


def test_folding_stays_where_it_is_right():
    operator = operator_of(conv_net(), toy_data((1, 4, 4), (7, 5, 4)))
    dense(operator)
    assert vars(operator._model[0])["forward"].args[1] is operator._model[1]


class OwnFlash(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(2, 3)

    def forward(self, x):
        q = self.first(x).view(-1, 1, 2, 2)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return self.head(F.scaled_dot_product_attention(q, q, q).mean((1, 2)))


def test_attention_without_second_derivative_is_one_sentence():
    subject = Subject(OwnFlash().float(), DATA)
    with pytest.raises(InputError, match="cannot be differentiated twice"):
        landscape.spectrum(subject, SpectrumConfig(steps=3))
    assert landscape.surface(subject, SurfaceConfig(points=2)).done.all()


@pytest.mark.parametrize("model", [lambda x: x, "resnet18", {}], ids=["function", "name", "dict"])
def test_models_are_modules(model):
    with pytest.raises(InputError, match=r"the model is a \w+; give a torch.nn.Module"):
        Subject(model, DATA)


def test_losses_that_differentiate_themselves():
    """A penalty on the gradient by inputs, and one on a forward derivative."""
    model = conv_net(classes=3)
    data = toy_data((1, 4, 4), (5, 4, 3))

    def penalised(model, batch):
        inputs, targets = batch
        inputs = inputs.detach().requires_grad_()
        each = F.cross_entropy(model(inputs), targets, reduction="none")
        (slope,) = torch.autograd.grad(each.sum(), inputs, create_graph=True)
        return each + slope.pow(2).flatten(1).sum(1)

    def pushed(model, batch):
        inputs, targets = batch

        def each(given):
            return F.cross_entropy(model(given), targets, reduction="none")

        value, along = torch.func.jvp(each, (inputs,), (inputs.cos(),))
        return value + along**2

    for whole in (penalised, pushed):
        subject = Subject(model, data, landscape.Loss.of_batch(whole))
        operator = CurvatureOperator(
            subject, subject.select_all(), dtype=torch.float64, batch_size=5
        )
        operator.check_deterministic()
        v = torch.randn(operator.size, 2, generator=torch.Generator().manual_seed(0)).double()
        plain = conv_net(classes=3).eval()
        parameters = list(plain.parameters())
        loss = whole(plain, (data.inputs, data.labels)).mean()
        slopes = torch.autograd.grad(loss, parameters, create_graph=True)
        slope = torch.cat([s.flatten() for s in slopes])
        for k in range(2):
            rows = torch.autograd.grad(slope @ v[:, k], parameters, retain_graph=True)
            exact = torch.cat([row.flatten() for row in rows])
            assert torch.allclose(operator.matmat(v)[:, k], exact, rtol=1e-9, atol=1e-12)
        found = landscape.surface(subject, SurfaceConfig(points=3)).scope_loss("overall")[1, 1]
        assert found == pytest.approx(loss.item())


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_gradients_need_a_path(mode):
    class Cut(Biased):
        def biases(self):
            return super().biases().detach()

    settings = GradientsConfig(mode=mode, batches=0 if mode == "eval" else 2)
    with pytest.raises(InputError, match="'bias' and has no gradient"):
        landscape.gradients(Subject(Cut(), DATA), settings)
    with pytest.raises(InputError, match="'bias' and has no gradient"):
        landscape.sharpness(Subject(Cut(), DATA), SharpnessConfig(perturbed="all"))


class Closing(nn.Module):
    """Its activation still reads the original's parameter when the module is copied."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.ones(()))
        self.activation = lambda h: torch.tanh(self.scale * h)
        self.double()

    def forward(self, x):
        return self.last(self.activation(self.first(x)))


@pytest.mark.parametrize("name", OF_LOSSES)
def test_models_that_close_over_themselves_are_refused(name):
    with pytest.raises(InputError, match="the loss reads the original's parameter 'scale'"):
        analyse(name, Subject(Closing(), DATA))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_scripted_models_are_one_sentence():
    model = torch.jit.script(nn.Sequential(nn.Linear(4, 3)).double())
    for name in ("spectrum", "accuracy", "features"):
        with pytest.raises(InputError, match="is a TorchScript module"):
            getattr(landscape, name)(Subject(model, DATA))


class Numbered(Biased):
    """Holds an integer among its parameters, before the real ones."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(2), requires_grad=False)
        self._parameters = {"level": self.level} | self._parameters

    def forward(self, x):
        return super().forward(x) * self.level / 2


def test_integers_among_parameters():
    same_matrix(seeded(Numbered), seeded(Biased))
    one, other = Subject(seeded(Numbered), DATA), Subject(seeded(Biased), DATA)
    keys = {"accuracy": "group", "features": "separation", "gradients": "norm"}
    for name in ("accuracy", "surface", "features", "gradients", "path"):
        mine, theirs = (analyse(name, s) for s in (one, other))
        key = keys.get(name, "loss")
        np.testing.assert_allclose(getattr(mine, key), getattr(theirs, key), rtol=1e-12)


def test_frozen_models():
    subject = Subject(seeded(Biased).requires_grad_(False), DATA)
    for name in OF_LOSSES:
        with pytest.raises(InputError, match="every parameter of the model is frozen"):
            analyse(name, subject)
    assert landscape.accuracy(subject).confusion.sum() == len(DATA.labels)


def test_criteria_that_hold_tensors_of_single_precision():
    """As functions with class weights do."""
    weight = torch.tensor([1.0, 2.0, 0.5])
    model = seeded(Biased)
    held = nn.CrossEntropyLoss(weight, reduction="none")
    subject = Subject(model, DATA, lambda outputs, targets: held(outputs, targets))
    operator = CurvatureOperator(subject, subject.select_all(), dtype=torch.float64)
    operator.check_deterministic()
    double = nn.CrossEntropyLoss(weight.double(), reduction="none")
    exact = dense_hessian(model, lambda out: double(out, DATA.labels).mean(), DATA.inputs)
    assert torch.allclose(dense(operator), exact, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool])
def test_labels_of_other_integer_types(dtype):
    model, labels = seeded(Biased), DATA.labels.clamp(max=1)
    for analysis, key in (("spectrum", "loss"), ("accuracy", "confusion"), ("features", "quality")):
        found = [
            getattr(getattr(landscape, analysis)(Subject(model, data)), key)
            for data in (
                TensorData(DATA.inputs, labels),
                TensorData(DATA.inputs, labels.to(dtype)),
                TensorDataset(DATA.inputs, labels.to(dtype)),
            )
        ]
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[0])
