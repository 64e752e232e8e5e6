"""Ask for a figure: runs, checkpoint, scopes and options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from figures.runs.folder import RunResults
from landscape.results import InputError, unknown
from landscape.results.remedy import remedy


@dataclass(frozen=True)
class Request:
    """The runs, checkpoint, scopes and options of a figure."""

    runs: tuple[RunResults, ...]
    checkpoint: str = "last"
    scopes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)  # a figure's own, by name
    over: tuple[str, ...] = ()  # checkpoints of a film, whose results its scales have to fit
    beside: tuple[RunResults, ...] = ()  # runs drawn elsewhere on the same scales

    def escaped(self) -> "Request":
        """Ask for the figure of a page, whose library reads texts as HTML."""
        return replace(self, runs=tuple(replace(run, escaped=True) for run in self.runs))

    def scaling(self) -> "list[Request]":
        """The requests whose results choose the scales: of all checkpoints, and runs beside.

        None where its own results do, which a figure has read already.
        """
        if not self.over and not self.beside:
            return []
        runs = self.runs + self.beside
        alone = replace(self, runs=runs, over=(), beside=())
        return [replace(alone, checkpoint=name) for name in self.over or (self.checkpoint,)]

    def surface_runs(self, *directions: str) -> tuple[RunResults, ...]:
        """Return the runs, with the surfaces of options ``directions`` and ``seed``.

        Args:
            directions: to look for where the option is not given, the first that all runs have;
                random ones by default.

        Raises:
            InputError: a value that is not known.
        """
        known = ("random", "pca", "checkpoints", "hessian")
        found = self.option("directions", known)
        if "directions" not in self.options and directions:
            common = [d for d in directions if all(run.has_surface(d) for run in self.runs)]
            found = common[0] if common else directions[0]
        seed = self.options.get("seed", "0")
        if not seed.isdigit():
            raise InputError(f"--options seed={seed} is not a number")
        kind = ("" if found == "random" else f"-{found}") + (f"-seed{seed}" if int(seed) else "")
        return tuple(replace(run, surface_kind=kind) for run in self.runs)

    def spectrum_runs(self) -> "tuple[RunResults, ...]":
        """Return the runs, with the spectra of option ``matrix``: the Hessian's by default.

        Raises:
            InputError: no run has spectra of such a matrix, or not all have.
        """
        if self.options.get("matrix", "hessian") == "hessian":
            return self.runs
        stored = [run.matrices() for run in self.runs]
        known = {key: matrix for own in stored for key, matrix in own.items()}
        chosen = known[self.option("matrix", ["hessian", *known])]
        pairs = zip(self.runs, stored, strict=True)
        lacking = [run for run, own in pairs if chosen.key not in own]
        if lacking:
            made = remedy(lacking[0].path, "spectrum", self.checkpoint, chosen.flags)
            raise InputError(
                f"no spectrum of the {chosen.name} in "
                f"{', '.join(repr(run.name) for run in lacking)}, while the others have one; "
                f"{'on each, ' if len(lacking) > 1 else ''}{made}"
            )
        return tuple(replace(run, spectrum_kind=chosen.suffix) for run in self.runs)

    def accuracy_runs(self) -> "tuple[RunResults, ...]":
        """Return the runs, with the accuracies on the images that option ``on`` names."""
        on = self.options.get("on", "")
        return tuple(replace(run, accuracy_kind=f"-{on}") for run in self.runs) if on else self.runs

    def option(self, name: str, choices: Sequence[str]) -> str:
        """Read one of a figure's own options; the first choice is the default.

        Raises:
            InputError: the value is not among the choices.
        """
        value = self.options.get(name, choices[0])
        if value not in choices:
            raise unknown(f"--options {name}", value, choices)
        return value


class Options(dict[str, str]):
    """Options of a figure that remember which of them it knows."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__(given)
        self.known: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Read an option."""
        self.known.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.known.add(str(name))
        return super().__contains__(name)

    def check(self, kind: str) -> None:
        """Check, once the figure has read its options, that there are no others.

        Raises:
            InputError: the figure knows no option of a name.
        """
        for name in self:
            if name not in self.known:
                if self.known:
                    raise unknown(f"option of figure '{kind}'", name, self.known)
                raise InputError(f"figure '{kind}' has no options, and '{name}' is given")
