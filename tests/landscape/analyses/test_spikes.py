"""Outlier eigenvalues and their classes, against planted spikes and dense references."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from landscape.analyses.kept_spectra import KeptSpectra
from landscape.analyses.spectrum import spectrum
from landscape.analyses.spikes import spikes
from landscape.config import SpectrumConfig, SpikesConfig
from landscape.curvature.dense import MatrixOperator
from landscape.curvature.lanczos import lanczos
from landscape.curvature.leading import leading_pairs, overlap
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.oracles import conv_net, dense_hessian, mlp, toy_data

ALL_STEPS = SpectrumConfig(tolerance=0)


def planted(counts=(6, 3, 1), sizes=(1.0, 2.0, 4.0), seed=0):
    """Class c curves along a direction of its own: 2 a_c² times its share is a spike."""
    size = 12
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linalg.qr(torch.randn(size, size, generator=generator).double()).Q
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    inputs = torch.tensor(sizes).double()[labels, None] * rows[labels]
    model = nn.Linear(size, 1, bias=False).double()
    return Subject(model, TensorData(inputs, labels), lambda outputs, _: outputs[:, 0] ** 2), rows


def dense_parts(model, data):
    """Share and Hessian of every class by autograd, and gradients of losses and logits."""
    labels, found = data.labels, []
    for c in labels.unique().tolist():
        own = labels == c
        inputs = data.inputs[own]

        def loss(outputs, c=c):
            return F.cross_entropy(outputs, torch.full((len(outputs),), c))

        def logit(outputs, c=c):
            return (outputs[:, c] - outputs.mean(dim=1)).mean()

        grads = [
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(f(model(inputs)), model.parameters())]
            )
            for f in (loss, logit)
        ]
        found.append((float(own.double().mean()), dense_hessian(model, loss, inputs), *grads))
    return found


def test_planted_spikes_are_found_with_their_classes():
    subject, _ = planted()
    found = spikes(subject, SpikesConfig(vectors=3))
    assert found.value == pytest.approx([3.2, 2.4, 1.2], rel=1e-9)  # 2 a² n_c/n
    assert found.owner.tolist() == [2, 1, 0]
    assert found.curvature == pytest.approx(np.diag([3.2, 2.4, 1.2])[:, ::-1], abs=1e-9)
    assert found.gradient_overlap == pytest.approx(np.eye(3)[:, ::-1], abs=1e-9)
    assert found.subspace_overlap == pytest.approx(
        np.eye(3) + (1 - np.eye(3)) * found.subspace_overlap, abs=1e-9
    )
    assert found.gradient_share == pytest.approx([1, 1, 1])
    assert float(found.whole_share) == pytest.approx(1)
    assert float(found.chance) == 3 / 12
    assert (found.residual < 1e-9).all()
    assert found.resolved.all()


def test_every_number_is_that_of_dense_autograd():
    model, data = mlp(outputs=3), toy_data((3,), (12, 6, 3))
    found = spikes(Subject(model, data), spectrum=ALL_STEPS, scopes="classes")
    parts = dense_parts(model, data)
    whole = sum(share * matrix for share, matrix, *_ in parts)
    values, vectors = torch.linalg.eigh(whole)
    values, vectors = values.flip(0)[:3], vectors.flip(1)[:, :3]
    assert found.value == pytest.approx(values.numpy(), rel=1e-9)
    assert found.curvature.sum(axis=1) == pytest.approx(found.value, rel=1e-12)
    own_spans = []
    for c, (share, matrix, gradient, logit) in enumerate(parts):
        summand = share * (vectors * (matrix @ vectors)).sum(dim=0)
        assert found.curvature[:, c] == pytest.approx(summand.numpy(), rel=1e-6)
        for name, row in (("gradient", gradient), ("logit", logit)):
            cosines = ((row @ vectors) / row.norm()).square()
            assert getattr(found, f"{name}_overlap")[:, c] == pytest.approx(cosines.numpy(), 1e-6)
            assert getattr(found, f"{name}_share")[c] == pytest.approx(float(cosines.sum()), 1e-6)
        own, basis = torch.linalg.eigh(matrix)
        assert found.class_value[c] == pytest.approx(own.flip(0)[:3].numpy(), rel=1e-6)
        own_spans.append(basis.flip(1)[:, :3])
        between = (own_spans[c].T @ vectors).square().sum() / 3
        assert found.overlap_with_whole[c] == pytest.approx(float(between), rel=1e-6)
    expected = float((own_spans[0].T @ own_spans[2]).square().sum() / 3)
    assert found.subspace_overlap[0, 2] == pytest.approx(expected, rel=1e-6)
    gradient = sum(share * row for share, _, row, _ in parts)
    exact = float((gradient @ vectors).square().sum() / gradient.square().sum())
    assert float(found.whole_share) == pytest.approx(exact, rel=1e-6)


def test_a_class_that_curves_down_takes_from_a_spike():
    """The loss of class 1 is -w²: what it adds is negative, and the sum is the eigenvalue."""
    data = TensorData(torch.ones(4, 1).double(), torch.tensor([0, 0, 0, 1]))
    model = nn.Linear(1, 1, bias=False).double()
    sign = torch.tensor([1.0, -1.0]).double()
    subject = Subject(model, data, lambda outputs, t: sign[t] * outputs[:, 0] ** 2)
    found = spikes(subject, SpikesConfig(vectors=1))
    assert found.value == pytest.approx([1.0])
    assert found.curvature_share == pytest.approx(np.array([[1.5, -0.5]]))
    assert np.isnan(found.logit_share).all()  # the outputs are no logits


def test_spectra_of_the_same_command_are_used_and_change_nothing(monkeypatch):
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 4)))
    calls = []
    monkeypatch.setattr(
        CurvatureOperator, "matmat", _counted(CurvatureOperator.matmat, calls), raising=True
    )
    kept = KeptSpectra(3)
    spectrum(subject, kept_spectra=kept)
    made = sum(calls)
    calls.clear()
    found = spikes(subject, kept_spectra=kept)
    assert sum(calls) <= 0.1 * made
    alone = spikes(subject)
    for name in ("value", "curvature", "class_value", "subspace_overlap", "gradient_share"):
        assert np.array_equal(getattr(found, name), getattr(alone, name)), name
    fewer = spikes(subject, SpikesConfig(vectors=2), kept_spectra=kept)  # not those kept
    assert fewer.value == pytest.approx(found.value[:2])


def _counted(real, calls):
    """Count products by the samples that they pass over."""

    def matmat(self, vectors):
        calls.append(vectors.shape[1] * self._graphs.samples)
        return real(self, vectors)

    return matmat


def test_the_span_of_another_checkpoint():
    subject = Subject(conv_net(), toy_data((1, 4, 4), (9, 5, 4)))
    same = spikes(subject, against=conv_net(), scopes="overall")
    assert (str(same.against), float(same.against_overlap)) == ("other", pytest.approx(1))
    other = spikes(subject, against={"late": conv_net(3)}, scopes="overall")
    assert 0 < float(other.against_overlap) < 0.99
    assert other.provenance.config["diagnose"]["spikes"]["against"] == "late"
    assert np.isnan(other.subspace_overlap).all()
    with pytest.raises(InputError, match="against holds 2 models"):
        spikes(subject, against={"a": conv_net(), "b": conv_net()})


def test_a_class_without_samples_is_a_gap():
    data = toy_data((1, 4, 4), (9, 5))
    found = spikes(
        Subject(conv_net(), data, class_names=("a", "b", "c")), scopes=("overall", "class/0")
    )
    assert np.isnan(found.curvature[:, 2]).all()
    assert np.isnan(found.gradient_overlap[:, 2]).all()
    assert np.isfinite(found.curvature[:, :2]).all()
    assert found.curvature[:, :2].sum(axis=1) == pytest.approx(found.value)
    assert np.isfinite(found.class_value[0]).all()
    assert np.isnan(found.class_value[1:]).all()


def test_class_weights_count():
    subject, _ = planted()
    weights = torch.tensor([1.0, 1.0, 6.0])
    weighted = replace(subject, loss=replace(subject.loss, class_weights=weights))
    found = spikes(weighted, SpikesConfig(vectors=1), scopes="overall")
    assert found.value == pytest.approx([2 * 16 * 6 / 15])


@pytest.mark.parametrize("steps", [6, 12, 25])
def test_angles_bound_the_true_ones(steps):
    """On spectra with outliers and a bulk, at every stage of convergence."""
    generator = torch.Generator().manual_seed(steps)
    for _ in range(10):
        basis = torch.linalg.qr(torch.randn(60, 60, generator=generator).double()).Q
        values = torch.rand(60, generator=generator).double().sort(descending=True).values
        values[:4] += torch.tensor([6.0, 3.0, 2.9, 1.0])
        values, order = values.sort(descending=True)
        matrix = basis[:, order] @ values.diag() @ basis[:, order].T
        start = torch.randn(60, 1, generator=generator).double()
        (run,) = lanczos(MatrixOperator(matrix), start, steps)
        found = leading_pairs(run, 4)
        cosines = (found.vectors * basis[:, order][:, :4]).sum(dim=0).abs()
        sines = (1 - cosines.square()).clamp(min=0).sqrt()
        assert (sines <= found.angles + 1e-7).all()
        inner = torch.linalg.svdvals(found.vectors.T @ basis[:, order][:, :4]).min()
        assert float((1 - inner**2).clamp(min=0).sqrt()) <= found.subspace_angle + 1e-7


def test_overlaps_of_known_spans():
    basis = torch.linalg.qr(torch.randn(300, 300, generator=torch.Generator().manual_seed(0))).Q
    assert overlap(basis[:, :5], basis[:, :5]) == pytest.approx(1, abs=1e-5)
    assert overlap(basis[:, :5], basis[:, 5:10]) == pytest.approx(0, abs=1e-5)
    assert overlap(basis[:, :4], basis[:, 2:6]) == pytest.approx(0.5, abs=1e-5)


def test_too_many_spans_are_refused(monkeypatch):
    subject, _ = planted()
    monkeypatch.setattr("landscape.analyses.spikes.free_bytes", lambda _: 10)
    with pytest.raises(InputError, match=r"3 vectors of 12 parameters for each of 3 classes take"):
        spikes(subject)


class Soft(Dataset):
    """Items whose targets are a share of each class."""

    def __init__(self, data):
        self.data, self.labels = data, data.labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.data.inputs[index], F.one_hot(self.labels[index], 3).double()


def test_logits_of_soft_targets_are_those_of_the_labels():
    model, data = mlp(outputs=3), toy_data((3,), (12, 6, 3))
    certain = F.one_hot(data.labels, 3).double()
    expected = spikes(Subject(model, data), spectrum=ALL_STEPS)
    for soft in (TensorData(data.inputs, data.labels, certain), Soft(data)):
        found = spikes(Subject(model, soft), spectrum=ALL_STEPS)
        assert found.value == pytest.approx(expected.value, rel=1e-9)
        assert found.logit_overlap == pytest.approx(expected.logit_overlap, rel=1e-9, abs=1e-12)
