"""The analysis core: a model, labelled data and a loss in; result records with error bounds out.

    import landscape

    subject = landscape.Subject(model, dataset)
    spectrum = landscape.spectrum(subject, scopes="classes")
    spectrum.save("spectrum.h5")

Names are imported when they are first used, and torch with those that need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape.api import (
        accuracy,
        features,
        gradients,
        sharpness,
        similarity,
        spectrum,
        surface,
    )
    from landscape.errors import InputError
    from landscape.loading import load
    from landscape.subject.loss import Loss, cross_entropy
    from landscape.subject.subject import Subject, TensorData

__all__ = [
    "InputError",
    "Loss",
    "Subject",
    "TensorData",
    "accuracy",
    "cross_entropy",
    "features",
    "gradients",
    "load",
    "sharpness",
    "similarity",
    "spectrum",
    "surface",
]
_MODULES = dict.fromkeys(__all__, "landscape.api") | {
    "InputError": "landscape.errors",
    "Loss": "landscape.subject.loss",
    "Subject": "landscape.subject.subject",
    "TensorData": "landscape.subject.subject",
    "cross_entropy": "landscape.subject.loss",
    "load": "landscape.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'landscape' has no attribute '{name}'")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
