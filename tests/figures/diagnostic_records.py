"""Made-up results of the analyses of spikes and the like, plausible in shape and size."""

import numpy as np

from landscape.results.gradient_noise import GradientNoise
from landscape.results.path import Path
from landscape.results.spikes import Spikes
from landscape.results.stability import Stability
from tests.figures.run_records import counts


def spikes(classes=10, tail_share=0.6, seed=0, absent=()):
    """Spikes of which the last class owns the first."""
    rng = np.random.default_rng(seed)
    value = np.sort(rng.exponential(20, classes))[::-1] + 1
    share = rng.dirichlet(np.full(classes, 0.3), classes)
    share[0] = (1 - tail_share) / (classes - 1)
    share[0, -1] = tail_share
    overlap = rng.uniform(0, 0.5, (classes, classes))
    overlap = (overlap + overlap.T) / 2
    np.fill_diagonal(overlap, 1)
    angle = np.full(classes, 1e-3)
    angle[-1] = 1
    found = {
        "curvature": share * value[:, None],
        "gradient_overlap": rng.uniform(0, 0.1, (classes, classes)),
        "logit_overlap": rng.uniform(0, 0.1, (classes, classes)),
    }
    for table in found.values():
        table[:, list(absent)] = np.nan
    return Spikes(
        spike=np.arange(1, classes + 1),
        value=value,
        residual=np.full(classes, 1e-3),
        angle=angle,
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=np.array(counts(classes)),
        samples=np.array([0 if c in absent else n for c, n in enumerate(counts(classes))]),
        gradient_share=found["gradient_overlap"].sum(axis=0),
        logit_share=found["logit_overlap"].sum(axis=0),
        class_value=np.tile(value, (classes, 1)),
        class_residual=np.full((classes, classes), 1e-3),
        subspace_overlap=overlap,
        overlap_with_whole=np.full(classes, 0.3),
        whole_share=np.array(0.9),
        subspace_angle=np.array(0.01),
        chance=np.array(2e-5),
        against=np.array(""),
        against_overlap=np.array(np.nan),
        split=np.array("saddle"),
        **found,
    )


def path(classes=10, tail=0.8, seed=0):
    """A path whose barrier grows towards the tail and is lower once units are matched."""
    rng = np.random.default_rng(seed)
    t, ways = np.linspace(0, 1, 9), ("line", "aligned", "curve")
    height = np.linspace(0.1, tail, classes)
    bump = np.sin(np.pi * t)[:, None] * height
    loss = np.stack([share * bump + 0.05 for share in (1.0, 0.5, 0.01)])
    samples = np.array(counts(classes))
    thirds = [height[k * classes // 3 : (k + 1) * classes // 3].mean() for k in range(3)]
    tops = np.array([height[0], *thirds, *height])
    scope = ["overall", "head", "mid", "tail", *(f"class/{c}" for c in range(classes))]
    barrier = np.outer([1.0, 0.5, 0.01], tops)
    return Path(
        path=np.array(ways),
        t=t,
        loss=loss,
        correct=(samples * np.clip(1 - loss / 4, 0, 1)).astype(np.int64),
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=samples,
        samples=samples,
        share=samples / samples.sum(),
        frequency=samples / samples.sum(),
        scope=np.array(scope),
        barrier=barrier,
        barrier_sem=0.1 * barrier + 0.001 * rng.random(barrier.shape),
        barrier_at=np.full(barrier.shape, 0.5),
        accuracy_drop=barrier / 4,
        accuracy_drop_sem=barrier / 40,
        distance=np.array([10.0, 8.0, 8.0]),
        to=np.array("runs/ce-1"),
        align=np.array("weights"),
        moved=np.array(150),
        units=np.array(176),
        split=np.array("saddle"),
    )


def stability(progress=1.0, classes=10, rho=0.05):
    """A training whose tail is above the edge of stability and rises with progress."""
    scope = ["overall", "head", "mid", "tail", *(f"class/{c}" for c in range(classes))]
    many = len(scope)
    high = np.linspace(10, 90, many) * (0.3 + progress)
    high[3] = 50.0 * (0.3 + progress)  # the tail, whose edge is 38
    low = -0.1 * high
    return Stability(
        scope=np.array(scope),
        training_count=np.full(many, 50),
        samples=np.full(many, 50),
        loss=np.full(many, 0.1),
        grad_norm=np.full(many, 0.2),
        lambda_max=high,
        lambda_max_bracket=np.stack([high, 1.01 * high], axis=1),
        lambda_min=low,
        lambda_min_bracket=np.stack([1.2 * low, low], axis=1),
        gradient_top=np.full(many, 0.4),
        gradient_lowest=np.full(many, 1e-4),
        step_top=np.array(0.02 if progress < 1 else np.nan),
        step_lowest=np.array(1e-4 if progress < 1 else np.nan),
        chance=np.array(2e-6),
        next=np.array("epoch_0100" if progress < 1 else ""),
        learning_rate=np.array(0.1),
        momentum=np.array(0.9),
        weight_decay=np.array(2e-4),
        rho=np.array(rho),
        whole_grad_norm=np.array(0.2),
    )


def gradient_noise(classes=10, batch=128.0):
    """Noise whose scale grows towards the tail, of which a batch holds little."""
    samples = np.array(counts(classes), dtype=float)
    share = samples / samples.sum()
    noise = np.geomspace(1, 20, classes)
    return GradientNoise(
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=samples.astype(int),
        samples=samples.astype(int),
        share=share,
        norm=np.full(classes, 0.5),
        noise=noise,
        noise_sem=0.1 * noise,
        distance=np.full(classes, 0.2),
        whole_norm=np.array(0.3),
        batch=np.array(batch),
        parts=np.full(classes, 16),
        layer=np.array(["stem", "head"]),
        layer_norm=np.full((2, classes), 0.35),
        layer_noise=np.stack([noise / 2, noise / 2]),
        split=np.array("saddle"),
    )
