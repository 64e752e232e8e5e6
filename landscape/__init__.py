"""The analysis core: a model, labelled data and a loss in; result records with error bounds out.

    import landscape

    subject = landscape.Subject(model, dataset)
    spectrum = landscape.spectrum(subject, scopes="classes")
    spectrum.save("spectrum.h5")

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

Names are imported when they are first used, and torch with those that need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape.analyses.accuracy import accuracy
    from landscape.analyses.features import features
    from landscape.analyses.gradients import gradients
    from landscape.analyses.sharpness import sharpness
    from landscape.analyses.similarity import similarity
    from landscape.analyses.spectrum import spectrum
    from landscape.analyses.surface import surface
    from landscape.errors import InputError
    from landscape.results.load import load
    from landscape.subject.data import TensorData
    from landscape.subject.loss import Loss, cross_entropy
    from landscape.subject.subject import Subject

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
_MODULES = {
    "InputError": "landscape.errors",
    "Loss": "landscape.subject.loss",
    "Subject": "landscape.subject.subject",
    "TensorData": "landscape.subject.data",
    "accuracy": "landscape.analyses.accuracy",
    "cross_entropy": "landscape.subject.loss",
    "features": "landscape.analyses.features",
    "gradients": "landscape.analyses.gradients",
    "load": "landscape.results.load",
    "sharpness": "landscape.analyses.sharpness",
    "similarity": "landscape.analyses.similarity",
    "spectrum": "landscape.analyses.spectrum",
    "surface": "landscape.analyses.surface",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'landscape' has no attribute '{name}'")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
