"""Runs as figures see them: names, settings and result files, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from landscape.results import InputError, unknown
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.load import read_record
from landscape.results.matrix import Matrix
from landscape.results.provenance import Provenance
from landscape.results.sharpness import Sharpness
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface

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
    spectrum_kind: str = ""  # whose spectrum is read: -ggn, -blocks; the Hessian's otherwise

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

    def longer_name(self, parts: int) -> str:
        """Name of the folder, with those it lies in in front: so many in all."""
        return "/".join(self.path.resolve().parts[-parts:])

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
        return self._read(path, kind)

    def has_surface(self, directions: str) -> bool:
        """Whether there is a surface over such directions."""
        other = "" if directions == "random" else f"-{directions}"
        return any((self.path / "results" / f"surface{other}").glob("*.h5"))

    def find(self, kind: type[Item], checkpoint: str) -> Item | None:
        """Read a result if there is one."""
        path = self._folder(kind) / f"{checkpoint}.h5"
        return self._read(path, kind)[0] if path.is_file() else None

    def matrices(self) -> dict[str, Matrix]:
        """Matrices that it has spectra of, by their short names."""
        found = {}
        for folder in sorted((self.path / "results").glob("spectrum*")):
            files = sorted(folder.glob("[!.]*.h5"))
            if files and folder.name != "spectrum-saddle":
                matrix = Matrix.stored(read_record(files[0], Spectrum)[1])
                found[matrix.key] = matrix
        return found

    def _read(self, path: Path, kind: type[Item]) -> tuple[Item, Provenance]:
        record, origin = read_record(path, kind)
        matrix = Matrix.stored(origin)
        if kind is Spectrum and matrix.suffix != self.spectrum_kind:
            raise InputError(
                f"'{path}' is a spectrum of the {matrix.name}, which belongs in results/spectrum"
                f"{matrix.suffix}; move it there, and run its diagnosis again with --overwrite"
            )
        return record, origin

    def _folder(self, kind: type) -> Path:
        other = {Surface: self.surface_kind, Spectrum: self.spectrum_kind}.get(kind, "")
        return self.path / "results" / f"{_KINDS[kind]}{other}"

    def _lacks(self, kind: type, checkpoint: str) -> InputError:
        flags, of = "", ""
        if kind is Surface:
            directions, _, seed = self.surface_kind.partition("-seed")
            flags = f" --surface.directions {directions[1:]}" if directions else ""
            flags += f" --surface.seeds {seed}" if seed else ""
        if kind is Spectrum and self.spectrum_kind:
            matrix = self.matrices().get(self.spectrum_kind[1:])
            of, flags = f" of matrix '{self.spectrum_kind[1:]}'", matrix.flags if matrix else ""
        return InputError(
            f"'{self.path}' has no {_KINDS[kind]}{of} of checkpoint '{checkpoint}'; run 'tailscape "
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

    def spectrum_runs(self) -> "tuple[RunResults, ...]":
        """The runs, with the spectra of option ``matrix``: the Hessian's by default.

        Raises:
            InputError: no run has spectra of such a matrix, or not all have.
        """
        if self.options.get("matrix", "hessian") == "hessian":
            return self.runs
        held = [run.matrices() for run in self.runs]
        known = {key: matrix for own in held for key, matrix in own.items()}
        chosen = known[self.option("matrix", ["hessian", *known])]
        lacking = [
            run.name for run, own in zip(self.runs, held, strict=True) if chosen.key not in own
        ]
        if lacking:
            raise InputError(
                f"no spectrum of the {chosen.name} in {', '.join(map(repr, lacking))}, while the "
                "others have one; run 'tailscape diagnose RUN --analyses spectrum"
                f"{chosen.flags}' on each, too"
            )
        return tuple(replace(run, spectrum_kind=chosen.suffix) for run in self.runs)

    def option(self, name: str, choices: Sequence[str]) -> str:
        """Read one of a figure's own options; the first choice is the default.

        Raises:
            InputError: the value is not among the choices.
        """
        value = self.options.get(name, choices[0])
        if value not in choices:
            raise unknown(f"--options {name}", value, choices)
        return value


def one_matrix(origins: Sequence[Provenance]) -> Matrix:
    """Name the matrix that all spectra of a figure are of.

    Args:
        origins: of the spectra.

    Raises:
        InputError: they are of different matrices.
    """
    found = {Matrix.stored(origin): f"{origin.config['run']}" for origin in origins}
    if len(found) > 1:
        of = ", ".join(f"{run!r} of the {matrix.name}" for matrix, run in found.items())
        raise InputError(
            f"these spectra are of different matrices ({of}) and do not compare; diagnose the runs "
            "alike, with --overwrite where a folder holds another matrix than its name says"
        )
    return next(iter(found))


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


def run_labels(
    provenances: Sequence[Provenance], runs: Sequence[RunResults] | None = None
) -> list[str]:
    """Name runs by their method, and by their folder where methods repeat; no two alike.

    Args:
        provenances: of a result of each run.
        runs: where they were read, for the folders that runs of one name lie in; these are numbered
            where they cannot be told apart so.
    """
    methods = [method_label(p) for p in provenances]
    return methods if _differ(methods) else run_names(provenances, runs)


def run_names(
    provenances: Sequence[Provenance], runs: Sequence[RunResults] | None = None
) -> list[str]:
    """Name runs by their folders, see :func:`run_labels`."""
    names = [str(p.config["run"]) for p in provenances]
    found = list(names)
    for name in dict.fromkeys(names):
        same = [k for k, other in enumerate(names) if other == name]
        if len(same) > 1:
            apart = None if runs is None else _places([runs[k] for k in same])
            apart = apart or [f"{name} {number}" for number in range(1, len(same) + 1)]
            for k, label in zip(same, apart, strict=True):
                found[k] = label
    return found


def _places(runs: Sequence[RunResults]) -> list[str] | None:
    """Folders' names with as many of those around them as tell them apart, if any do."""
    for parts in range(1, max(len(run.path.resolve().parts) for run in runs) + 1):
        names = [run.longer_name(parts) for run in runs]
        if _differ(names):
            return names
    return None


def _differ(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)
