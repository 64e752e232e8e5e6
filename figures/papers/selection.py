"""Choose among the given runs for a figure of a paper, and list the missing ones."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from figures.catalogue import FIGURES
from figures.papers.commands import diagnose_command, run_folder, train_command
from figures.papers.figure import PaperFigure, Place, Want
from figures.runs.folder import RunResults
from figures.runs.settings import flat_settings, short_name, stored_plan
from landscape.results import InputError
from landscape.results.checkpoint_names import course, spelled

_SYSTEMS = {
    "saddle": "ce-drw+sam",
    "cc-sam": "ce-adversarial+cc-sam",
    "focal-sam": "la+focal-sam",
    "plot": "crt-mixup+plot",
    "gkp-gsa": "bcl+gkp+gsa",
    "mislas": "ce-mixup-las",
    "gcl": "clouded-mixup-rebalance",
    "bbn": "ce-bilateral",
}


@dataclass(frozen=True)
class CandidateRun:
    """A given run and the settings it was trained with."""

    run: RunResults
    settings: Mapping[str, Any]  # flat

    @property
    def place(self) -> Place:
        """Data and imbalance."""
        return Place(str(self.settings.get("data")), self.settings.get("imbalance"))


@dataclass(frozen=True)
class Choice:
    """The given runs that a figure shows, and the missing ones."""

    place: Place
    shown: list[RunResults]
    lacking: list[str]  # lines: the missing part, and the commands that make it
    coming: list[str]  # folders of the runs that these commands make


def read_runs(runs: Iterable[RunResults]) -> list[CandidateRun]:
    """Read the settings that runs were trained with.

    Raises:
        InputError: one is no run folder.
    """
    return [CandidateRun(run, flat_settings(stored_plan(run))) for run in runs]


def choose(figure: PaperFigure, given: list[CandidateRun], *, data: str = "paper") -> Choice:
    """Choose the runs a figure shows.

    Args:
        figure: with the runs it wants.
        given: to choose from.
        data: ``paper`` for its data, ``given`` for the data of the runs.

    Raises:
        InputError: the runs are on several data sets where ``given`` is asked for.
    """
    place = figure.place if data == "paper" else _place(figure, given)
    shown: list[RunResults] = []
    lacking: list[str] = []
    coming: list[str] = []
    for want in figure.wants:
        at = replace(place, **{n: want.settings[n] for n in Place.names() if n in want.settings})
        found = [g for g in given if _matches(g, want, figure, at)]
        if not found:
            coming.append(run_folder(want, at))
            lacking += _missing_run(figure, want, at)
        for one in found if FIGURES[figure.kind].joins_seeds else found[:1]:
            if one.run in shown:
                continue
            analyses = _missing_results(figure, one.run)
            if analyses:
                lacking += _missing_analyses(figure, one, analyses)
            else:
                shown.append(one.run)
    if "x" in figure.options:
        shown += _further_values(figure, given, place, shown)
    return Choice(place, shown, lacking, coming)


def same_method(one: str, other: str) -> bool:
    """Tell whether two names are of one method, variants apart."""
    return _words(one) == _words(other)


def _words(method: str) -> tuple[frozenset[str], tuple[str, ...]]:
    title, plus, rest = method.partition("@")[0].partition("+")
    base, *rules = (_SYSTEMS.get(title, title) + plus + rest).split("+")
    return frozenset(base.split("-")) - {"ce"}, tuple(rules)


def places(figure: PaperFigure, given: Iterable[CandidateRun]) -> list[Place]:
    """List the data of the runs whose method the figure wants."""
    fitting = (g for g in given if any(_fits_method(g, want, figure) for want in figure.wants))
    return list(dict.fromkeys(g.place for g in fitting))


def _place(figure: PaperFigure, given: list[CandidateRun]) -> Place:
    found = places(figure, given)
    if len(found) != 1:
        raise InputError(
            "--options data=given needs runs of the figure's methods on one data set; these are "
            f"on {'; '.join(place.label for place in found) or 'none'}"
        )
    return found[0]


def _fits_method(given: CandidateRun, want: Want, figure: PaperFigure) -> bool:
    if given.settings.get("classes"):
        return False
    if FIGURES[figure.kind].any_method:
        return True
    return same_method(str(given.settings["method"]), want.method)


def _matches(given: CandidateRun, want: Want, figure: PaperFigure, place: Place) -> bool:
    own = {n: v for n, v in want.settings.items() if n not in Place.names()}
    return (
        _fits_method(given, want, figure)
        and given.place.is_like(place)
        and all(_has(given.settings, name, value) for name, value in own.items())
    )


def _has(settings: Mapping[str, Any], name: str, value: Any) -> bool:
    for known, found in settings.items():
        if known == name or short_name(known) == name:
            numbers = isinstance(found, int | float) and isinstance(value, int | float)
            return math.isclose(found, value) if numbers else str(found) == str(value)
    return False


def _further_values(
    figure: PaperFigure, given: list[CandidateRun], place: Place, shown: list[RunResults]
) -> list[RunResults]:
    """List the runs of values that the table does not ask for."""
    swept = short_name(figure.options["x"])
    at = replace(place, imbalance=None) if swept == "imbalance" else place
    return [
        g.run
        for g in given
        if g.run not in shown
        and any(_fits_method(g, want, figure) for want in figure.wants)
        and g.place.is_like(at)
        and not _missing_results(figure, g.run)
    ]


def _missing_results(figure: PaperFigure, run: RunResults) -> list[str]:
    """List the analyses whose results the run lacks."""
    missing = []
    for analysis in figure.analyses:
        folder = run.path / "results" / figure.stored_as(analysis)
        stored = course(p.stem for p in folder.glob("*.h5"))
        name = spelled(figure.checkpoint, stored)
        there = bool(stored) if name == "last" else (folder / f"{name}.h5").is_file()
        if not (len(stored) > 1 if figure.over_time else there):
            missing.append(analysis)
    return missing


def _missing_run(figure: PaperFigure, want: Want, place: Place) -> list[str]:
    settings = ", ".join(f"{n} {v}" for n, v in want.settings.items() if n not in Place.names())
    folder = run_folder(want, place)
    return [
        f"  no run of {want.method} on {place.label}{settings and ', ' + settings}:",
        *_reference(figure, place),
        f"    {train_command(figure, want, place, folder)}",
        f"    {diagnose_command(figure, folder, figure.analyses, place)}",
    ]


def _missing_analyses(figure: PaperFigure, one: CandidateRun, analyses: list[str]) -> list[str]:
    when = "several checkpoints" if figure.over_time else f"checkpoint '{figure.checkpoint}'"
    return [
        f"  no {' and '.join(analyses)} of {when} of {one.settings['method']}:",
        *_reference(figure, one.place),
        f"    {diagnose_command(figure, str(one.run.path), analyses, one.place)}",
    ]


def _reference(figure: PaperFigure, place: Place) -> list[str]:
    if figure.reference is None:
        return []
    folder = run_folder(figure.reference, place)
    return [f"    {train_command(figure, figure.reference, place, folder)}"]
