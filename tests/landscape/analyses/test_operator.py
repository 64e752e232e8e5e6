"""The operator in the hand: dense autograd, closed forms, SciPy's solvers, prescribed spectra."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh, lobpcg
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F

import landscape
from landscape.curvature.dense import MatrixOperator, dense
from landscape.curvature.eigenpairs import cluster_bounds, end_pairs
from landscape.errors import InputError
from landscape.results.spectrum import Spectrum
from landscape.subject.data import TensorData
from landscape.subject.loss import Loss, cross_entropy
from landscape.subject.subject import Subject
from tests.landscape.references import SPECTRA, gaussian, generator, quadratic, rotated
from tests.oracles import conv_net, dense_hessian, mlp, toy_data

DATA = toy_data((3,), (9, 5, 3))
KINDS = ("hessian", "ggn", "fisher", "empirical-fisher", "difference")


def close(found, exact, tolerance=1e-10):
    assert (found - exact).abs().max() <= tolerance * exact.abs().max()


def label_gradients(model, inputs, criterion):
    """Gradients (B, K, P) of each sample's loss at every label, by functorch."""
    parameters = {n: p.detach() for n, p in model.named_parameters()}

    def losses(values):
        logits = functional_call(model, values, (inputs,))
        labels = torch.arange(logits.shape[1]).expand(len(logits), -1)
        return torch.stack([criterion(logits, column) for column in labels.T], dim=1)

    jacobian = jacrev(losses)(parameters)
    return torch.cat([jacobian[n].flatten(2) for n in parameters], dim=2)


def plain(logits, labels):
    return F.cross_entropy(logits, labels, reduction="none")


def exact_fisher(model, data, weights, *, empirical, criterion=plain):
    g = label_gradients(model, data.inputs, criterion)
    p = model(data.inputs).detach().softmax(dim=1)
    if empirical:
        p = F.one_hot(data.labels, p.shape[1]).double()
    return torch.einsum("b,bk,bkp,bkq->pq", weights, p, g, g)


