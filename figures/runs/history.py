"""The results of a run over training."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from figures.runs.folder import RunResults
from landscape.results import InputError
from landscape.results.provenance import Provenance
from landscape.results.result import Result
from landscape.results.spectrum import Spectrum

Array = NDArray[Any]
Item = TypeVar("Item", bound=Result)


def history(run: RunResults, kind: type[Item]) -> tuple[Array, list[Item], list[Provenance]]:
    """Read the results of every epoch of a run.

    Args:
        run: the run.
        kind: the record, for example :class:`Features`.

    Returns:
        Epochs (T,), records and provenances, in order of training.

    Raises:
        InputError: there is none; the message gives the command that makes them.
    """
    names = run.checkpoints(kind)
    if not names:
        analysis = kind.analysis_name()
        raise InputError(
            f"'{run.path}' has no {analysis}; run 'tailscape diagnose {run.path} --analyses "
            f"{analysis} --checkpoints all'"
        )
    loaded = [run.load(kind, name) for name in names]
    epochs = np.array([int(name.removeprefix("epoch_")) for name in names])
    return epochs, [record for record, _ in loaded], [origin for _, origin in loaded]


def stored_spectra(run: RunResults) -> list[tuple[Spectrum, Provenance]]:
    """Read the spectra of every epoch of a run, with their provenances.

    Raises:
        InputError: there is none; the message gives the command that makes them.
    """
    names = run.checkpoints(Spectrum)
    if not names:
        raise InputError(
            f"'{run.path}' has no spectrum; run 'tailscape diagnose {run.path} --analyses "
            "spectrum --checkpoints all'"
        )
    return [run.load(Spectrum, name) for name in names]
