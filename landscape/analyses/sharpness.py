r"""Measure sharpness: loss under random noise and ascent, and the radius of the theory.

Random: ε Gaussian, scaled to ‖ε‖ = ratio ‖w‖ over the perturbed parameters (CC-SAM Fig. 1). Ascent:
L(w + ε) - L(w) after one step of length ρ along the scope's gradient (Foret et al. 2021), and the
most over several steps in the ball of radius ρ. Characteristic radius of a class (CC-SAM Eq. 8):
ρ_c = (‖w‖ / 2‖g_c‖)^½ k^(-¼) (n_c - 1)^(-¼), NaN for a class of one training sample.
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
from landscape.subject.subject import Scope, Selection, Subject
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

    The loss w² at w = 1 rises to 1.5² in a ball of radius 0.5:

    >>> import torch
    >>> from landscape import Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> model.weight.data.fill_(1.0)
    tensor([[1.]])
    >>> data = TensorData(torch.ones(2, 1), torch.tensor([0, 0]))
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2)
    >>> settings = SharpnessConfig(draws=1, perturbed="all", radius=0.5)
    >>> sharpness(subject, settings, scopes="overall").sam_sharpness
    array([1.25])

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
    mask = _perturbed_parameters(subject, evaluator.names, settings.perturbed)
    counts = np.array(subject.class_counts, dtype=np.float64)
    start = evaluator.at([], []).loss.numpy()
    absent = (evaluator.samples == 0).numpy()
    loss = _under_noise(evaluator, mask, resolved, counts, settings, seed, progress)
    labels = subject.data.labels[selection.indices]
    rises = _rises(evaluator, mask, resolved, labels, selection, settings, progress)
    return Sharpness(
        ratio=np.array(settings.ratios),
        scope=np.array([scope.name for scope in resolved]),
        loss=loss,
        start=np.array([_scope_loss(start, scope, counts, absent) for scope in resolved]),
        perturbed=np.array(settings.perturbed),
        radius=np.array(settings.radius),
        sam_sharpness=rises[0],
        sam_sharpness_steps=rises[1],
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        class_loss=start,
        weighted_loss=start * counts / counts.sum(),
        characteristic_radius=_radii(evaluator, mask, labels, counts),
    )


def _rises(
    evaluator: Evaluator,
    mask: list[bool],
    scopes: tuple[Scope, ...],
    labels: Tensor,
    selection: Selection,
    settings: SharpnessConfig,
    progress: Progress | None,
) -> Array:
    """Measure both rises of every scope (2, S), NaN for a scope without samples."""
    rises = np.full((2, len(scopes)), np.nan)
    for s, scope in enumerate(scopes):
        if progress is not None:
            progress(scope.name)
        if torch.isin(labels, torch.tensor(scope.classes)).any():
            found = _ascents(
                evaluator, mask, scope, labels, selection, settings.radius, settings.steps
            )
            rises[:, s] = found
    return rises


def _under_noise(
    evaluator: Evaluator,
    mask: list[bool],
    scopes: tuple[Scope, ...],
    counts: Array,
    settings: SharpnessConfig,
    seed: int,
    progress: Progress | None,
) -> Array:
    ratios, draws = settings.ratios, settings.draws
    loss = np.zeros((len(ratios), draws, len(scopes)))
    absent = (evaluator.samples == 0).numpy()
    length = _norm([c for c, m in zip(evaluator.centre, mask, strict=True) if m])
    for draw in range(draws):
        if progress is not None:
            progress(f"noise {draw + 1} of {draws}")
        noise = _noise(evaluator, mask, seed * 1_000_003 + draw)
        for r, ratio in enumerate(ratios):
            found = evaluator.at([noise], [ratio * length]).loss.numpy()
            loss[r, draw] = [_scope_loss(found, scope, counts, absent) for scope in scopes]
    return loss


def _ascents(
    evaluator: Evaluator,
    mask: list[bool],
    scope: Scope,
    labels: Tensor,
    selection: Selection,
    radius: float,
    steps: int,
) -> tuple[float, float]:
    """Return the rise of a scope's loss after one step to the ball's edge, and the most of several.

    Each of several steps is 2/steps of the radius long, followed by a projection into the ball.
    """
    members = torch.isin(labels, torch.tensor(scope.classes))
    weights = selection.weights * members
    weights = weights / weights.sum()

    def value() -> float:
        found = evaluator.judge()
        per_class = torch.bincount(labels, weights, minlength=len(found.loss))
        present = per_class > 0
        return float((per_class[present] * found.loss[present]).sum())

    offset = [torch.zeros_like(c) for c in evaluator.centre]
    evaluator.at([], [])
    begin, rises, first = value(), [], 0.0
    for step in range(steps):
        gradient = _masked(evaluator.gradient(weights), mask)
        length = _norm(gradient) or np.inf  # no step where there is no slope
        if step == 0:
            evaluator.at([gradient], [radius / length])
            first = value() - begin
        offset = [
            o + 2 * radius / steps / length * g for o, g in zip(offset, gradient, strict=True)
        ]
        outside = max(_norm(offset) / radius, 1.0) if radius > 0 else 1.0
        offset = [o / outside for o in offset]
        evaluator.at([offset], [1.0])
        rises.append(value() - begin)
    evaluator.at([], [])
    return first, max([first, *rises])


def _radii(evaluator: Evaluator, mask: list[bool], labels: Tensor, counts: Array) -> Array:
    evaluator.at([], [])
    kept = [c for c, m in zip(evaluator.centre, mask, strict=True) if m]
    size, length = sum(c.numel() for c in kept), _norm(kept)
    found = np.full(len(counts), np.nan)
    for c in range(len(counts)):
        members = (labels == c).double()
        if members.sum() == 0 or counts[c] < 2:
            continue
        gradient = _norm(_masked(evaluator.gradient(members / members.sum()), mask))
        if gradient > 0:
            found[c] = (length / (2 * gradient)) ** 0.5 * (size * (counts[c] - 1)) ** -0.25
    return found


def _perturbed_parameters(
    subject: Subject, names: tuple[str, ...], perturbed: Perturbed
) -> list[bool]:
    if perturbed == "all":
        return [True] * len(names)
    classifier = subject.classifier_name()
    found = [name.startswith(f"{classifier}.") for name in names]
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


def _scope_loss(loss: Array, scope: Scope, counts: Array, absent: NDArray[np.bool_]) -> float:
    members = [c for c in scope.classes if not absent[c]]
    if not members:
        return float("nan")
    shares = counts[members] / counts[members].sum()
    return float(loss[members] @ shares)
