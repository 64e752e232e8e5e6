"""Convolutions made for products: derivatives against numerical ones, matrices against dense."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

from landscape.curvature.convolutions import prepare_convolutions
from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject
from tests.oracles import conv_net, toy_data

DATA = toy_data((2, 5, 5), (4, 3))


def trained(*layers):
    """Layers in float64, BatchNorm with statistics and parameters that are not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(*(layer() for layer in layers)).double()
        for norm in (m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
            if norm.affine:
                nn.init.normal_(norm.weight, 1.0, 0.2)
                nn.init.normal_(norm.bias)
    return net.eval()


class NormAndTanh(nn.BatchNorm2d):
    """BatchNorm with its activation, as some libraries have it."""

    def forward(self, x):
        return super().forward(x).tanh()


class Standardised(nn.Conv2d):
    """A convolution whose weights are standardised first."""

    def forward(self, x):
        return F.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=self.padding)


class Beside(nn.Module):
    """Features that go around their BatchNorm as well as through it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x):
        features = self.conv(x)
        return self.norm(features).tanh() + features


class Twice(nn.Module):
    """One convolution and one BatchNorm that are used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.conv(self.norm(self.conv(x)).tanh())).tanh()


class Masked(Beside):
    """Features that are read where no derivative goes: by a comparison."""

    def forward(self, x):
        features = self.conv(x)
        return self.norm(features).tanh() * (features > 0)


class Scaled(Beside):
    """Features that are read where no derivative goes: detached."""

    def forward(self, x):
        features = self.conv(x)
        return self.norm(features).tanh() * features.detach().mean(dim=(1, 2, 3), keepdim=True)


class Directly(Beside):
    """A BatchNorm that is called once as a module and once through its forward."""

    def forward(self, x):
        return self.norm.forward(self.norm(self.conv(x)).tanh()).tanh()


class Viewed(nn.Module):
    """Looks at features as another shape, which it can only do if their channels come first."""

    def forward(self, x):
        return x.view(len(x), -1)


class Doubled(nn.Conv2d):
    """A convolution with a hook that changes what it gives."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.register_forward_hook(lambda _module, _inputs, output: 2 * output)


def head(inputs, pool=nn.AdaptiveAvgPool2d):
    return (lambda: pool(1), nn.Flatten, lambda: nn.Linear(inputs, 2))


NETS = {
    "conv, norm, tanh": (
        lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False),
        lambda: nn.BatchNorm2d(3),
        nn.Tanh,
        *head(3),
    ),
    "bias, groups, dilation, two convs": (
        lambda: nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2),
        lambda: nn.BatchNorm2d(4),
        nn.Tanh,
        lambda: nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=4),
        lambda: nn.BatchNorm2d(4, affine=False),
        nn.Softplus,
        *head(4),
    ),
    "activation in place": (
        lambda: nn.Conv2d(2, 3, 3),
        lambda: nn.BatchNorm2d(3),
        lambda: nn.SiLU(inplace=True),
        *head(3),
    ),
    "norm before conv": (
        lambda: nn.BatchNorm2d(2),
        nn.Tanh,
        lambda: nn.Conv2d(2, 3, 3),
        nn.Softplus,
        *head(3),
    ),
    "features beside their norm": (Beside, *head(2)),
    "features compared": (Masked, *head(2)),
    "features detached": (Scaled, *head(2)),
    "layers used twice": (Twice, *head(2)),
    "norm called directly": (Directly, *head(2)),
    "norm with its activation": (lambda: nn.Conv2d(2, 3, 3), lambda: NormAndTanh(3), *head(3)),
    "standardised weights": (
        lambda: Standardised(2, 3, 3, padding=1),
        lambda: nn.BatchNorm2d(3),
        nn.Tanh,
        *head(3),
    ),
    "hook": (lambda: Doubled(2, 3, 3), lambda: nn.BatchNorm2d(3), nn.Tanh, *head(3)),
    "reparametrised weights": (
        lambda: register_parametrization(nn.Conv2d(2, 2, 3), "weight", nn.Tanh()),
        lambda: nn.BatchNorm2d(2),
        nn.Tanh,
        *head(2),
    ),
    "padding by reflection, by name": (
        lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Tanh,
        lambda: nn.Conv2d(2, 2, 3, padding="same"),
        lambda: nn.BatchNorm2d(2),
        nn.Tanh,
        *head(2),
    ),
    "viewed": (lambda: nn.Conv2d(2, 2, 4), nn.Tanh, Viewed, lambda: nn.Linear(8, 2)),
}


def operator_of(net, data=DATA, **options):
    subject = Subject(net, data)
    (scope,) = subject.scopes(("overall",))
    options = {"dtype": torch.float64, "batch_size": 4} | options
    return CurvatureOperator(subject, subject.select(scope), **options)


def exact_of(net, data=DATA):
    """Row by row in reverse mode: forward mode goes through what is detached."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    loss = F.cross_entropy(net(data.inputs), data.labels)
    slopes = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    entries = torch.cat([slope.flatten() for slope in slopes])
    rows = [_row(entry, parameters) for entry in entries]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


def _row(entry, parameters):
    options = {"retain_graph": True, "materialize_grads": True}
    return torch.autograd.grad(entry, parameters, **options) if entry.requires_grad else parameters


def close(found, exact, tolerance=1e-10):
    assert (found - exact).abs().max() <= tolerance * exact.abs().max()


@pytest.mark.parametrize("name", NETS)
def test_matrix_equals_dense_autograd(name):
    net = trained(*NETS[name])
    close(dense(operator_of(net)), exact_of(net))


