r"""Tell which outlier eigenvalue of the Hessian belongs to which class.

The Hessian of the mean loss is H = Σ_c p_c H_c with the classes' shares p_c. So an eigenvector u of
unit length splits its eigenvalue exactly, λ = Σ_c p_c uᵀ H_c u, and the summand of a class is what
it adds to the spike. One product a class and vector gives the summands, and their sum certifies
value and residual. Beside them stand the squared cosines of u with the gradients of the classes and
of their logits (Papyan 2020; Fort and Ganguli 2019), the share of a gradient in the span of all
spikes, and overlaps of such spans (Gur-Ari, Roberts and Dyer 2018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape.analyses.analysis import Precision, Progress, analysis, precision
from landscape.analyses.kept_spectra import (
    KeptSpectra,
    class_scopes,
    hessian_of,
    scope_spectrum,
    whole_hessian,
)
from landscape.analyses.similarity import only_one
from landscape.config import DiagnoseConfig, SpectrumConfig, SpikesConfig
from landscape.curvature.leading import Leading, overlap
from landscape.curvature.memory import GIB, free_bytes
from landscape.curvature.norms import norm
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError, Setting
from landscape.groups import SplitName, split_classes
from landscape.results.spikes import Spikes
from landscape.subject.data import TowardsLabels, hard_targets
from landscape.subject.evaluation_copy import unwrapped
from landscape.subject.loss import Loss
from landscape.subject.parameters import check_weights
from landscape.subject.subject import Scope, Selection, Subject
from landscape.weight_space.class_gradients import class_gradients, column_blocks, model_over
from landscape.weight_space.counted import counted, shares_of_classes

Array = NDArray[np.float64]


def _named_other(settings: SpikesConfig, arguments: Mapping[str, Any]) -> SpikesConfig:
    """Store the name of the other checkpoint."""
    other = only_one(arguments["against"])
    return replace(settings, against=other[0] if other else None)


@analysis("spikes", _named_other)
def spikes(
    subject: Subject,
    settings: SpikesConfig = DiagnoseConfig.spikes,
    *,
    against: nn.Module | Mapping[str, nn.Module] | None = None,
    scopes: str | Sequence[str] = DiagnoseConfig.scopes,
    split: SplitName | None = None,
    samples_per_class: int | None = None,
    dtype: Precision = None,
    batch_size: int = 256,
    seed: int = 0,
    spectrum: SpectrumConfig = DiagnoseConfig.spectrum,
    progress: Progress | None = None,
    kept_spectra: KeptSpectra | None = None,
) -> Spikes:
    """Split the outlier eigenvalues of the Hessian by class, and compare the classes' spans.

    Two classes whose losses are 4 w₁² and w₂² own an eigenvalue each, of 4 and 1:

    >>> import torch
    >>> from landscape import SpikesConfig, Subject, TensorData
    >>> model = torch.nn.Linear(2, 1, bias=False).double()
    >>> data = TensorData(torch.diag(torch.tensor([2.0, 1.0])).double(), torch.tensor([0, 1]))
    >>> subject = Subject(model, data, lambda outputs, _: outputs[:, 0] ** 2)
    >>> found = spikes(subject, SpikesConfig(vectors=2))
    >>> found.value.round(6), found.owner
    (array([4., 1.]), array([0, 1]))

    Args:
        subject: model, data and loss.
        settings: how many spikes, and the checkpoint compared with.
        against: another network of the same architecture, or its name and itself in a mapping.
        scopes: the single classes among them have a span of their own, which takes a Krylov run.
        split: rule that defines head, mid and tail.
        samples_per_class: at most so many samples of a class.
        dtype: precision of the products. Default: the model's, single precision at least.
        batch_size: samples a forward pass.
        seed: of the start vectors and of the draw of samples.
        spectrum: steps, tolerance and memory of the Krylov runs; the matrix is the whole Hessian.
        progress: called with the name of each scope as it starts.
        kept_spectra: of this checkpoint, from the spectrum in the same command; those that are
            there are not computed again.

    Raises:
        InputError: a value out of range, a scope without samples, or spans that take too much
            memory.
    """
    own = precision(dtype, subject)
    count = settings.vectors or subject.num_classes
    work = _Work(
        subject=subject,
        spectrum=spectrum,
        kept=_of_use(kept_spectra, count),
        samples_per_class=samples_per_class,
        options={"dtype": own, "batch_size": batch_size},
        seed=seed,
        report=progress or (lambda _: None),
    )
    selection = counted(subject, subject.select_all(samples_per_class, seed))
    (overall,) = subject.scopes("overall")
    whole = work.leading(overall)
    pairs = work.split(selection, whole.vectors)
    values, residuals = _certified(pairs, whole.vectors)
    gradients = work.overlaps(subject, selection, whole.vectors)
    logits = work.overlaps(_of_logits(subject), selection, whole.vectors)
    spans = work.spans(class_scopes(subject.scopes(scopes, split)), len(values))
    name, agreement = _against(work, only_one(against), overall, whole)
    return Spikes(
        spike=np.arange(1, len(values) + 1),
        value=values,
        residual=residuals,
        angle=whole.angles.numpy(),
        class_name=np.array(subject.class_names),
        training_count=np.array(subject.class_counts),
        samples=_counts(subject, selection),
        curvature=pairs.curvature.T,
        gradient_overlap=gradients.squares.T,
        logit_overlap=logits.squares.T,
        gradient_share=gradients.squares.sum(axis=1),
        logit_share=logits.squares.sum(axis=1),
        whole_share=np.array(gradients.whole),
        subspace_angle=np.array(whole.subspace_angle),
        chance=np.array(len(values) / len(whole.vectors)),
        against=np.array(name),
        against_overlap=np.array(agreement),
        split=np.array(split_classes(subject.class_counts, split)[0]),
        **_compared(spans, subject.num_classes, whole),
    )


@dataclass(frozen=True)
class _Split:
    """Products of the vectors with the Hessian of every class."""

    curvature: Array  # (K, E) p_c uᵀ H_c u
    products: Tensor  # (P, E) float64, H u


@dataclass(frozen=True)
class _Overlaps:
    """Squared cosines of the vectors with gradients."""

    squares: Array  # (K, E), NaN for a class without samples
    whole: float  # share of the gradient of all samples in the span


@dataclass(frozen=True)
class _Work:
    """What all parts of the analysis need."""

    subject: Subject
    spectrum: SpectrumConfig
    kept: KeptSpectra
    samples_per_class: int | None
    options: dict[str, Any]
    seed: int
    report: Progress

    def leading(self, scope: Scope) -> Leading:
        """Find the uppermost Ritz pairs of a scope's Hessian."""
        self.report(scope.name)
        selection = self.subject.select(scope, self.samples_per_class, self.seed)
        found = scope_spectrum(
            self.subject, scope, selection, self.spectrum, self.kept, seed=self.seed, **self.options
        )
        assert found.spectrum.leading is not None
        return found.spectrum.leading

    def split(self, selection: Selection, vectors: Tensor) -> _Split:
        """Multiply the vectors with every class's Hessian, one product a class and vector."""
        subject, labels = self.subject, self.subject.data.labels[selection.indices]
        curvature = np.full((subject.num_classes, vectors.shape[1]), np.nan)
        total = torch.zeros_like(vectors, dtype=torch.float64)
        operator: CurvatureOperator | None = None
        for c in labels.unique().tolist():
            members = labels == c
            share = float(selection.weights[members].sum())
            if share == 0:
                curvature[c] = 0
                continue
            own = Selection(selection.indices[members], selection.weights[members] / share)
            if operator is None:
                operator = hessian_of(subject, own, whole_hessian(self.spectrum), **self.options)
            operator = operator.on(own)
            if not self.spectrum.allow_nondeterministic:
                operator.check_deterministic()
            products = operator.matmat(vectors.to(operator.device)).cpu().double()
            curvature[c] = share * (vectors.double() * products).sum(dim=0).numpy()
            total += share * products
        return _Split(curvature, total)

    def overlaps(self, subject: Subject | None, selection: Selection, vectors: Tensor) -> _Overlaps:
        """Compute squared cosines with the classes' gradients, a block of columns at a time."""
        classes, count = self.subject.num_classes, vectors.shape[1]
        if subject is None:
            return _Overlaps(np.full((classes, count), np.nan), np.nan)
        shares = shares_of_classes(subject, selection)
        rows = torch.zeros(classes + 1, count, dtype=torch.float64)  # the last is of all samples
        squares = torch.zeros(classes + 1, dtype=torch.float64)
        _, parameters = model_over(subject, ("*",), self.options["dtype"], "eval")
        for columns in column_blocks(classes, parameters, self.spectrum.memory_budget or 4.0):
            found, _ = class_gradients(subject, selection, columns=columns, **self.options)
            part = found.rows.cpu().double()
            part = torch.cat([part, (shares @ part)[None]])
            rows += part @ vectors[columns].double()
            squares += norm(part, dim=1).square()
        cosines = (rows.square() / squares[:, None]).numpy()
        return _Overlaps(cosines[:-1], float(cosines[-1].sum()))

    def spans(self, scopes: Mapping[int, Scope], count: int) -> dict[int, Leading]:
        """Find the uppermost Ritz pairs of each class asked for.

        Raises:
            InputError: they do not fit the memory.
        """
        size = sum(p.numel() for p in self.subject.model.parameters() if p.requires_grad)
        needed = len(scopes) * (count + 2 * 2) * size * self.options["dtype"].itemsize
        free = free_bytes(torch.device("cpu"))
        if free is not None and free < needed:
            raise InputError(
                f"{count} vectors of {size} parameters for each of {len(scopes)} classes take "
                f"{needed / GIB:.3g} GiB, and {free / GIB:.3g} are free; name fewer ",
                *(Setting("scopes"), ", or lower ", Setting("spikes.vectors")),
            )
        return {c: self.leading(scope) for c, scope in scopes.items()}


