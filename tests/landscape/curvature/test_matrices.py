"""Which matrix: closed forms, Gauss-Newton, subsets, blocks, attention, memory."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, TensorDataset

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss
from landscape.subject.subject import Scope, Subject
from tests.landscape.references import double_operator_of
from tests.oracles import conv_net, dense_hessian, mlp, softmax_regression, toy_data

DATA = toy_data((3,), (9, 5, 3))


def operator_of(subject, **options):
    everything = Scope("overall", tuple(range(subject.num_classes)))
    options = {"dtype": torch.float64, "batch_size": 7} | options
    return CurvatureOperator(subject, subject.select(everything), **options)


def close(found, exact, tolerance=1e-10):
    assert (found - exact).abs().max() <= tolerance * exact.abs().max()


def squared_error():
    return Loss(lambda out, y: (out[:, 0] - y.double()) ** 2, "squared error")


def test_linear_regression():
    model = nn.Linear(3, 1, bias=False).double()
    subject = Subject(model, DATA, squared_error())
    close(dense(operator_of(subject)), 2 / len(DATA.inputs) * DATA.inputs.T @ DATA.inputs)


def test_logistic_regression():
    data = toy_data((3,), (9, 5))
    model = nn.Linear(3, 1, bias=False).double()
    loss = Loss(
        lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], y.double(), reduction="none")
    )
    s = torch.sigmoid(model(data.inputs)[:, 0]).detach()
    exact = data.inputs.T @ (data.inputs * (s * (1 - s))[:, None]) / len(s)
    close(dense(operator_of(Subject(model, data, loss))), exact)


class Formula(nn.Module):
    """A loss that is a formula of two parameters."""

    def __init__(self, formula, at):
        super().__init__()
        self.formula, self.w = formula, nn.Parameter(torch.tensor(at, dtype=torch.float64))

    def forward(self, x):
        return self.formula(*self.w).expand(len(x))


@pytest.mark.parametrize(
    ("formula", "at", "exact"),
    [
        (lambda x, y: x**2 * y, (2.0, 3.0), [[6.0, 4.0], [4.0, 0.0]]),
        (
            lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
            (1.0, 1.0),
            [[802.0, -400.0], [-400.0, 200.0]],
        ),
        (lambda x, y: 1 + 0 * x * y, (1.0, 1.0), [[0.0, 0.0], [0.0, 0.0]]),
    ],
    ids=["x²y", "Rosenbrock", "constant"],
)
def test_formulas(formula, at, exact):
    data = TensorData(torch.zeros(3, 1), torch.zeros(3, dtype=torch.long))
    subject = Subject(Formula(formula, at), data, Loss(lambda out, _: out))
    assert torch.allclose(dense(operator_of(subject)), torch.tensor(exact, dtype=torch.float64))


def gauss_newton(model, data):
    """Mean of Jᵀ (diag p - ppᵀ) J, with the Jacobian of every sample by functorch."""
    parameters = {n: p.detach() for n, p in model.named_parameters()}
    jacobians = jacrev(lambda p: functional_call(model, p, (data.inputs,)))(parameters)
    j = torch.cat([jacobians[n].flatten(2) for n in parameters], dim=2)
    p = model(data.inputs).softmax(dim=1).detach()
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return torch.einsum("nap,nab,nbq->pq", j, inner, j) / len(p)


@pytest.mark.parametrize("batch_size", [5, 100])
def test_gauss_newton_and_difference(batch_size):
    model = mlp(outputs=3)
    subject = Subject(model, DATA)
    exact = gauss_newton(model, DATA)
    hessian = dense_hessian(model, lambda out: F.cross_entropy(out, DATA.labels), DATA.inputs)
    ggn = dense(operator_of(subject, curvature="ggn", batch_size=batch_size))
    close(ggn, exact)
    close(dense(operator_of(subject, curvature="difference")), hessian - exact)
    assert torch.linalg.eigvalsh(ggn)[0] >= -1e-12


def test_gauss_newton_is_the_hessian_of_a_model_linear_in_its_parameters():
    subject, exact = softmax_regression()
    close(dense(operator_of(subject, curvature="ggn")), exact)
    assert dense(operator_of(subject, curvature="difference")).abs().max() <= 1e-14


def test_a_loss_of_model_and_batch():
    model = mlp(outputs=3)

    def penalised(network, batch):
        inputs, targets = batch
        each = F.cross_entropy(network(inputs), targets, reduction="none")
        return each + 0.1 * sum(p.pow(4).sum() for p in network.parameters())

    subject = Subject(model, DATA, Loss.of_batch(penalised, "penalised"))
    plain = dense(operator_of(Subject(model, DATA)))
    w = torch.cat([p.detach().flatten() for p in model.parameters()])
    close(dense(operator_of(subject)), plain + torch.diag(1.2 * w**2))
    with pytest.raises(InputError, match="use curvature hessian"):
        dense(operator_of(subject, curvature="ggn"))


def test_a_parameter_subset_is_a_block_of_the_whole():
    subject = Subject(mlp(outputs=3), DATA)
    whole = dense(operator_of(subject))
    part = operator_of(subject, parameters=("2.*",))
    assert part.names == ("2.weight", "2.bias")
    close(dense(part), whole[20:, 20:])
    with pytest.raises(InputError, match=r"no trainable parameter is called layer9\.\*; the model"):
        operator_of(subject, parameters=("layer9.*",))


@pytest.mark.parametrize("curvature", ["hessian", "ggn", "difference"])
def test_blocks_are_those_on_the_diagonal(curvature):
    subject = Subject(mlp(outputs=3), DATA)
    whole = dense(operator_of(subject, curvature=curvature))
    exact = torch.zeros_like(whole)
    exact[:20, :20], exact[20:, 20:] = whole[:20, :20], whole[20:, 20:]
    operator = operator_of(subject, curvature=curvature, blocks=True)
    assert (operator.blocks, operator.sizes) == (("0", "2"), (20, 18))
    close(dense(operator), exact)
    assert operator.products == 38, "a unit vector is in one block"


def test_every_layers_ends_and_trace_from_shared_products():
    subject = Subject(conv_net().eval(), toy_data((1, 4, 4), (9, 5, 3)))
    whole = dense(operator_of(subject))
    config = SpectrumConfig(blocks=True, tolerance=1e-9, trace_probes=20)
    scopes = ("overall", "class/1")
    found = spectrum(subject, config, scopes=scopes, dtype=torch.float64)
    layers = ["0", "1", "5"]
    assert list(found.scope) == [f"{s}@{layer}" for s in ("overall", "class/1") for layer in layers]
    start = 0
    for row, size in enumerate((27, 6, 39)):
        block = whole[start : start + size, start : start + size]
        values = torch.linalg.eigvalsh(block)
        assert found.lambda_min[row] == pytest.approx(float(values[0]), abs=1e-8)
        assert found.lambda_max[row] == pytest.approx(float(values[-1]), rel=1e-8)
        assert abs(found.trace[row] - float(values.sum())) <= 4 * found.trace_sem[row] + 1e-9
        assert found.verdict[row] == "", "of a layer, not of the point"
        start += size


def test_blocks_share_every_pass_over_the_data():
    class Counted(TensorData):
        passes = 0

        def batches(self, indices, batch_size):
            Counted.passes += 1
            return super().batches(indices, batch_size)

    data = toy_data((1, 4, 4), (9, 5, 3))
    passes = []
    for blocks in (False, True):
        Counted.passes = 0
        subject = Subject(conv_net().eval(), Counted(data.inputs, data.labels))
        config = SpectrumConfig(
            blocks=blocks, steps=5, tolerance=0, trace_probes=2, memory_budget=0.0
        )
        spectrum(subject, config, scopes="overall", dtype=torch.float64)
        passes.append(Counted.passes)
    assert passes[0] == passes[1]


def test_weight_decay_shifts_every_eigenvalue():
    subject = Subject(mlp(outputs=3), DATA)
    shifted = dense(operator_of(subject, weight_decay=0.25))
    close(shifted, dense(operator_of(subject)) + 0.25 * torch.eye(len(shifted)))


@pytest.mark.parametrize("budget", [0.0, 1.0, "two batches"])
def test_kept_recomputed_and_mixed_graphs_give_the_same_matrix(budget):
    subject = Subject(conv_net().eval(), toy_data((1, 4, 4), (9, 5, 3)))
    exact = dense(operator_of(subject, batch_size=4, memory_budget=1.0))
    if budget == "two batches":
        budget = _budget_for(subject, 4, 2)
    operator = operator_of(subject, batch_size=4, memory_budget=budget)
    for _ in range(2):
        close(dense(operator), exact, 1e-13)
    close(operator.fresh_matmat(torch.eye(operator.size, dtype=torch.float64)), exact, 1e-13)
    assert operator.kept_batches == {0.0: 0, 1.0: 5}.get(budget, 2)


def _budget_for(subject, size, kept):
    """Least GiB, to 2 %, at which an operator keeps so many graphs of batches of a size."""
    low, high = 2.0**-20, 1.0
    while high > 1.02 * low:
        budget = (low * high) ** 0.5
        operator = operator_of(subject, batch_size=size, memory_budget=budget)
        operator.matmat(torch.zeros(operator.size, 1, dtype=torch.float64))
        enough = operator.batches == -(-17 // size) and operator.kept_batches >= kept
        low, high = (low, budget) if enough else (budget, high)
    return high


class Counted(TensorData):
    """Counts how often it is read, which may start processes each time."""

    readings = 0

    def batches(self, indices, batch_size):
        type(self).readings += 1
        return super().batches(indices, batch_size)


@pytest.mark.parametrize("kept", [2, 3, 5])
def test_batches_without_a_graph_are_read_once(kept):
    data = toy_data((1, 4, 4), (9, 5, 3))
    subject = Subject(conv_net().eval(), Counted(data.inputs, data.labels))
    exact = dense(operator_of(Subject(conv_net().eval(), data), batch_size=4, memory_budget=0.0))
    budget = _budget_for(subject, 4, kept)
    operator = operator_of(subject, batch_size=4, memory_budget=budget)
    Counted.readings = 0
    for _ in range(3):
        close(dense(operator), exact, 1e-13)
    assert operator.kept_batches == kept
    assert Counted.readings == 2  # a few samples to measure a graph; then all
    close(operator.fresh_matmat(torch.eye(operator.size, dtype=torch.float64)), exact, 1e-13)
    assert Counted.readings == 3
    close(dense(operator), exact, 1e-13)
    assert Counted.readings == 3


def test_no_budget_reads_anew_at_every_product():
    """As the released protocol does, whose data are augmented anew each time."""
    data = toy_data((1, 4, 4), (9, 5, 3))
    subject = Subject(conv_net().eval(), Counted(data.inputs, data.labels))
    operator = operator_of(subject, batch_size=4, memory_budget=0.0)
    Counted.readings = 0
    for _ in range(3):
        dense(operator)
    assert Counted.readings == 4


def test_a_batch_larger_than_the_budget_is_split_and_the_matrix_stays():
    subject = Subject(conv_net().eval(), toy_data((1, 4, 4), (9, 5, 3)))
    exact = dense(operator_of(subject, batch_size=17))
    whole = _budget_for(subject, 17, 0)
    tight = operator_of(subject, batch_size=17, memory_budget=whole / 2)
    close(dense(tight), exact, 1e-13)
    assert 1 < tight.batches <= 17


def test_reserved_memory_is_not_spent_on_graphs():
    subject = Subject(conv_net().eval(), toy_data((1, 4, 4), (9, 5, 3)))
    operator = operator_of(subject, batch_size=4, memory_budget=1.0)
    operator.reserve(2**30 - 1)
    operator.matmat(torch.ones(operator.size, 1, dtype=torch.float64))
    assert operator.kept_batches == 0


class Watched(nn.Module):
    """Keeps weak references to what ReLU gave, which its graph saves."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.seen = nn.Linear(3, 4), nn.Linear(4, 3), []

    def forward(self, x):
        hidden = F.relu(self.first(x))
        self.seen.append(weakref.ref(hidden))
        return self.last(hidden)