@pytest.mark.parametrize(("dimensions", "conv"), [(1, nn.Conv1d), (3, nn.Conv3d)])
def test_other_dimensions(dimensions, conv):
    pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool3d)[dimensions // 2]
    norm = (nn.BatchNorm1d, nn.BatchNorm3d)[dimensions // 2]
    net = trained(lambda: conv(2, 2, 2), lambda: norm(2), nn.Tanh, *head(2, pool))
    data = toy_data((2, *[3] * dimensions), (4, 3))
    close(dense(operator_of(net, data)), exact_of(net, data))


@pytest.mark.parametrize("curvature", ["ggn", "difference"])
def test_gauss_newton_is_the_same_as_without_norms_folded(curvature):
    net = trained(*NETS["conv, norm, tanh"])
    hessian, ggn = dense(operator_of(net)), dense(operator_of(net, curvature="ggn"))
    slopes = torch.func.jacrev(_outputs_of(net))(dict(net.named_parameters()))
    jacobian = torch.cat([slope.flatten(2) for slope in slopes.values()], dim=2)
    p = net(DATA.inputs).softmax(dim=1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    exact = torch.einsum("nka,nkl,nlb->ab", jacobian, inner, jacobian) / len(p)
    wanted = exact if curvature == "ggn" else hessian - ggn
    close(dense(operator_of(net, curvature=curvature)), wanted.detach())


def _outputs_of(net):
    return lambda parameters: torch.func.functional_call(net, parameters, (DATA.inputs,))


def test_a_subset_of_parameters_is_a_block_of_the_matrix():
    net = trained(*NETS["bias, groups, dilation, two convs"])
    whole, start = exact_of(net), sum(p.numel() for p in net[:3].parameters())
    size = sum(p.numel() for p in net[3].parameters())
    close(dense(operator_of(net, parameters=("3.*",))), whole[start:, start:][:size, :size])
    close(dense(operator_of(net, parameters=("0.*", "1.*"))), whole[:start, :start])


@pytest.mark.parametrize("needs", [(True, True), (False, True), (True, False)])
@pytest.mark.parametrize("bias", [True, False])
def test_first_and_second_derivatives_are_the_numerical_ones(needs, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, bias=bias).double()
    prepare_convolutions(conv, lambda: conv(DATA.inputs).sum(), twice=True)
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=needs[0])
    conv.weight.requires_grad_(needs[1])

    def outputs(*given):
        return torch.func.functional_call(conv, dict(conv.named_parameters()), given[:1])

    given = (x, *conv.parameters())
    assert torch.autograd.gradcheck(outputs, given)
    assert torch.autograd.gradgradcheck(outputs, given)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("conv, norm, tanh", True),
        ("activation in place", True),
        ("reparametrised weights", True),
        ("norm before conv", False),
        ("features beside their norm", False),
        ("features compared", False),
        ("features detached", False),
        ("layers used twice", False),
        ("norm called directly", False),
        ("norm with its activation", False),
        ("standardised weights", False),
        ("hook", False),
    ],
)
def test_norms_are_folded_where_nothing_else_reads_the_features(name, folded):
    net = evaluation_copy(trained(*NETS[name]), torch.float64)
    before = net(DATA.inputs)
    prepare_convolutions(net, lambda: net(DATA.inputs).sum(), twice=True)
    close(net(DATA.inputs), before, 1e-12)
    (norm,) = (m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    features = torch.randn(1, norm.num_features, 3, 3, dtype=torch.float64)
    assert (norm(features) is features) == folded


def test_batch_statistics_are_not_folded():
    net = evaluation_copy(conv_net(), torch.float64, bn="batch")
    inputs = toy_data((1, 4, 4), (4, 3)).inputs
    before = net(inputs)
    prepare_convolutions(net, lambda: net(inputs).sum(), twice=True)
    close(net(inputs), before, 1e-12)


def test_a_loss_that_maps_over_samples():
    net = trained(*NETS["conv, norm, tanh"])

    def one_by_one(model, batch):
        def one(x, y):
            return F.cross_entropy(model(x[None]), y[None])

        return torch.func.vmap(one)(*batch)

    subject = Subject(net, DATA, Loss.of_batch(one_by_one))
    (scope,) = subject.scopes(("overall",))
    operator = CurvatureOperator(subject, subject.select(scope), dtype=torch.float64)
    close(dense(operator), exact_of(net))


def test_parameters_that_the_loss_does_not_depend_on():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.unused = trained(*NETS["conv, norm, tanh"]), nn.Linear(3, 2).double()

        def forward(self, x):
            return self.net(x)

    assert not dense(operator_of(Aside(), parameters=("unused.*",))).any()


def test_a_norm_that_frozen_layers_end_in():
    net = trained(*NETS["conv, norm, tanh"])
    for parameter in net[0].parameters():
        parameter.requires_grad_(False)
    close(dense(operator_of(net)), exact_of(net))


def test_the_model_itself_is_not_touched():
    net = trained(*NETS["conv, norm, tanh"])
    before = copy.deepcopy(net.state_dict())
    operator_of(net).matmat(torch.ones(sum(p.numel() for p in net.parameters()), 1).double())
    assert all("forward" not in vars(m) for m in net.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_judged_copies_keep_the_activation_of_a_norm_that_has_one():
    net = trained(*NETS["norm with its activation"])
    close(evaluation_copy(net, torch.float64)(DATA.inputs), net(DATA.inputs))


def test_judged_copies_keep_a_forward_put_in_place_of_a_norms_own():
    net = trained(*NETS["conv, norm, tanh"])
    net[1].forward = torch.relu
    close(evaluation_copy(net, torch.float64)(DATA.inputs), net(DATA.inputs))
    close(dense(operator_of(net)), exact_of(net))