def _certified(found: _Split, vectors: Tensor) -> tuple[Array, Array]:
    """Compute Rayleigh quotients and residuals of unit vectors from their products."""
    exact = vectors.double()
    values = (exact * found.products).sum(dim=0) / exact.square().sum(dim=0)
    return values.numpy(), norm(found.products - values * exact, dim=0).numpy()


def _of_logits(subject: Subject) -> Subject | None:
    """Take the logit of each sample's class, less the mean logit, in place of the loss."""
    if not subject.loss.takes_logits or hard_targets(subject.data) is not subject.data.labels:
        return None

    def centred(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.gather(1, labels.long()[:, None])[:, 0] - logits.mean(dim=1)

    loss = Loss(centred, "logit", takes_logits=True)
    return replace(subject, data=TowardsLabels(subject.data), loss=loss)


def _compared(spans: Mapping[int, Leading], classes: int, whole: Leading) -> dict[str, Array]:
    """Compare the spans of the classes with each other and with that of all samples."""
    count = len(whole.values)
    values = np.full((classes, count), np.nan)
    residuals, overlaps = values.copy(), np.full((classes, classes), np.nan)
    with_whole = np.full(classes, np.nan)
    for c, own in spans.items():
        values[c, : len(own.values)] = own.values.numpy()
        residuals[c, : len(own.values)] = own.residuals.numpy()
        with_whole[c] = overlap(own.vectors, whole.vectors)
        for d, other in spans.items():
            if d <= c:
                overlaps[c, d] = overlaps[d, c] = overlap(own.vectors, other.vectors)
    return {
        "class_value": values,
        "class_residual": residuals,
        "subspace_overlap": overlaps,
        "overlap_with_whole": with_whole,
    }


def _of_use(kept: KeptSpectra | None, count: int) -> KeptSpectra:
    """Take the spectra that were kept, where they have as many vectors as are asked for."""
    return kept if kept is not None and kept.leading == count else KeptSpectra(count)


def _against(
    work: _Work, other: tuple[str, nn.Module] | None, scope: Scope, whole: Leading
) -> tuple[str, float]:
    """Compare the span of the spikes with that at another checkpoint."""
    if other is None:
        return "", float("nan")
    name, model = other
    check_weights(unwrapped(model), f" of '{name}'")
    there = replace(
        work, subject=replace(work.subject, model=model), kept=KeptSpectra(len(whole.values))
    )
    return name, overlap(whole.vectors, there.leading(scope).vectors)


def _counts(subject: Subject, selection: Selection) -> NDArray[np.int64]:
    labels = subject.data.labels[selection.indices]
    found: NDArray[np.int64] = torch.bincount(labels, minlength=subject.num_classes).numpy()
    return found