def test_kept_graphs_are_freed_with_their_operator():
    operator = operator_of(Subject(Watched().double(), DATA), batch_size=100)
    gc.disable()
    try:
        operator.matmat(torch.ones(operator.size, 1, dtype=torch.float64))
        kept = operator._model.seen[-1]
        del operator
        assert kept() is None, "a reference cycle keeps the graph alive"
    finally:
        gc.enable()


def test_attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.inner(x, x, x, need_weights=False)[0].mean(dim=1))

    torch.manual_seed(0)
    model, data = Attention().double(), toy_data((5, 4), (6, 4, 2))
    with sdpa_kernel(SDPBackend.MATH):
        exact = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    close(dense(operator_of(Subject(model, data))), exact, 1e-8)


def test_a_shuffling_loader_gives_one_gauss_newton_matrix_of_all_samples():
    model = mlp(outputs=3)
    pairs = TensorDataset(DATA.inputs, DATA.labels)
    loader = DataLoader(pairs, batch_size=4, shuffle=True)
    operator = double_operator_of(
        Subject(model, loader), curvature="ggn", batch_size=4, memory_budget=0.0
    )
    found = [dense(operator) for _ in range(2)]
    assert torch.equal(*found)
    exact = dense(double_operator_of(Subject(model, DATA), curvature="ggn"))
    assert (found[0] - exact).abs().max() <= 1e-14
