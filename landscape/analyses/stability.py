r"""Compare the curvature of every scope with the training's step: the edge of stability.

Gradient descent with step η and momentum β is stable on a quadratic while its curvature is below
2 (1 + β) / η; training rises to that edge and stays there (Cohen et al. 2021). SAM's step is stable
while λ (1 + ρ λ / ‖g‖) is (Long and Bartlett 2024), and its flow is drawn to a saddle where
ρ |λmin| / ‖g‖ exceeds 1 (Kim et al. 2023). Squared cosines tell how far the gradients of the
classes, and the way to the next checkpoint, go along the whole Hessian's extreme eigenvectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.kept_spectra import KeptSpectra, ScopeSpectrum, scope_spectrum
from landscape.analyses.surface import Weights, weights_at
from landscape.config import DiagnoseConfig, SpectrumConfig, StabilityConfig
from landscape.curvature.norms import norm
from landscape.groups import SplitName
from landscape.results.stability import Stability
from landscape.subject.subject import Scope, Subject
from landscape.weight_space.class_gradients import class_gradients, column_blocks, model_over
from landscape.weight_space.counted import shares_of_classes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingStep:
    """What a training does with a gradient at a checkpoint."""

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    rho: float | None = None  # of SAM and its kin
    batch_size: int | None = None


@analysis("stability")
def stability(
    subject: Subject,
    settings: StabilityConfig = DiagnoseConfig.stability,
    *,
    trained: TrainingStep | None = None,
    following: Mapping[str, Weights] | None = None,
    scopes: str | Sequence[str] = DiagnoseConfig.scopes,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    spectrum: SpectrumConfig = DiagnoseConfig.spectrum,
    progress: Progress | None = None,
    kept_spectra: KeptSpectra | None = None,
) -> Stability:
    """Compare the sharpness of every scope with what the training's step can bear.

    The loss 2 w² has the curvature 4, which a step of 0.5 just bears:

    >>> import torch
    >>> from landscape import StabilityConfig, Subject, TensorData
    >>> model = torch.nn.Linear(1, 1, bias=False).double()
    >>> data = TensorData(torch.ones(2, 1).double(), torch.tensor([0, 0]))
    >>> subject = Subject(model, data, lambda outputs, _: 2 * outputs[:, 0] ** 2)
    >>> stability(subject, StabilityConfig(learning_rate=0.5), scopes="overall").edge
    array([1.])

    Args:
        subject: model, data and loss.
        settings: the step, where it is not that of the training.
        trained: the training's step at this checkpoint, where it is known.
        following: the checkpoint that training reached next, by its name.
        scopes: sets of samples; the whole is taken in any case.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the products. Default: the model's, single precision at least.
        batch_size: samples a forward pass.
        seed: of the start vectors and of the draw of samples.
        spectrum: steps, tolerance and memory of the Krylov runs; the matrix is the whole Hessian.
        progress: called with the name of each scope as it starts.
        kept_spectra: of this checkpoint, from other analyses of the same command.

    Raises:
        InputError: a value out of range, or a scope without samples.
    """
    kept = KeptSpectra() if kept_spectra is None else kept_spectra
    options: dict[str, Any] = {"dtype": precision(dtype, subject), "batch_size": batch_size}
    resolved = subject.scopes(scopes, split)

    def spectrum_of(scope: Scope) -> ScopeSpectrum:
        if progress is not None:
            progress(scope.name)
        selection = subject.select(scope, samples_per_class, seed)
        return scope_spectrum(subject, scope, selection, spectrum, kept, seed=seed, **options)

    (overall,) = subject.scopes("overall")
    whole = spectrum_of(overall)
    found = [whole if scope == overall else spectrum_of(scope) for scope in resolved]
    vectors = whole.spectrum.vectors.flip(1)  # of the highest and of the lowest value
    along = _gradients_along(subject, resolved, vectors, samples_per_class, seed, options)
    name, step = _step_along(subject, following or {}, vectors)
    ends = [(one.spectrum.low, one.spectrum.high) for one in found]
    floors = np.array([one.spectrum.noise.rounding for one in found])
    low, high = (np.array([pair[k].value for pair in ends]) for k in (0, 1))
    lowest, highest = (
        np.array([getattr(one.spectrum, side) for one in found]) for side in ("lowest", "highest")
    )
    return Stability(
        scope=np.array([scope.name for scope in resolved]),
        training_count=np.array(
            [sum(subject.class_counts[c] for c in s.classes) for s in resolved]
        ),
        samples=np.array(
            [subject.select(scope, samples_per_class, seed).counted for scope in resolved]
        ),
        loss=np.array([one.loss for one in found]),
        grad_norm=np.array([one.grad_norm for one in found]),
        lambda_max=high,
        lambda_max_bracket=np.stack([high - floors, highest], axis=1),
        lambda_min=low,
        lambda_min_bracket=np.stack([lowest, low + floors], axis=1),
        gradient_top=along[:, 0],
        gradient_lowest=along[:, 1],
        step_top=np.array(step[0]),
        step_lowest=np.array(step[1]),
        chance=np.array(1 / len(vectors)),
        next=np.array(name),
        whole_grad_norm=np.array(whole.grad_norm),
        **_step(settings, trained),
    )


def _step(settings: StabilityConfig, trained: TrainingStep | None) -> dict[str, Array]:
    """The training's step, or what settings say in place of it."""
    known = trained or TrainingStep(float("nan"))
    found = {"weight_decay": np.array(known.weight_decay)}
    for name in ("learning_rate", "momentum", "rho"):
        own, its = getattr(settings, name), getattr(known, name)
        chosen = its if own is None else own
        found[name] = np.array(np.nan if chosen is None else chosen)
    return found


