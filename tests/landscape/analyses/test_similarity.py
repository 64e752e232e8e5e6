"""CCA and its kin against a dense reference, their invariances, and noise."""

import numpy as np
import pytest
import torch

from landscape.analyses import similarity_measures
from landscape.analyses.similarity import class_similarity, paired_similarity
from landscape.analyses.similarity_measures import (
    MEASURES,
    cca,
    check_enough_samples,
    cka,
    pwcca,
    svcca,
)
from landscape.errors import InputError


def pair(n=200, d=6, e=4, noise=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = x[:, :e] @ torch.randn(e, e, generator=generator, dtype=torch.float64)
    return x, y + noise * torch.randn(n, e, generator=generator, dtype=torch.float64)


def dense_correlations(x, y):
    """Square roots of the eigenvalues of Sxx⁻¹ Sxy Syy⁻¹ Syx."""
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    product = torch.linalg.solve(x.T @ x, x.T @ y) @ torch.linalg.solve(y.T @ y, y.T @ x)
    values = torch.linalg.eigvals(product).real.clamp(0, 1).sqrt()
    return values.sort(descending=True).values


def test_cca_against_the_eigenvalue_problem():
    x, y = pair()
    assert cca(x, y) == pytest.approx(float(dense_correlations(x, y)[:4].mean()), rel=1e-10)


def test_pwcca_by_its_definition():
    x, y = pair()
    xc, yc = x - x.mean(dim=0), y - y.mean(dim=0)
    product = torch.linalg.solve(xc.T @ xc, xc.T @ yc) @ torch.linalg.solve(yc.T @ yc, yc.T @ xc)
    values, vectors = torch.linalg.eig(product)
    order = values.real.argsort(descending=True)[:4]
    variates = xc @ vectors.real[:, order]
    variates = variates / variates.norm(dim=0)
    weights = (variates.T @ xc).abs().sum(dim=1)
    expected = (weights * values.real[order].clamp(0).sqrt()).sum() / weights.sum()
    assert pwcca(x, y) == pytest.approx(float(expected), rel=1e-8)
    assert pwcca(x, y) != pytest.approx(pwcca(y, x), rel=1e-3)


def test_svcca_keeps_variance_and_not_singular_values():
    """One large and many small directions: 99 % of the variance is the large one alone."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([20.0] + [0.3] * 9, dtype=torch.float64)
    x = torch.randn(400, 10, generator=generator, dtype=torch.float64) * scales
    y = torch.randn(400, 10, generator=generator, dtype=torch.float64) * scales
    y[:, 0] = x[:, 0]
    assert svcca(x, y) == pytest.approx(1, abs=1e-3)
    assert cca(x, y) < 0.5


@pytest.mark.parametrize("name", MEASURES)
def test_invariances(name):
    measure, (x, y) = MEASURES[name], pair()
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    value = measure(x, y)
    if name != "pwcca":  # its weights are projections on the units of x
        assert measure(x @ rotation, y) == pytest.approx(value, rel=1e-8)
    turned = y @ torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    assert measure(x, turned) == pytest.approx(value, rel=1e-8)
    assert measure(3 * x, y) == pytest.approx(value, rel=1e-8)
    assert measure(x + 5, y) == pytest.approx(value, rel=1e-8)
    order = torch.randperm(len(x))
    assert measure(x[order], y[order]) == pytest.approx(value, rel=1e-8)
    assert measure(x, x) == pytest.approx(1, abs=1e-8)
    assert measure(x, y) <= 1 + 1e-12


def test_cca_is_invariant_to_any_invertible_map_and_cka_is_not():
    x, y = pair()
    stretch = torch.diag(torch.tensor([1.0, 10, 0.1, 3, 1, 50], dtype=torch.float64))
    assert cca(x @ stretch, y) == pytest.approx(cca(x, y), rel=1e-8)
    assert cka(x @ stretch, y) != pytest.approx(cka(x, y), rel=1e-2)


@pytest.mark.parametrize(("n", "d"), [(640, 64), (1280, 64)])
def test_noise_scores_as_theory_says(n, d):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, d, generator=generator) for _ in range(2))
    # mean ρ² = d/n; the mean of ρ is a little below its root
    assert cca(x, y) == pytest.approx((d / n) ** 0.5, rel=0.2)
    assert abs(cka(x, y)) < 0.02


def test_debiased_cka_of_noise_is_zero_in_the_mean():
    values = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        x, y = (torch.randn(30, 10, generator=generator) for _ in range(2))
        values.append(cka(x, y))
    assert abs(np.mean(values)) < 3 * np.std(values) / 40**0.5 + 0.01


def by_definition(x, y):
    """Every measure from the two matrices themselves."""
    xc, yc = (a - a.mean(dim=0) for a in (x, y))

    def directions(centred, share=1.0):
        u, s, _ = torch.linalg.svd(centred, full_matrices=False)
        reached = (s**2).cumsum(0) / (s**2).sum()
        kept = len(s) if share == 1 else int((reached < share).sum()) + 1
        return u[:, :kept][:, s[:kept] > 1e-10 * s[0]]

    def correlations(u, v):
        left, found, _ = torch.linalg.svd(u.T @ v, full_matrices=False)
        return found.clamp(0, 1), u @ left

    whole, variates = correlations(directions(xc), directions(yc))
    weights = (variates.T @ xc).abs().sum(dim=1)
    main, _ = correlations(directions(xc, 0.99), directions(yc, 0.99))
    n, kernels = len(x), [(a @ a.T).fill_diagonal_(0) for a in (x, y)]

    def hsic(k, m):
        inside = (k * m).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2))
        return (inside - 2 * (k.sum(dim=0) @ m.sum(dim=0)) / (n - 2)) / (n * (n - 3))

    k, m = kernels
    weighted = (weights * whole).sum() / weights.sum()
    aligned = hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt()
    found = whole.mean(), main.mean(), weighted, aligned
    return dict(zip(("cca", "svcca", "pwcca", "cka"), map(float, found), strict=True))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("case", ["plain", "dead units", "one main direction", "wider", "few rows"])
def test_every_measure_is_its_definition(name, case):
    x, y = pair(n=60)
    if case == "dead units":
        x = torch.cat([x, 0 * x[:, :2], x[:, :1]], dim=1)
    if case == "one main direction":
        y = y * torch.tensor([50.0, 1, 1, 1])
    if case == "wider":
        x, y = y, x
    if case == "few rows":
        x, y = x[:5], y[:5]
    assert MEASURES[name](x, y) == pytest.approx(by_definition(x, y)[name], rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("entries", [2**22, 300])
def test_all_pairs_of_classes_are_compared_as_two_by_two(entries, monkeypatch):
    """The same draws, in the same order: a row matched with a shuffled one, then the baseline."""
    monkeypatch.setattr(similarity_measures, "_ENTRIES", entries)  # one slice, or one pair each
    features, labels = labelled(per_class=30)
    features[labels == 2] *= torch.tensor([1.0, 1, 1, 0, 0])  # of a lower rank
    labels[labels == 1] = 4  # of five classes, one is absent
    found = class_similarity(features, labels, (*NAMES, "e"), (*COUNTS, 1), draws=1, seed=3)
    generator, expected = torch.Generator().manual_seed(3), np.zeros((2, 4, 4, 4))
    present = [0, 2, 3, 4]
    members = [(labels == c).nonzero().flatten() for c in present]
    drawn = [m[torch.randperm(30, generator=generator)] for m in members]
    for i, one in enumerate(drawn):
        for j, other in enumerate(drawn):
            turned = other if i == j else other[torch.randperm(30, generator=generator)]
            mixed = other[torch.randperm(30, generator=generator)]
            for part, second in zip(expected, (turned, mixed), strict=True):
                part[:, i, j] = list(by_definition(features[one], features[second]).values())
    for values, wanted in zip((found.score, found.shuffled_baseline), expected, strict=True):
        assert np.isnan(values[:, 1]).all()
        assert np.isnan(values[:, :, 1]).all()
        assert np.abs(values[:, present][:, :, present] - wanted).max() < 1e-12


def test_each_class_is_decomposed_once_a_draw(monkeypatch):
    decomposed, svd = [], torch.linalg.svd

    def counted(matrix, **options):
        decomposed.append(matrix.shape)
        return svd(matrix, **options)

    monkeypatch.setattr(torch.linalg, "svd", counted)
    features, labels = labelled(per_class=30)
    class_similarity(features, labels, NAMES, COUNTS, draws=1)
    tall = [shape for shape in decomposed if shape[-2] == 30]
    assert tall == [(4, 30, 5), (1, 30, 5), (1, 30, 5)]  # of all classes; head and tail


def test_principal_components_are_those_of_the_singular_vectors():
    features, labels = labelled(d=12)
    centred = features - features.mean(dim=0)
    kept = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:4].T
    found = class_similarity(features, labels, NAMES, COUNTS, components=4, draws=1)
    same = class_similarity(kept, labels, NAMES, COUNTS, draws=1)
    assert found.score == pytest.approx(same.score, abs=1e-12)


def labelled(per_class=120, classes=4, d=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(per_class)
    centres = 3 * torch.randn(classes, d, generator=generator)
    features = centres[labels] + torch.randn(len(labels), d, generator=generator)
    return features.double(), labels


NAMES, COUNTS = ("a", "b", "c", "d"), (100, 50, 20, 5)


def test_classes_and_head_tail_with_baselines():
    features, labels = labelled()
    found = class_similarity(features, labels, NAMES, COUNTS, draws=4)
    assert found.score.shape == (4, 4, 4)
    assert int(found.rows) == 120
    for m, name in enumerate(found.measure):
        assert np.diag(found.score[m]) == pytest.approx(np.ones(4))
        if name == "cca":
            # rows of different classes are matched at random: noise, and so is the baseline
            expected = (5 / 120) ** 0.5
            off = found.score[m][~np.eye(4, dtype=bool)].mean()
            assert off == pytest.approx(expected, rel=0.25)
            assert found.shuffled_baseline[m].mean() == pytest.approx(expected, rel=0.25)
    assert np.isfinite(found.head_tail).all()
    assert (found.head_tail_sem[:3] > 0).all()


def test_two_checkpoints_are_compared_image_by_image():
    features, labels = labelled()
    others = features @ torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    found = paired_similarity(features, others, labels, NAMES, COUNTS, "epoch_0004")
    for m in range(4):
        assert np.diag(found.score[m]) == pytest.approx(np.ones(4), abs=1e-6)
        assert np.isnan(found.score[m, 0, 1])
    cca_at = list(found.measure).index("cca")
    assert np.diag(found.shuffled_baseline[cca_at]).mean() < 0.4
    assert str(found.paired) == "checkpoint epoch_0004"


def test_too_few_samples_are_refused_with_both_numbers():
    features, labels = labelled(per_class=20)
    with pytest.raises(InputError, match=r"n = 20 samples a side and d = 5 dimensions"):
        class_similarity(features, labels, NAMES, COUNTS)
    found = class_similarity(features, labels, NAMES, COUNTS, components=2)
    assert int(found.dimension) == 2
    check_enough_samples(25, 5)


def test_a_constant_representation_is_refused():
    with pytest.raises(InputError, match="no directions"):
        cca(torch.ones(30, 3), torch.randn(30, 3))


def noise(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def test_cca_ignores_dead_and_duplicate_units():
    """Google's svcca raises a LinAlgError for them at eps = 0."""
    x, y = noise(100, 5, 0), noise(100, 4, 1)
    dead = torch.cat([x, torch.zeros(100, 1).double(), x[:, :1]], dim=1)
    assert cca(dead, y) == pytest.approx(cca(x, y), rel=1e-9)


def test_cca_is_the_mean_of_all_correlations():
    """0.376; Google's svcca drops the tail at its threshold of 0.98 and gives 0.481."""
    x, y = noise(300, 8, 0), noise(300, 8, 1)
    y[:, 0] = x[:, 0]
    xc, yc = (torch.linalg.svd(a - a.mean(dim=0), full_matrices=False)[0] for a in (x, y))
    every = torch.linalg.svdvals(xc.T @ yc)
    assert cca(x, y) == pytest.approx(float(every.mean()), rel=1e-10)


def test_pwcca_takes_either_side_wider():
    """Google's pwcca raises an IndexError for (30, 20) units."""
    for wide, narrow in ((30, 20), (20, 30)):
        assert 0 < pwcca(noise(400, wide, 0), noise(400, narrow, 1)) < 1


def test_pwcca_weighs_variates_that_are_orthonormal_in_sample_space():
    """anatome orthonormalises the coefficients."""
    x = noise(200, 4, 0) @ torch.diag(torch.tensor([1.0, 10, 100, 1000]).double())
    assert pwcca(x, x) == pytest.approx(1, abs=1e-10)
    y = noise(200, 4, 1)
    y[:, 3] = x[:, 3]
    # nearly all of x is its fourth unit, which y holds exactly
    assert pwcca(x, y) > 0.8
    assert cca(x, y) < 0.5


def test_svcca_keeps_the_directions_that_hold_99_percent():
    """resi compares shares with a multiple of the total and keeps one."""
    x = noise(2000, 50, 0)
    y = x @ torch.linalg.qr(noise(50, 50, 1)).Q
    y[:, 25:] = noise(2000, 25, 2)
    # one direction alone would score near 1 or near 0, half of fifty give about a half
    assert 0.45 < svcca(x, y) < 0.75


def test_cka_is_finite_on_small_batches():
    """torch_cka gives NaN."""
    assert np.isfinite(cka(noise(5, 64, 0), noise(5, 64, 1)))


def test_labels_follow_the_order_of_the_rows():
    """torch_cka's do not."""
    labels = torch.arange(3).repeat_interleave(60)
    centres = torch.tensor([[0.0, 0, 0], [9, 0, 0], [0, 9, 0]]).double()
    features = centres[labels] + noise(180, 3, 0)
    found = class_similarity(features, labels, ("a", "b", "c"), (9, 5, 3), measures=("cka", "cca"))
    assert found.measure.tolist() == ["cka", "cca"]
    assert np.diag(found.score[0]) == pytest.approx(np.ones(3))
    assert found.score[1, 0, 1] == pytest.approx((3 / 60) ** 0.5, rel=0.6)
