r"""Measure sharpness: loss under random noise and ascent, and the radius of the theory.

A scope's loss is that of the spectrum: the samples' weights mix its classes. Random: ε Gaussian,
scaled to ‖ε‖ = ratio ‖w‖ over the perturbed parameters (CC-SAM Fig. 1). Ascent: L(w + ε) - L(w)
after one step of length ρ along the scope's gradient (Foret et al. 2021), and the most over several
steps in the ball of radius ρ. Characteristic radius of a class (CC-SAM Eq. 8), NaN for one of one
training sample: ρ_c = (‖w‖ / 2‖g_c‖)^½ k^(-¼) (n_c - 1)^(-¼).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.config import DiagnoseConfig, SharpnessConfig
from landscape.errors import InputError, Setting
from landscape.groups import SplitName
from landscape.results.sharpness import Sharpness
from landscape.subject.subject import Scope, Subject
from landscape.weight_space.counted import shares_of_classes
from landscape.weight_space.evaluator import Evaluator

Array = NDArray[np.float64]
Perturbed = Literal["classifier", "all"]


@analysis("sharpness")
def sharpness(
    subject: Subject,
    settings: SharpnessConfig = DiagnoseConfig.sharpness,
    *,
    scopes: str | Sequence[str] = DiagnoseConfig.scopes,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> Sharpness:
    """Measure the rise of the loss under random noise and under ascent.

    A loss of slope (3, 4) rises by 5 times the radius:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> data = TensorData(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0])
    >>> settings = SharpnessConfig(draws=1, radius=0.1)
    >>> sharpness(subject, settings, scopes="overall").sam_sharpness.round(6)
    array([0.5])

    Args:
        subject: model, data and loss.
        settings: lengths and draws of the noise, radius and steps of the ascents.
        scopes: sets of samples, such as ``("overall", "class/3")``.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the model. Default: its own, single precision at least.
        batch_size: samples a forward pass.
        seed: of directions and of the draw of samples.
        progress: called with a word as each part starts.

    Raises:
        InputError: a value out of range, or a scope without samples.
    """
    resolved = subject.scopes(scopes, split)
    selection = subject.select_all(samples_per_class, seed)
    evaluator = Evaluator(
        subject, selection, dtype=precision(dtype, subject), batch_size=batch_size
    )
    mask = _perturbed_parameters(subject, evaluator, settings.perturbed)
    counts = np.array(subject.class_counts, dtype=np.float64)
    start = evaluator.at([], []).loss
    noisy = _under_noise(evaluator, mask, settings, seed, progress)
    rises, lengths = _rises(evaluator, mask, resolved, settings, progress)
    shares = shares_of_classes(subject, selection).numpy()
    return Sharpness(
        ratio=np.array(settings.ratios),
        scope=np.array([scope.name for scope in resolved]),
        loss=_of_scopes(noisy, resolved, shares),
        start=_of_scopes(start.numpy(), resolved, shares),
        perturbed=np.array(settings.perturbed),
        radius=np.array(settings.radius),
        sam_sharpness=rises[0],
        sam_sharpness_steps=rises[1],
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        class_loss=start.numpy(),
        weighted_loss=start.numpy() * counts / counts.sum(),
        characteristic_radius=_radii(evaluator, mask, counts, lengths),
    )


def _under_noise(
    evaluator: Evaluator,
    mask: list[bool],
    settings: SharpnessConfig,
    seed: int,
    progress: Progress | None,
) -> Array:
    """Evaluate every class at every length of every draw (R, draw, K); all scopes share them."""
    found = np.zeros((len(settings.ratios), settings.draws, len(evaluator.samples)))
    length = _norm([c for c, m in zip(evaluator.centre, mask, strict=True) if m])
    for draw in range(settings.draws):
        if progress is not None:
            progress(f"noise {draw + 1} of {settings.draws}")
        noise = _noise(evaluator, mask, seed * 1_000_003 + draw)
        for r, ratio in enumerate(settings.ratios):
            found[r, draw] = evaluator.at([noise], [ratio * length]).loss.numpy()
    return found


def _of_scopes(loss: Array, scopes: Sequence[Scope], shares: Array) -> Array:
    """Average losses (…, K) of the classes over each scope (…, S), NaN for one without weight."""
    found = np.full((*loss.shape[:-1], len(scopes)), np.nan)
    for s, scope in enumerate(scopes):
        members = [c for c in scope.classes if shares[c] > 0]
        if len(scope.classes) == 1:
            found[..., s] = loss[..., scope.classes[0]]
        elif members:
            found[..., s] = loss[..., members] @ (shares[members] / shares[members].sum())
    return found


def _rises(
    evaluator: Evaluator,
    mask: list[bool],
    scopes: Sequence[Scope],
    settings: SharpnessConfig,
    progress: Progress | None,
) -> tuple[Array, Array]:
    """Measure both rises of every scope on its own samples (2, S), NaN without samples.

    Returns:
        The rises, and the norms of the classes' gradients at the centre (K,).
    """
    rises = np.full((2, len(scopes)), np.nan)
    lengths = np.full(len(evaluator.samples), np.nan)

    def ascend(own: Evaluator, s: int) -> float:
        if progress is not None:
            progress(scopes[s].name)
        rises[:, s], length = _ascents(own, mask, settings.radius, settings.steps)
        return length

    alone = [scope.classes[0] if len(scope.classes) == 1 else None for scope in scopes]
    for c, own in evaluator.by_class():
        even = bool((own.weights == own.weights[0]).all())
        found = [ascend(own, s) for s, one in enumerate(alone) if one == c]
        lengths[c] = found[0] if found and even else _length_at_centre(own, mask)
    for s, one in enumerate(alone):
        members = torch.isin(evaluator.labels, torch.tensor(scopes[s].classes))
        if one is None and members.any():
            ascend(evaluator.on(members), s)
    return rises, lengths


def _length_at_centre(own: Evaluator, mask: list[bool]) -> float:
    """Norm of the gradient of the samples' plain mean loss."""
    own.move([], [])
    even = torch.full_like(own.weights, 1 / len(own.weights))
    return _norm(_masked(own.gradient(even), mask))