def _gradients_along(
    subject: Subject,
    scopes: Sequence[Scope],
    vectors: Tensor,
    samples_per_class: int | None,
    seed: int,
    options: dict[str, Any],
) -> Array:
    """Squared cosines (S, 2) of the scopes' gradients with vectors, in one pass over the data."""
    selection = subject.select_all(samples_per_class, seed)
    shares = shares_of_classes(subject, selection)
    mix = torch.zeros(len(scopes), subject.num_classes, dtype=torch.float64)
    for row, scope in zip(mix, scopes, strict=True):
        own = list(scope.classes)
        row[own] = shares[own] / shares[own].sum()
    inner = torch.zeros(len(scopes), vectors.shape[1], dtype=torch.float64)
    squares = torch.zeros(len(scopes), dtype=torch.float64)
    _, parameters = model_over(subject, ("*",), options["dtype"], "eval")
    for columns in column_blocks(subject.num_classes, parameters, 4.0):
        found, _ = class_gradients(subject, selection, columns=columns, **options)
        rows = mix @ found.rows.cpu().double()
        inner += rows @ vectors[columns].double()
        squares += norm(rows, dim=1).square()
    cosines: Array = (inner.square() / squares[:, None]).numpy()
    return cosines


def _step_along(
    subject: Subject, following: Mapping[str, Weights], vectors: Tensor
) -> tuple[str, tuple[float, float]]:
    """Squared cosines of the way to the next checkpoint with vectors."""
    for name, other in following.items():
        ahead = weights_at(subject, other, name)
        here = [p.detach() for p in subject.model.parameters() if p.requires_grad]
        way = [(a.to(h) - h).double().cpu() for a, h in zip(ahead, here, strict=True)]
        parts = zip(way, vectors.split([w.numel() for w in way]), strict=True)
        inner = sum(w.flatten() @ part.double() for w, part in parts)
        length = sum(float(norm(w)) ** 2 for w in way)
        top, lowest = (float(x) ** 2 / length if length else float("nan") for x in inner)
        return name, (top, lowest)
    return "", (float("nan"), float("nan"))
