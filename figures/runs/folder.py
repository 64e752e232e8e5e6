"""Read the result files of runs."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from figures.runs.markup import page_text, page_texts
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.checkpoint_names import course, latest, spelled
from landscape.results.load import load_provenance, read_record
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.remedy import remedy
from landscape.results.result import Result
from landscape.results.run_folder import is_run, no_run
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface

Item = TypeVar("Item", bound=Result)


def by_seed(kinds: Iterable[str]) -> list[str]:
    """Keep surfaces over random directions, in the order of their seeds."""
    seeds = {k: int(k.removeprefix("-seed") or 0) for k in kinds if re.fullmatch(r"(-seed\d+)?", k)}
    return sorted(seeds, key=lambda kind: seeds[kind])


@dataclass(frozen=True)
class RunResults:
    """The result files of one run."""

    path: Path
    surface_kind: str = ""  # which surface is read: -pca, -seed7; random ones of seed 0 otherwise
    spectrum_kind: str = ""  # whose spectrum is read: -ggn, -blocks; the Hessian's otherwise
    accuracy_kind: str = ""  # on which other images accuracy is read; the test set otherwise
    escaped: bool = False  # texts are escaped, because pages read them as HTML
    # what was read of each file, for those who read it twice
    kept: dict[tuple[Path, bool], Any] | None = field(default=None, compare=False, repr=False)

    @staticmethod
    def open(path: Path) -> "RunResults":
        """Open a run folder.

        Raises:
            InputError: it holds no results.
        """
        if not (path / "results").is_dir():
            if not is_run(path):
                raise no_run(path)
            raise InputError(f"'{path}' has no results; {remedy(path, 'spectrum')}")
        return RunResults(path)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    def longer_name(self, parts: int) -> str:
        """Name the folder by the last ``parts`` parts of its path."""
        name = "/".join(self.path.resolve().parts[-parts:])
        return page_text(name) if self.escaped else name

    def checkpoints(self, kind: type[Result]) -> list[str]:
        """List the epochs, or else the steps, that have a result of this kind, in order."""
        return course(p.stem for p in self._folder(kind).glob("*.h5"))

    def load(self, kind: type[Item], checkpoint: str) -> tuple[Item, Provenance]:
        """Read a result.

        Args:
            kind: the record, for example :class:`Spectrum`.
            checkpoint: ``last``, ``best``, the number of an epoch or step, or a checkpoint's name.

        Raises:
            InputError: there is none; the message gives the command that makes it.
        """
        return self._read(self._file(kind, checkpoint), kind)

    def origin(self, kind: type, checkpoint: str) -> Provenance:
        """Read the provenance of a result alone; see :meth:`load`."""
        path = self._file(kind, checkpoint)
        origin = self._once(path, load_provenance, whole=False)
        return page_texts(origin) if self.escaped else origin

    def has_surface(self, directions: str) -> bool:
        """Tell whether there is a surface over such directions."""
        other = "" if directions == "random" else f"-{directions}"
        return any((self.path / "results" / f"surface{other}").glob("*.h5"))

    def surface_seeds(self) -> list[str]:
        """List the kinds of surfaces over random directions, by seed."""
        folders = (self.path / "results").glob("surface*")
        kinds = [f.name.removeprefix("surface") for f in folders if any(f.glob("[!.]*.h5"))]
        return by_seed(kinds)

    def find(self, kind: type[Item], checkpoint: str) -> Item | None:
        """Read a result if there is one."""
        path = self._folder(kind) / f"{checkpoint}.h5"
        return self._read(path, kind)[0] if path.is_file() else None

    def judged(self, checkpoint: str) -> tuple[dict[str, float], str]:
        """Read the accuracy of each scope, and the data they were judged on; both may be empty."""
        if self.find(Accuracy, checkpoint) is None:
            return {}, ""
        record, origin = self.load(Accuracy, checkpoint)
        return record.by_scope(), record.judged_on(origin)

    def read_file(self, path: Path, kind: type[Item]) -> tuple[Item, Provenance]:
        """Read a file of the folder, whatever its place says of its content."""
        found: tuple[Item, Provenance] = self._once(path, partial(read_record, kind=kind))
        return found

    def matrices(self) -> dict[str, MatrixSpec]:
        """List the matrices that it has spectra of, by their short names."""
        found = {}
        for folder in sorted((self.path / "results").glob("spectrum*")):
            files = sorted(folder.glob("[!.]*.h5"))
            if files and folder.name != "spectrum-saddle":
                matrix = MatrixSpec.stored(load_provenance(files[0]))
                found[matrix.key] = matrix
        return found

    def _file(self, kind: type, checkpoint: str) -> Path:
        """Find a result file.

        Raises:
            InputError: there is none; the message gives the command that makes it.
        """
        stored = {p.stem for p in self._folder(kind).glob("[!.]*.h5")}
        name = spelled(checkpoint, stored)
        if checkpoint == "last":
            name = latest(stored) or checkpoint
        path = self._folder(kind) / f"{name}.h5"
        if not path.is_file():
            raise self._lacks(kind, checkpoint)
        return path

    def _read(self, path: Path, kind: type[Item]) -> tuple[Item, Provenance]:
        record, origin = self.read_file(path, kind)
        matrix = MatrixSpec.stored(origin)
        if kind is Spectrum and matrix.suffix != self.spectrum_kind:
            raise InputError(
                f"'{path}' is a spectrum of the {matrix.name}, which belongs in results/spectrum"
                f"{matrix.suffix}; move it there, and run its diagnosis again with --overwrite"
            )
        return page_texts((record, origin)) if self.escaped else (record, origin)

    def _once(self, path: Path, read: Callable[[Path], Any], *, whole: bool = True) -> Any:
        if self.kept is None:
            return read(path)
        if (path, whole) not in self.kept:
            self.kept[path, whole] = read(path)
        return self.kept[path, whole]

    def _folder(self, kind: type[Result]) -> Path:
        kinds = {Surface: self.surface_kind, Spectrum: self.spectrum_kind}
        other = (kinds | {Accuracy: self.accuracy_kind}).get(kind, "")
        return self.path / "results" / f"{kind.analysis_name()}{other}"

    def _lacks(self, kind: type[Result], checkpoint: str) -> InputError:
        flags, of = "", ""
        if kind is Surface:
            directions, _, seed = self.surface_kind.partition("-seed")
            flags = f" --surface.directions {directions[1:]}" if directions else ""
            flags += f" --surface.seeds {seed}" if seed else ""
        if kind is Spectrum and self.spectrum_kind:
            matrix = self.matrices().get(self.spectrum_kind[1:])
            of, flags = f" of matrix '{self.spectrum_kind[1:]}'", matrix.flags if matrix else ""
        if kind is Accuracy and self.accuracy_kind:
            on = self.accuracy_kind[1:]
            of, flags = f" on '{on}'", f" --eval {on}=folder:PATH"
        analysis = kind.analysis_name()
        return InputError(
            f"'{self.path}' has no {analysis}{of} of checkpoint '{checkpoint}'; "
            f"{remedy(self.path, analysis, checkpoint, flags)}"
        )
