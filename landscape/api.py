"""The Python interface: a subject in, a record with its origin out.

Keywords are called as the fields of the configurations in :mod:`landscape.config`, and checked. All
analyses take

- ``dtype``: ``float32`` or ``float64``; by default the model's, single precision at least;
- ``batch_size``: samples a forward pass, 256;
- ``seed``: of every random draw, 0;
- ``name``, ``data_name``, ``checkpoint``: how tables, figures and files call the model, the data
  and the point; by default the classes of the first two, and ``model``.

``split`` says which rule defines head, mid and tail, ``samples_per_class`` how many samples of a
class are used at most, ``scopes`` which sets of samples are spoken of: one name or several of
``overall``, ``head``, ``mid``, ``tail``, ``classes``, ``class/3``.
"""

from typing import Any

from torch import Tensor

from landscape.analyses import sharpness as perturbations
from landscape.analyses import spectrum as spectra
from landscape.analyses.analysis import Call, Progress, by_keyword
from landscape.api_samples import accuracy, features, similarity
from landscape.api_surface import surface
from landscape.errors import InputError
from landscape.results.load import Gradients, Sharpness, Spectrum
from landscape.subject.subject import Subject
from landscape.weight_space import class_gradients

__all__ = [
    "accuracy",
    "features",
    "gradients",
    "sharpness",
    "similarity",
    "spectrum",
    "surface",
]


@by_keyword
def spectrum(
    subject: Subject,
    *,
    progress: Progress | None = None,
    memory: dict[str, Tensor] | None = None,
    **settings: Any,
) -> Spectrum:
    """Compute the Hessian spectrum of every scope: both ends, trace, density, verdict.

    Args:
        subject: model, data and loss.
        progress: called with the name of each scope as it starts.
        memory: extreme vectors of a neighbouring checkpoint by scope, used with ``warm_start`` and
            replaced by those found.
        settings: ``scopes``, ``split``, ``samples_per_class``, ``bn``, those of every analysis, and
            those of :class:`landscape.config.SpectrumConfig`, such as ``steps`` and ``tolerance``.

    Raises:
        InputError: an unknown keyword, a value out of range, or a scope without samples.
    """
    call = Call.of("spectrum", subject, settings)
    found = spectra.spectrum(
        subject,
        call.scopes(),
        call.config.spectrum,
        samples_per_class=call.config.samples_per_class,
        dtype=call.dtype,
        bn=call.config.bn,
        batch_size=call.config.batch_size,
        seed=call.config.seed,
        progress=progress,
        memory=memory,
    )
    return call.finish(found)


@by_keyword
def gradients(
    subject: Subject, *, follow: class_gradients.Follow | None = None, **settings: Any
) -> Gradients:
    """Compare the classes' gradients: cosines, conflicts, norms, by layer.

    Args:
        subject: model, data and loss.
        follow: from inputs and labels of a mini-batch to what a training rule would follow there,
            one tensor a trainable parameter; with ``batches``.
        settings: ``samples_per_class``, those of every analysis, and those of
            :class:`landscape.config.GradientsConfig`: ``parameters``; ``batches`` and ``mode``.

    Raises:
        InputError: an unknown keyword, or gradients that take too much memory.
    """
    call = Call.of("gradients", subject, settings, direction=follow is not None)
    config, own = call.config, call.config.gradients
    if own.batches == 0:
        if follow is not None:
            raise InputError("what a rule follows is compared on mini-batches; give batches, too")
        found = class_gradients.gradients(
            subject,
            call.everything(),
            parameters=own.parameters,
            dtype=call.dtype,
            batch_size=config.batch_size,
        )
        return call.finish(found)
    found = class_gradients.batch_gradients(
        subject,
        own.batches,
        mode="batch" if own.mode == "train" else "eval",
        batch_size=config.batch_size,
        seed=config.seed,
        dtype=call.dtype,
        follow=follow,
    )
    return call.finish(found, "batch" if own.mode == "train" else "eval")


@by_keyword
def sharpness(subject: Subject, *, progress: Progress | None = None, **settings: Any) -> Sharpness:
    """Measure how the loss rises under random noise and under ascent.

    Args:
        subject: model, data and loss.
        progress: called with a word as each part starts.
        settings: ``scopes``, ``split``, ``samples_per_class``, those of every analysis, and those
            of :class:`landscape.config.SharpnessConfig`, such as ``ratios`` and ``radius``.

    Raises:
        InputError: an unknown keyword, or a value out of range.
    """
    call = Call.of("sharpness", subject, settings)
    own = call.config.sharpness
    found = perturbations.sharpness(
        subject,
        call.everything(),
        call.scopes(),
        ratios=own.ratios,
        draws=own.draws,
        perturbed=own.perturbed,
        radius=own.radius,
        steps=own.steps,
        seed=call.config.seed,
        dtype=call.dtype,
        batch_size=call.config.batch_size,
        progress=progress,
    )
    return call.finish(found)
