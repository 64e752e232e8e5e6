"""Say in words what the verdicts of a few runs come to: whether the tail is at a saddle."""

from collections import Counter

import numpy as np

from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import scope_label
from figures.runs.settings import stored_plan
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum
from landscape.results.table import bracket, percent


def conclusions(request: Request) -> list[str]:
    """Sum up the class-wise spectra of each run, and of the others beside the first.

    Args:
        request: the runs and the checkpoint.

    Returns:
        A sentence a run that has a spectrum of its classes, and one a comparison; of intervals only
        what holds for every value inside them.
    """
    loaded = [(run, *held) for run in request.runs if (held := _spectrum(run, request))]
    found = [(run, spectrum) for run, spectrum, _ in loaded]
    names = _names([run for run, _ in found])
    sentences = [
        f"{name}: {_of_classes(spectrum, origin)}"
        for name, (_, spectrum, origin) in zip(names, loaded, strict=True)
    ]
    for name, (run, spectrum) in zip(names[1:], found[1:], strict=True):
        said = _beside(found[0][1], spectrum)
        tails = [_tail_accuracy(one, request) for one in (found[0][0], run)]
        known = [(data, percent(share)) for data, share in tails if np.isfinite(share)]
        if len(known) == 2 and known[0][0] == known[1][0]:
            said.append(f"{known[0][0]} accuracy of the tail {known[0][1]} against {known[1][1]}")
        if said:
            sentences.append(f"{names[0]} against {name}: {'; '.join(said)}")
    return sentences


def _of_classes(spectrum: Spectrum, origin: Provenance) -> str:
    at = [s for s, name in enumerate(spectrum.scope) if str(name).startswith("class/")]
    down = spectrum.lambda_min_bracket[at, 1] < 0
    ratios = spectrum.nonconvexity[at]
    largest = int(np.nanargmax(ratios)) if np.isfinite(ratios).any() else 0
    counts = Counter(str(word) for word in spectrum.verdict[at] if word)
    verdicts = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return (
        f"{int(down.sum())} of {len(at)} classes curve down, proved; largest |λmin/λmax| "
        f"{ratios[largest]:.2g}, {scope_label(str(spectrum.scope[at[largest]]), origin.config)}"
        + (f"; verdicts: {verdicts}" if verdicts else "")
    )


def _beside(first: Spectrum, other: Spectrum) -> list[str]:
    """Compare the tail's ends; intervals that overlap are not told apart."""
    common = [s for s in map(str, first.scope) if s in set(map(str, other.scope))]
    scope = "tail" if "tail" in common else (common[-1] if common else "")
    if not scope:
        return []
    said = []
    for name, one in (("λmax", "lambda_max_bracket"), ("λmin", "lambda_min_bracket")):
        a, b = getattr(first, one)[first.index(scope)], getattr(other, one)[other.index(scope)]
        apart = "" if a[1] < b[0] or b[1] < a[0] else " (not told apart)"
        said.append(f"{name} of the {scope} {bracket(*a)} against {bracket(*b)}{apart}")
    return said


def _spectrum(run: RunResults, request: Request) -> tuple[Spectrum, Provenance] | None:
    try:
        record, origin = run.load(Spectrum, request.checkpoint)
    except InputError:
        return None
    named = any(str(name).startswith("class/") for name in record.scope)
    return (record, origin) if named else None


def _tail_accuracy(run: RunResults, request: Request) -> tuple[str, float]:
    """Read the data judged and the accuracy of the tail; NaN where it is not known."""
    try:
        record, origin = run.load(Accuracy, request.checkpoint)
    except InputError:
        return "", float("nan")
    return record.judged_on(origin), float(record.by_scope().get("tail", np.nan))


def _names(runs: list[RunResults]) -> list[str]:
    """Name runs by their methods, or by their folders where methods repeat."""
    methods = [str(stored_plan(run).get("method", run.name)) for run in runs]
    return methods if len(set(methods)) == len(methods) else [run.name for run in runs]
