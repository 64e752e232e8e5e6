"""The whole spectrum of a network against its dense Hessian, and what it leaves untouched."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.curvature.trace import weighted_sum
from landscape.results.density import smoothed_density
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape.references import small_network
from tests.oracles import conv_net, dense_hessian, mlp, softmax_regression, toy_data

DATA = toy_data((3,), (9, 5, 3))
FLOAT64 = {"dtype": torch.float64}
EXACT = SpectrumConfig(steps=200, probes=2, trace_probes=4, tolerance=0)


def diagnose(subject, scopes=("overall", "classes"), config=EXACT, dtype=torch.float64, **options):
    return spectrum(subject, config, scopes=scopes, dtype=dtype, **options)


@pytest.mark.parametrize(
    ("model", "data"),
    [(mlp(outputs=3), toy_data((3,), (9, 5, 3))), (conv_net(), toy_data((1, 4, 4), (9, 5, 3)))],
    ids=["mlp", "conv-batchnorm"],
)
def test_equals_the_dense_hessian(model, data):
    model.eval()
    found = diagnose(Subject(model, data), batch_size=4)
    for s, scope in enumerate(found.scope):
        chosen = slice(None) if scope == "overall" else data.labels == int(scope[-1])
        targets = data.labels[chosen]

        def loss(out, targets=targets):
            return F.cross_entropy(out, targets)

        exact = torch.linalg.eigvalsh(dense_hessian(model, loss, data.inputs[chosen])).numpy()
        scale = abs(exact).max()
        assert found.lambda_max[s] == pytest.approx(exact[-1], abs=1e-8 * scale)
        assert found.lambda_min[s] == pytest.approx(exact[0], abs=1e-8 * scale)
        assert found.trace[s] == pytest.approx(
            exact.sum(), abs=1e-8 * scale + 4 * found.trace_sem[s]
        )
        assert found.loss[s] == pytest.approx(loss(model(data.inputs[chosen])).item(), rel=1e-12)
        assert max(found.lambda_min_bound[s], found.lambda_max_bound[s]) <= 1e-8 * scale
        values = found.ritz_values[s][np.isfinite(found.ritz_values[s])]
        distance = np.abs(values[:, None] - exact[None, :]).min(axis=1)
        assert distance.max() <= 1e-8 * scale


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_convex_problem_never_turns_negative(factor, dtype):
    subject, exact = softmax_regression()
    scaled = Loss(lambda out, y: factor * F.cross_entropy(out, y, reduction="none"))
    found = diagnose(Subject(subject.model, subject.data, scaled), ("overall",), dtype=dtype)
    top = float(torch.linalg.eigvalsh(exact)[-1])
    rounding = 1e-5 if dtype == torch.float32 else 1e-12
    assert found.lambda_min[0] / factor >= -rounding * top
    assert found.lambda_max[0] / factor == pytest.approx(top, rel=rounding)
    assert found.verdict[0] == "minimum"
    finite = found.ritz_values[np.isfinite(found.ritz_values)]
    assert finite.min() / factor >= -rounding * top


def test_nothing_of_the_users_model_changes():
    model, data = conv_net().train(), toy_data((1, 4, 4), (9, 5, 3))
    model[0].eval()
    F.cross_entropy(model(data.inputs), data.labels).backward()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    flags = [m.training for m in model.modules()]
    needs = [p.requires_grad for p in model.parameters()]
    rng, numpy_rng = torch.get_rng_state(), copy.deepcopy(np.random.get_state())
    for bn in ("eval", "batch"):
        diagnose(Subject(model, data), bn=bn)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [m.training for m in model.modules()] == flags
    assert [p.requires_grad for p in model.parameters()] == needs
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_rng, strict=True))


def test_a_scope_does_not_depend_on_its_company():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3)))
    together, alone = diagnose(subject), diagnose(subject, ("class/1",))
    at = together.index("class/1")
    for name in ("lambda_max", "lambda_min", "trace", "loss", "grad_norm"):
        assert getattr(together, name)[at] == getattr(alone, name)[0]


def test_the_seed_decides():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3)))
    short = SpectrumConfig(steps=4, probes=1, trace_probes=2)
    a, b, c = (diagnose(subject, ("overall",), short, seed=s) for s in (0, 0, 1))
    assert np.array_equal(a.ritz_values, b.ritz_values)
    assert not np.array_equal(a.ritz_values, c.ritz_values)


def test_class_weights_leave_single_classes_alone():
    """Within one class a constant weight cancels in the weighted mean, and only there."""
    model, data = mlp(outputs=3), toy_data((3,), (9, 5, 3))
    plain = diagnose(Subject(model, data))
    weighted = diagnose(
        Subject(model, data, cross_entropy(class_weights=torch.tensor([0.05, 1.0, 4.0])))
    )
    assert np.allclose(plain.lambda_max[1:], weighted.lambda_max[1:], rtol=1e-12)
    assert abs(plain.lambda_max[0] / weighted.lambda_max[0] - 1) > 0.01


def test_a_planted_saddle_is_found_and_a_bowl_is_not():
    class Quadratic(torch.nn.Module):
        def __init__(self, diagonal):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(len(diagonal), dtype=torch.float64))
            self.diagonal = diagonal

        def forward(self, x):
            return 1 + 0.5 * (self.diagonal * self.w**2).sum() + 0 * x[:, 0]

    data = TensorData(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))
    spread = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    verdicts = []
    for low in (0.01, -0.05, -0.3):
        diagonal = torch.cat([torch.tensor([low], dtype=torch.float64), spread])
        subject = Subject(Quadratic(diagonal), data, Loss(lambda out, _: out))
        found = diagnose(subject, ("overall",))
        assert found.lambda_min[0] == pytest.approx(low, abs=1e-10)
        verdicts.append(str(found.verdict[0]))
    assert verdicts == ["minimum", "weak saddle", "saddle"]


def test_density_has_mass_one_and_scales():
    values = np.array([[-1.0, 0.0, 2.0, np.nan], [-0.9, 0.1, 0.5, 2.1]])
    weights = np.array([[0.2, 0.5, 0.3, np.nan], [0.1, 0.4, 0.3, 0.2]])
    for scale in (1.0, 1e-6, 1e4):
        density = smoothed_density(values * scale, weights)
        assert np.trapezoid(density.mean, density.grid) == pytest.approx(1, rel=2e-2)
        assert (density.low <= density.mean).all()
        assert (density.mean <= density.high).all()
        negative = np.trapezoid(
            density.mean[density.grid < -0.5 * scale], density.grid[density.grid < -0.5 * scale]
        )
        assert negative == pytest.approx(0.15, abs=0.02)
    with pytest.raises(ValueError, match="only NaN"):
        smoothed_density(np.full((1, 2), np.nan), np.full((1, 2), np.nan))


def test_density_of_a_single_value():
    density = smoothed_density(np.zeros((1, 1)), np.ones((1, 1)))
    assert np.trapezoid(density.mean, density.grid) == pytest.approx(1, rel=2e-2)


def test_a_warm_start_shortens_the_first_probe_and_keeps_the_answers():
    model, data = conv_net().eval(), toy_data((1, 4, 4), (30, 20, 10))
    moved = conv_net().eval()
    with torch.no_grad():
        for p in moved.parameters():
            p.mul_(1.001)
    options = {"steps": 60, "probes": 1, "trace_probes": 2, "tolerance": 1e-7}
    config, warm = SpectrumConfig(**options), SpectrumConfig(**options, warm_start=True)
    vectors = {}
    diagnose(Subject(model, data), config=warm, warm_start_vectors=vectors)
    assert set(vectors) == {"overall", "class/0", "class/1", "class/2"}
    cold = diagnose(Subject(moved, data), config=config)
    found = diagnose(Subject(moved, data), config=warm, warm_start_vectors=vectors)
    for end in ("lambda_min", "lambda_max"):
        apart = abs(getattr(found, end) - getattr(cold, end))
        assert (apart <= getattr(found, f"{end}_bound") + getattr(cold, f"{end}_bound")).all()
    assert found.converged.all()
    assert found.ritz_values.shape[1] == 1
    steps = [np.isfinite(r.ritz_values).sum() for r in (found, cold)]
    assert steps[0] < steps[1]


def test_vectors_is_left_alone_without_warm_start():
    vectors = {}
    config = SpectrumConfig(steps=5, probes=1, trace_probes=2)
    diagnose(
        Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 3))),
        config=config,
        warm_start_vectors=vectors,
    )
    assert vectors == {}


def test_trace_of_a_group_is_summed_from_its_classes():
    subject = Subject(mlp(outputs=3), toy_data((3,), (9, 5, 3)))
    config = SpectrumConfig(steps=6, probes=1, trace_probes=4)
    scopes = subject.scopes(("overall", "classes"))
    together = diagnose(subject, config=config)
    counts = np.array(subject.class_counts)
    assert together.trace[0] == pytest.approx(counts @ together.trace[1:] / counts.sum(), rel=1e-12)
    alone = diagnose(subject, ("overall",), config)
    assert together.matvecs[0] == alone.matvecs[0] - 4
    assert 0 < together.trace_sem[0] <= counts @ together.trace_sem[1:] / counts.sum()
    assert list(together.scope) == [scope.name for scope in scopes]


def test_without_trace_probes_the_trace_is_that_of_the_first_steps():
    matrix = torch.diag(torch.linspace(-1, 2, 60, dtype=torch.float64))
    products, traces = [], []
    for probes in (0, 8):
        operator = MatrixOperator(matrix)
        config = SpectrumConfig(steps=12, probes=1, trace_probes=probes, tolerance=0)
        found = operator_spectrum(operator, config, torch.Generator().manual_seed(0))
        assert found.products == operator.products
        products.append(operator.products)
        traces.append(found.trace)
    assert products[1] - products[0] == 8
    assert 0 < traces[0].value < 60
    assert math.isnan(traces[0].sem)
    assert abs(traces[1].value - 30) < 20
    assert math.isnan(weighted_sum([traces[0], traces[0]], [0.5, 0.5]).sem)


def test_ritz_weights_are_real_and_sum_to_one():
    """PyHessian's development version gives complex weights."""
    subject = Subject(*small_network())
    config = SpectrumConfig(steps=20, trace_probes=0)
    found = spectrum(subject, config, scopes="overall")
    assert found.ritz_values.dtype == found.ritz_weights.dtype == np.float64
    assert found.ritz_weights.min() >= 0
    assert found.ritz_weights.sum(axis=-1) == pytest.approx(np.ones((1, 2)))
    assert smoothed_density(found.ritz_values[0], found.ritz_weights[0]).mean.dtype == np.float64


def test_a_loss_linear_in_the_parameters_has_a_spectrum_of_zeros():
    """hessian-eigenthings crashes on one."""
    model = nn.Linear(3, 1).double()
    subject = Subject(model, DATA, Loss(lambda out, _: out[:, 0]))
    found = spectrum(subject, SpectrumConfig(), scopes="overall", **FLOAT64)
    assert found.lambda_min[0] == found.lambda_max[0] == found.trace[0] == 0
    assert found.grad_norm[0] == pytest.approx(
        float(torch.cat([DATA.inputs.mean(dim=0), torch.ones(1)]).norm())
    )


def test_seeds_and_probes_draw_different_starts():
    """hessian-eigenthings draws the same vector however it is seeded."""
    subject = Subject(mlp(outputs=3), DATA)
    config = SpectrumConfig(steps=3, probes=2)
    a, b, c = (spectrum(subject, config, scopes="overall", seed=s, **FLOAT64) for s in (0, 0, 1))
    assert np.array_equal(a.ritz_values, b.ritz_values)
    assert not np.array_equal(a.ritz_values, c.ritz_values)
    assert not np.array_equal(a.ritz_values[0, 0], a.ritz_values[0, 1])