def _ascents(
    own: Evaluator, mask: list[bool], radius: float, steps: int
) -> tuple[tuple[float, float], float]:
    """Measure the rise after one step to the ball's edge, and the most of several steps.

    Each of several steps is 2/steps of the radius long, followed by a projection into the ball.

    Returns:
        Both rises, and the norm of the gradient at the centre.
    """
    weights = own.weights / own.weights.sum()
    shares = torch.bincount(own.labels, weights, minlength=len(own.samples))
    present = shares > 0

    def loss_at(step: list[Tensor], length: float) -> float:
        loss = own.at([step], [length]).loss
        return float((shares[present] * loss[present]).sum())

    offset = [torch.zeros_like(c) for c in own.centre]
    begin = loss_at(offset, 0.0)
    rises, first, norm = [], 0.0, 0.0
    for step in range(steps):
        gradient = _masked(own.gradient(weights), mask)
        slope = _norm(gradient)
        length = slope or np.inf  # no step where there is no slope
        if step == 0:
            norm, first = slope, loss_at(gradient, radius / length) - begin
        scale = 2 * radius / steps / length
        offset = [o + scale * g for o, g in zip(offset, gradient, strict=True)]
        outside = max(_norm(offset) / radius, 1.0) if radius > 0 else 1.0
        offset = [o / outside for o in offset]
        rises.append(loss_at(offset, 1.0) - begin)
    return (first, max([first, *rises])), norm


def _radii(evaluator: Evaluator, mask: list[bool], counts: Array, lengths: Array) -> Array:
    """Compute the characteristic radii (K,) from the norms of the classes' gradients."""
    kept = [c for c, m in zip(evaluator.centre, mask, strict=True) if m]
    size, length = sum(c.numel() for c in kept), _norm(kept)
    known = (lengths > 0) & (counts >= 2)
    found = np.full(len(counts), np.nan)
    found[known] = (length / (2 * lengths[known])) ** 0.5 * (size * (counts[known] - 1)) ** -0.25
    return found


def _perturbed_parameters(
    subject: Subject, evaluator: Evaluator, perturbed: Perturbed
) -> list[bool]:
    if perturbed == "all":
        return [True] * len(evaluator.parameters)
    classifier = subject.classifier_name()
    own = set(map(id, evaluator.model.get_submodule(classifier).parameters()))
    found = [id(parameter) in own for parameter in evaluator.parameters]
    if not any(found):
        raise InputError(
            f"the classifier '{classifier}' has no trainable parameter; perturb all of them with ",
            Setting("sharpness.perturbed"),
            " all",
        )
    return found


def _noise(evaluator: Evaluator, mask: list[bool], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    raw = [torch.randn(c.shape, generator=generator, dtype=torch.float64) for c in evaluator.centre]
    raw = _masked(raw, mask)
    length = _norm(raw)
    return [(n / length).to(c) for n, c in zip(raw, evaluator.centre, strict=True)]


def _masked(parts: Sequence[Tensor], mask: list[bool]) -> list[Tensor]:
    return [p if m else torch.zeros_like(p) for p, m in zip(parts, mask, strict=True)]


def _norm(parts: Sequence[Tensor]) -> float:
    return float(sum((p.double() ** 2).sum() for p in parts)) ** 0.5