NETWORKS = {
    "mlp": (mlp(outputs=3), DATA),
    "conv": (conv_net(), toy_data((1, 6, 6), (6, 4, 2))),
    "linear": (nn.Linear(3, 3).double(), DATA),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_that_of_dense_autograd(network, kind):
    model, data = NETWORKS[network]
    model.eval()
    found = landscape.operator(Subject(model, data), curvature=kind, batch_size=5)
    mean = torch.full((len(data.labels),), 1 / len(data.labels), dtype=torch.float64)
    hessian = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    fisher = exact_fisher(model, data, mean, empirical=False)
    exact = {
        "hessian": hessian,
        "ggn": fisher,  # of the cross-entropy the two are one
        "fisher": fisher,
        "empirical-fisher": exact_fisher(model, data, mean, empirical=True),
        "difference": hessian - fisher,
    }[kind]
    if network == "linear" and kind == "difference":
        assert dense(found).abs().max() < 1e-14
    else:
        close(dense(found), exact)


def test_scopes_class_weights_and_an_adjusted_likelihood():
    model, prior = mlp(outputs=3), torch.tensor([0.2, 1.0, 3.0]).double().log()

    def adjusted(logits, labels):
        return plain(logits + prior, labels)

    weights = torch.tensor([1.0, 2.0, 5.0])
    loss = Loss(adjusted, class_weights=weights)
    share = weights.double()[DATA.labels]
    share = share * (DATA.labels == 2)
    found = landscape.operator(Subject(model, DATA, loss), "class/2", "fisher", weight_decay=0.3)
    g = label_gradients(model, DATA.inputs, adjusted)
    p = (model(DATA.inputs).detach() + prior).softmax(dim=1)
    exact = torch.einsum("b,bk,bkp,bkq->pq", share / share.sum(), p, g, g)
    close(dense(found), exact + 0.3 * torch.eye(found.size).double())


def test_the_empirical_fisher_of_a_loss_of_model_and_batch():
    model = mlp(outputs=3)
    whole = Loss.of_batch(lambda net, batch: plain(net(batch[0]), batch[1]))
    mean = torch.full((17,), 1 / 17, dtype=torch.float64)
    found = landscape.operator(Subject(model, DATA, whole), curvature="empirical-fisher")
    close(dense(found), exact_fisher(model, DATA, mean, empirical=True))
    with pytest.raises(InputError, match="curvature 'fisher' needs a criterion"):
        landscape.operator(Subject(model, DATA, whole), curvature="fisher")


@pytest.mark.parametrize(
    "loss",
    [
        Loss(lambda out, y: ((out - F.one_hot(y, 3)) ** 2).sum(dim=1), "squares"),
        Loss(lambda out, y: plain(out, y) * (1 - (-plain(out, y)).exp()) ** 2, "focal"),
        cross_entropy(label_smoothing=0.1),
    ],
    ids=["squares", "focal", "smoothed"],
)
def test_a_fisher_of_what_is_no_likelihood_is_refused(loss):
    with pytest.raises(InputError, match=r"-log p\(label\).*use curvature ggn"):
        landscape.operator(Subject(mlp(outputs=3), DATA, loss), curvature="fisher")


def test_a_linear_model_with_squares_and_its_fourfold_eigenvalues():
    """The Hessian 2 I ⊗ XᵀX has every eigenvalue four times."""
    targets = gaussian(17, 4, seed=1)
    data = TensorData(DATA.inputs, DATA.labels, targets)
    loss = Loss(lambda out, y: 17 * ((out - y) ** 2).sum(dim=1))
    subject = Subject(nn.Linear(3, 4, bias=False).double(), data, loss)
    once = 2 * torch.linalg.eigvalsh(DATA.inputs.T @ DATA.inputs)
    exact = once.repeat_interleave(4).numpy()
    for kind in ("hessian", "ggn"):
        H = landscape.operator(subject, curvature=kind)
        close(dense(H), 2 * torch.kron(torch.eye(4).double(), DATA.inputs.T @ DATA.inputs))
        assert H.eigenpairs(5, "largest").value == pytest.approx(exact[-5:], rel=1e-9)
        assert H.eigenpairs(5, "smallest").value == pytest.approx(exact[:5], rel=1e-9)
        assert H.eigenpairs(12).value == pytest.approx(exact, rel=1e-9)
        assert H.trace().value == pytest.approx(exact.sum(), rel=1e-9)


@pytest.mark.parametrize("values", [(1.0, 2.0, 3.0, 10.0), (-5.0, 0.0, 0.0, 1.0)])
def test_a_quadratic_has_the_matrix_it_is_made_of(values):
    H = landscape.operator(quadratic(torch.tensor(values).double()))
    close(dense(H), torch.diag(torch.tensor(values)).double())
    found = H.eigenpairs(2)
    assert found.value == pytest.approx(sorted(values), abs=1e-9)
    vectors = np.abs(found.vectors)
    assert vectors[-1].argmax() == int(np.argmax(values))
    assert vectors[-1].max() == pytest.approx(1)


@pytest.fixture(scope="module")
def small():
    model = mlp(inputs=4, hidden=8, outputs=3)
    data = toy_data((4,), (20, 12, 6))
    exact = dense_hessian(model, lambda out: F.cross_entropy(out, data.labels), data.inputs)
    return Subject(model, data), exact


def test_scipy_and_lobpcg_take_it(small):
    subject, exact = small
    values = torch.linalg.eigvalsh(exact).numpy()
    A = landscape.operator(subject).to_scipy()
    assert A.shape == exact.shape
    assert A.dtype == np.float64
    assert eigsh(A, k=3, which="LA", return_eigenvectors=False) == pytest.approx(values[-3:])
    lowest = np.sort(eigsh(A, k=2, which="SA", return_eigenvectors=False))
    assert lowest == pytest.approx(values[:2])
    start = np.random.RandomState(0).randn(len(values), 4)
    found, vectors = lobpcg(A, start, largest=True, maxiter=300, tol=1e-8)
    assert found[:3] == pytest.approx(values[-3:][::-1], rel=1e-5)
    assert np.linalg.norm(A @ vectors[:, 0] - found[0] * vectors[:, 0]) < 1e-6
    single = landscape.operator(subject, dtype="float32").to_scipy()
    assert (single @ start).dtype == np.float32
    assert single @ start[:, 0] == pytest.approx(exact.numpy() @ start[:, 0], rel=1e-3, abs=1e-5)


def test_one_vector_or_several(small):
    subject, exact = small
    H, vectors = landscape.operator(subject), gaussian(len(exact), 3)
    close(H @ vectors, exact @ vectors)
    assert torch.equal((H @ vectors)[:, 1], (H @ vectors[:, 1]))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("k", "steps"), [(1, 8), (3, 30), (6, 200)])
