"""Runs as figures see them: names, settings and result files, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from landscape.results import (
    Accuracy,
    Features,
    Gradients,
    InputError,
    Provenance,
    Sharpness,
    Similarity,
    Spectrum,
    Surface,
    load,
    unknown,
)

Item = TypeVar("Item")
_KINDS: dict[type, str] = {
    Spectrum: "spectrum",
    Accuracy: "accuracy",
    Surface: "surface",
    Gradients: "gradients",
    Features: "features",
    Similarity: "similarity",
    Sharpness: "sharpness",
}


@dataclass(frozen=True)
class RunResults:
    """The result files of one run."""

    path: Path
    surface_kind: str = ""  # which surface is read: -pca, -seed7; random ones of seed 0 otherwise

    @staticmethod
    def open(path: Path) -> "RunResults":
        """Open a run folder.

        Raises:
            InputError: it holds no results.
        """
        if not (path / "results").is_dir():
            raise InputError(f"'{path}' has no results; run 'tailscape diagnose {path}' first")
        return RunResults(path)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    def checkpoints(self, kind: type) -> list[str]:
        """Names of the epochs that have a result of this kind, in order."""
        return sorted(p.stem for p in self._folder(kind).glob("epoch_*.h5"))

    def load(self, kind: type[Item], checkpoint: str) -> tuple[Item, Provenance]:
        """Read a result.

        Args:
            kind: the record, for example :class:`Spectrum`.
            checkpoint: ``last``, ``best``, an epoch's number, or a checkpoint's name.

        Raises:
            InputError: there is none; the message gives the command that makes it.
        """
        saved = self.checkpoints(kind)
        name = f"epoch_{int(checkpoint):04d}" if checkpoint.isdigit() else checkpoint
        if checkpoint == "last":
            # a checkpoint of one's own may have a name in place of an epoch
            saved = saved or sorted(p.stem for p in self._folder(kind).glob("[!.]*.h5"))
            if not saved:
                raise self._lacks(kind, "last")
            name = saved[-1]
        path = self._folder(kind) / f"{name}.h5"
        if not path.is_file():
            raise self._lacks(kind, checkpoint)
        return load(path, kind)

    def has_surface(self, directions: str) -> bool:
        """Whether there is a surface over such directions."""
        other = "" if directions == "random" else f"-{directions}"
        return any((self.path / "results" / f"surface{other}").glob("*.h5"))

    def find(self, kind: type[Item], checkpoint: str) -> Item | None:
        """Read a result if there is one."""
        path = self._folder(kind) / f"{checkpoint}.h5"
        return load(path, kind)[0] if path.is_file() else None

    def _folder(self, kind: type) -> Path:
        other = self.surface_kind if kind is Surface else ""
        return self.path / "results" / f"{_KINDS[kind]}{other}"

    def _lacks(self, kind: type, checkpoint: str) -> InputError:
        directions, _, seed = self.surface_kind.partition("-seed")
        flags = f" --surface.directions {directions[1:]}" if directions else ""
        flags += f" --surface.seeds {seed}" if seed else ""
        flags = flags if kind is Surface else ""
        return InputError(
            f"'{self.path}' has no {_KINDS[kind]} of checkpoint '{checkpoint}'; run 'tailscape "
            f"diagnose {self.path} --analyses {_KINDS[kind]} --checkpoints {checkpoint}{flags}'"
        )


@dataclass(frozen=True)
class Request:
    """What a figure is asked to show."""

    runs: tuple[RunResults, ...]
    checkpoint: str = "last"
    scopes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)  # a figure's own, by name

    def surface_runs(self, *directions: str) -> tuple[RunResults, ...]:
        """The runs, with the surfaces of options ``directions`` and ``seed``.

        Args:
            directions: those to look for, the first that all runs have, where the option is not
                given; random ones by default.

        Raises:
            InputError: a value that is not known.
        """
        known = ("random", "pca", "checkpoints", "hessian")
        found = self.option("directions", known)
        if "directions" not in self.options and directions:
            held = [d for d in directions if all(run.has_surface(d) for run in self.runs)]
            found = held[0] if held else directions[0]
        seed = self.options.get("seed", "0")
        if not seed.isdigit():
            raise InputError(f"--options seed={seed} is not a number")
        kind = ("" if found == "random" else f"-{found}") + (f"-seed{seed}" if int(seed) else "")
        return tuple(replace(run, surface_kind=kind) for run in self.runs)

    def option(self, name: str, choices: Sequence[str]) -> str:
        """Read one of a figure's own options; the first choice is the default.

        Raises:
            InputError: the value is not among the choices.
        """
        value = self.options.get(name, choices[0])
        if value not in choices:
            raise unknown(f"--options {name}", value, choices)
        return value


def scope_label(scope: str, plan: dict[str, Any]) -> str:
    """Name a scope for people: classes by number and name.

    Args:
        scope: such as ``overall`` or ``class/3``.
        plan: the stored configuration with ``class_names``.
    """
    kind, _, number = scope.partition("/")
    if kind != "class":
        return scope
    name = plan["class_names"][int(number)]
    return f"class {number}" if name == number else f"class {number} ({name})"


def method_label(provenance: Provenance) -> str:
    """Name a run by its method."""
    return str(provenance.config["plan"]["method"])


def run_labels(provenances: list[Provenance]) -> list[str]:
    """Name runs by their method, and by their folder where methods repeat."""
    methods = [method_label(p) for p in provenances]
    if len(set(methods)) == len(methods):
        return methods
    return [str(p.config["run"]) for p in provenances]
