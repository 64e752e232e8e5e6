"""Curvature is refused where autograd has no path, and right where it once was wrong."""

import pytest
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.landscape.references import operator_of
from tests.oracles import central_differences, toy_data

DATA = toy_data((3,), (6, 5, 4))
IMAGES = toy_data((2, 6, 6), (4, 3, 3))


def body():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)).double()


class Wrapped(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.body, self._forward = body(), forward

    def forward(self, x):
        return self._forward(self.body, x)


def under_no_grad(net, x):
    with torch.no_grad():
        features = net[:2](x)
    return net[2](features)


def under_inference_mode(net, x):
    with torch.inference_mode():
        return net(x)


def by_numpy(net, x):
    features = torch.from_numpy(net[:2](x).detach().numpy())
    return net[2](features)


def reentrant(net, x):
    return net[2](checkpoint(net[:2], x, use_reentrant=True))


def detached_loss(outputs, labels):
    return F.cross_entropy(outputs.detach(), labels, reduction="none")


def zero_one(outputs, labels):
    return (outputs.argmax(dim=1) != labels).double()


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("forward", [under_no_grad, by_numpy, reentrant])
def test_parameters_cut_from_the_graph_are_named(forward):
    operator = operator_of(Subject(Wrapped(forward), DATA))
    with pytest.raises(
        InputError, match=r"depends on 'body\.0\.weight', 'body\.0\.bias' and has no"
    ):
        operator.check_deterministic()


@pytest.mark.parametrize(
    ("model", "loss"),
    [(Wrapped(under_inference_mode), None), (body(), detached_loss), (body(), zero_one)],
)
def test_a_loss_without_gradient_is_refused(model, loss):
    with pytest.raises(InputError, match="no gradient with respect to any parameter"):
        operator_of(Subject(model, DATA, loss)).check_deterministic()


def test_unused_parameters_are_fine():
    model = body()
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    operator_of(Subject(model, DATA)).check_deterministic()
    operator_of(Subject(model, DATA), parameters=("unused",)).check_deterministic()


def test_a_model_without_trainable_parameters_but_the_chosen():
    model = body()
    model[0].requires_grad_(False)
    operator_of(Subject(model, DATA)).check_deterministic()


class Closing(nn.Module):
    """Its activation is a function that closes over the module, and so outlives a copy."""

    def __init__(self):
        super().__init__()
        self.body = body()
        self.scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.activation = lambda h: torch.tanh(self.scale * h)

    def forward(self, x):
        return self.body[2](self.activation(self.body[0](x)))


def hooked():
    model, other = body(), nn.Linear(3, 3).double()
    model.register_forward_hook(lambda _module, _given, output: other(output))
    model[0].register_module("other", other)  # which its own forward does not call
    return model


def replaced():
    model = body()
    model.forward = lambda x: model[2](torch.tanh(model[0](x)))
    return model


@pytest.mark.parametrize("make", [Closing, hooked, replaced])
def test_functions_that_close_over_the_original_are_refused(make):
    operator = operator_of(Subject(make(), DATA), dtype=torch.float64)
    with pytest.raises(InputError, match="reads the original's parameter"):
        operator.check_deterministic()


def test_a_loss_may_have_parameters_of_its_own():
    temperature = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

    def loss(outputs, labels):
        return F.cross_entropy(outputs / temperature, labels, reduction="none")

    operator_of(Subject(body(), DATA, loss)).check_deterministic()


@pytest.mark.parametrize(
    "coupled",
    [
        lambda o: torch.cat([o[:1], o[1:] - 0.5 * o[:1]]),
        lambda o: o - o.mean(dim=0),
        lambda o: o + 0.1 * o.flip(0),
    ],
)
def test_samples_that_see_one_another_are_refused(coupled):
    model = Wrapped(lambda net, x: coupled(net(x)))
    with pytest.raises(InputError, match="depend on the batches"):
        operator_of(Subject(model, DATA)).check_deterministic()


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        (y,) = ctx.saved_tensors
        return slope * (1 - y * y)


def test_an_incomplete_second_derivative_is_called_that():
    model = Wrapped(lambda net, x: net[2](Once.apply(net[0](x))))
    with pytest.raises(InputError, match="second derivative") as error:
        operator_of(Subject(model, DATA)).check_deterministic()
    assert "allow-nondeterministic" not in str(error.value)


def exact(model, data):
    return central_differences(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)


def images(*layers):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(*(layer() for layer in layers)).double().eval()


ONCE_WRONG = {
    "weight_norm": (
        lambda: images(
            lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 5)),
            nn.Tanh,
            lambda: nn.Linear(5, 3),
        ),
        DATA,
    ),
    "weight_norm of a convolution": (
        lambda: images(
            lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)),
            nn.Tanh,
            nn.Flatten,
            lambda: nn.Linear(48, 3),
        ),
        IMAGES,
    ),
    "instance norm with running statistics": (
        lambda: images(
            lambda: nn.Conv2d(2, 3, 3),
            lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
            nn.Tanh,
            nn.Flatten,
            lambda: nn.Linear(48, 3),
        ),
        IMAGES,
    ),
    "hardswish": (
        lambda: images(lambda: nn.Linear(3, 5), nn.Hardswish, lambda: nn.Linear(5, 3)),
        DATA,
    ),
    "hardsigmoid": (
        lambda: images(lambda: nn.Linear(3, 5), nn.Hardsigmoid, lambda: nn.Linear(5, 3)),
        DATA,
    ),
}


@pytest.mark.parametrize("name", ONCE_WRONG)
@pytest.mark.parametrize("batch_size", [1, 256])
def test_second_derivatives_that_pytorch_lacks_or_has_wrong(name, batch_size):
    make, data = ONCE_WRONG[name]
    operator = operator_of(Subject(make(), data), dtype=torch.float64, batch_size=batch_size)
    operator.check_deterministic()
    reference = exact(make(), data)
    assert (dense(operator) - reference).norm() <= 1e-5 * reference.norm()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: torch.compile(m, backend="eager"),
        nn.DataParallel,
        lambda m: nn.Sequential(torch.compile(m, backend="eager")),
    ],
)
def test_wrapped_models_are_the_models_inside(wrap):
    plain = dense(operator_of(Subject(body(), DATA), dtype=torch.float64))
    operator = operator_of(Subject(wrap(body()), DATA), dtype=torch.float64)
    operator.check_deterministic()
    assert torch.equal(dense(operator), plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_lifted(dtype):
    model = body().to(dtype)
    data = TensorData(DATA.inputs.to(dtype), DATA.labels)
    lifted = Subject(body().to(dtype).double(), TensorData(data.inputs.double(), DATA.labels))
    found = dense(operator_of(Subject(model, data), dtype=torch.float64))
    assert torch.equal(found, dense(operator_of(lifted, dtype=torch.float64)))


def complex_parameter():
    model = body()
    model.register_parameter("phase", nn.Parameter(torch.ones(2, dtype=torch.complex64)))
    return model


def reading():
    model = body()
    model.cursor = (line for line in ())  # as of an open file or a connection
    return model


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (complex_parameter, "'phase' is complex"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "'0.weight' has no shape yet"),
        (reading, "cannot be copied"),
    ],
)
def test_models_that_cannot_be_judged_are_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        CurvatureOperator(subject := Subject(make(), DATA), subject.select(subject.scopes()[0]))


def test_errors_of_the_users_code_name_it():
    def broken(_outputs, _labels):
        raise ZeroDivisionError("of mine")

    with pytest.raises(InputError, match=r"broken' raised ZeroDivisionError .*: of mine"):
        operator_of(Subject(body(), DATA, broken)).check_deterministic()
