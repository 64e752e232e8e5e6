"""The analysis core: a model, labelled data and a loss in; result records with error bounds out.

    import landscape
    from landscape import SpectrumConfig

    subject = landscape.Subject(model, dataset)
    spectrum = landscape.spectrum(subject, SpectrumConfig(steps=40), scopes="classes")
    spectrum.save("spectrum.h5")

An analysis is a function of a subject and of its settings, the object that the command line fills
and that result files hold. Its options are those of ``tailscape diagnose``: ``scopes``, ``split``,
``samples_per_class``, ``dtype``, ``batch_size``, ``seed``, as far as it takes them; and the data or
checkpoints it compares with. :func:`landscape.open_run` opens the checkpoints and results of a run.
Names are imported when they are first used, and torch with those that need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landscape.analyses.catalogue import ANALYSES

if TYPE_CHECKING:
    from landscape.analyses.accuracy import accuracy
    from landscape.analyses.features import features
    from landscape.analyses.gradient_noise import gradient_noise
    from landscape.analyses.gradients import gradients
    from landscape.analyses.operator import operator
    from landscape.analyses.path import path
    from landscape.analyses.sharpness import sharpness
    from landscape.analyses.similarity import similarity
    from landscape.analyses.spectrum import spectrum
    from landscape.analyses.spikes import spikes
    from landscape.analyses.stability import TrainingStep, stability
    from landscape.analyses.surface import surface
    from landscape.config import (
        FeaturesConfig,
        GradientNoiseConfig,
        GradientsConfig,
        PathConfig,
        SharpnessConfig,
        SimilarityConfig,
        SpectrumConfig,
        SpikesConfig,
        StabilityConfig,
        SurfaceConfig,
    )
    from landscape.errors import InputError
    from landscape.recording.recorder import Recorder
    from landscape.results.load import load, load_provenance
    from landscape.run import Run, open_run
    from landscape.subject.data import TensorData
    from landscape.subject.loss import Loss, cross_entropy
    from landscape.subject.subject import Subject

__all__ = [
    "FeaturesConfig",
    "GradientNoiseConfig",
    "GradientsConfig",
    "InputError",
    "Loss",
    "PathConfig",
    "Recorder",
    "Run",
    "SharpnessConfig",
    "SimilarityConfig",
    "SpectrumConfig",
    "SpikesConfig",
    "StabilityConfig",
    "Subject",
    "SurfaceConfig",
    "TensorData",
    "TrainingStep",
    "accuracy",
    "cross_entropy",
    "features",
    "gradient_noise",
    "gradients",
    "load",
    "load_provenance",
    "open_run",
    "operator",
    "path",
    "sharpness",
    "similarity",
    "spectrum",
    "spikes",
    "stability",
    "surface",
]
_PLACES = {
    "InputError": "landscape.errors",
    "Loss": "landscape.subject.loss",
    "Recorder": "landscape.recording.recorder",
    "Run": "landscape.run",
    "Subject": "landscape.subject.subject",
    "TensorData": "landscape.subject.data",
    "TrainingStep": "landscape.analyses.stability",
    "cross_entropy": "landscape.subject.loss",
    "load": "landscape.results.load",
    "load_provenance": "landscape.results.load",
    "open_run": "landscape.run",
    "operator": "landscape.analyses.operator",
}


def __getattr__(name: str) -> Any:
    if name in ANALYSES:
        found: Any = ANALYSES[name].load()
    elif name in _PLACES:
        found = getattr(import_module(_PLACES[name]), name)
    elif name in __all__:
        found = getattr(import_module("landscape.config"), name)
    else:
        raise AttributeError(f"module 'landscape' has no attribute '{name}'")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