def test_bounds_hold_on_prescribed_spectra(name, k, steps, dtype):
    """Every value has an eigenvalue of its own within its bound, those of an end in order."""
    matrix = rotated(np.sort(SPECTRA[name]), dtype=dtype)
    operator, exact = MatrixOperator(matrix), np.linalg.eigvalsh(matrix.double().numpy())
    k = min(k, len(exact))
    options = {"steps": steps, "tolerance": 1e-3, "capacity": steps + 1}
    found = end_pairs(operator, k, "both", generator(3), **options)
    values, bounds = found.values.numpy(), found.bounds.numpy()
    free = list(exact)
    for value, bound in zip(values, bounds, strict=True):
        nearest = min(free, key=lambda other: abs(other - value))
        assert abs(nearest - value) <= bound + 1e-12
        free.remove(nearest)
    low, high = found.beyond
    scale = np.abs(exact).max()
    eps = torch.finfo(dtype).eps
    assert all(low <= v <= high for v in free)
    gram = found.vectors.T @ found.vectors
    assert torch.allclose(gram, torch.eye(len(values), dtype=dtype), atol=20 * eps)
    if steps == 200:
        wanted = sorted({*range(k), *range(len(exact) - k, len(exact))})
        assert values == pytest.approx(exact[wanted], abs=2e-3 * scale)
        assert (bounds <= 1.1e-2 * scale).all()


def test_one_end_says_nothing_of_the_other(small):
    subject, exact = small
    H = landscape.operator(subject)
    top = H.eigenpairs(2, "largest")
    assert np.isneginf(top.lowest)
    assert np.isposinf(H.eigenpairs(1, "smallest").highest)
    assert float(top.highest) >= float(torch.linalg.eigvalsh(exact)[-3])


def test_clusters_share_a_bound():
    found = cluster_bounds(torch.tensor([0.0, 0.1, 0.2, 5.0]), torch.tensor([0.06, 0.06, 0.06, 1]))
    assert found.tolist() == pytest.approx([0.06 * 3**0.5] * 3 + [1.0])


def test_trace_and_density(small):
    subject, exact = small
    H = landscape.operator(subject)
    values = torch.linalg.eigvalsh(exact).numpy()
    trace = H.trace(probes=30, steps=5)
    assert trace.sem > 0
    assert abs(trace.value - values.sum()) <= 4 * trace.sem
    density = H.density(probes=3, steps=40)
    assert np.trapezoid(density.mean, density.grid) == pytest.approx(1, abs=1e-3)
    mean = np.trapezoid(density.mean * density.grid, density.grid)
    assert mean == pytest.approx(values.mean(), abs=0.3 * values.std())


def test_files_hold_vectors_on_request_alone(small, tmp_path):
    subject, exact = small
    pairs = landscape.operator(subject, curvature="ggn").eigenpairs(2)
    assert pairs.converged.all()
    assert pairs.tensor.tolist() == [name for name, _ in subject.model.named_parameters()]
    assert pairs.tensor_size.sum() == len(exact)
    without = landscape.load(pairs.save(tmp_path / "a.h5"))
    assert without.vectors.shape == (4, 0)
    found = landscape.load(pairs.save(tmp_path / "b.h5", vectors=True))
    assert np.array_equal(found.vectors, pairs.vectors)
    assert np.array_equal(found.value, without.value)
    assert found.provenance.config["diagnose"]["spectrum"]["curvature"] == "ggn"
    assert "±" in str(found)


def test_the_model_is_untouched_and_answers_repeat(small):
    subject, _ = small
    before = {n: v.clone() for n, v in subject.model.state_dict().items()}
    state = torch.get_rng_state()
    a, b = (landscape.operator(subject).eigenpairs(2) for _ in range(2))
    assert np.array_equal(a.vectors, b.vectors)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[n]) for n, v in subject.model.state_dict().items())
    assert all(p.grad is None for p in subject.model.parameters())


def test_what_cannot_be_is_said(small):
    subject, _ = small
    for given, said in (
        ({"scope": "classes"}, "'classes' stands for class/0, class/1"),
        ({"scope": "class/7"}, "class"),
        ({"curvature": "hesian"}, "did you mean 'hessian'"),
    ):
        with pytest.raises(InputError, match=said):
            landscape.operator(subject, **given)
    H = landscape.operator(subject)
    with pytest.raises(InputError, match="expected a tensor"):
        H.matmat(torch.zeros(3, 1))
    with pytest.raises(InputError, match="k is 0"):
        H.eigenpairs(0)
    with pytest.raises(InputError, match="unknown which 'LA'"):
        H.eigenpairs(1, "LA")
    with pytest.raises(InputError, match="probes is 1"):
        H.trace(1)


@pytest.mark.parametrize("kind", ["fisher", "empirical-fisher"])
def test_spectra_of_fisher_matrices(kind, small):
    subject, _ = small
    found = landscape.spectrum(subject, curvature=kind, probes=1, scopes=("overall", "class/0"))
    assert isinstance(found, Spectrum)
    assert (found.verdict == "").all()
    H = dense(landscape.operator(subject, "class/0", kind))
    values = torch.linalg.eigvalsh(H)
    assert found.lambda_max[1] == pytest.approx(float(values[-1]), rel=1e-3)
    assert found.trace[1] == pytest.approx(float(values.sum()), abs=4 * found.trace_sem[1] + 1e-9)
    assert "Fisher" in str(found)
