"""Open a run folder: its results by analysis, its checkpoints as subjects.

Results are files, read here alone. A checkpoint is opened by the package that trained it, which
says so in its metadata, an entry point ``subject`` of the group ``tailscape.runs``: this package
imports no training code, and none is imported before a subject is asked for.
"""

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape.errors import InputError, unknown
from landscape.results.checkpoint_names import course, ordered, spelled
from landscape.results.export import xarray_tree
from landscape.results.load import load
from landscape.results.remedy import remedy
from landscape.results.result import Result
from landscape.results.run_folder import is_run, no_run

if TYPE_CHECKING:
    import xarray

    from landscape.subject.subject import Subject

_GROUP = "tailscape.runs"


@dataclass(frozen=True)
class Run:
    """Checkpoints and results of a run folder."""

    path: Path

    @property
    def checkpoints(self) -> list[str]:
        """Names of the checkpoints, epochs in order, then others such as ``best``."""
        names = {path.stem for path in (self.path / "checkpoints").glob("[!.]*.pt")} - {"last"}
        kept = [name for name in names if not name.startswith("state_")]
        return ordered(kept)

    @property
    def analyses(self) -> list[str]:
        """Names of the folders of results, such as ``spectrum`` and ``surface-pca``."""
        return sorted({path.parent.name for path in self._files("*")})

    def results(self, analysis: str) -> dict[str, Result]:
        """Read all results of an analysis.

        Args:
            analysis: its name, or that of a folder such as ``spectrum-ggn``.

        Returns:
            Records by checkpoint, epochs in order.
        """
        return {path.stem: load(path) for path in self._files(analysis)}

    def result(self, analysis: str, checkpoint: str | int = "last") -> Result:
        """Read a result.

        Args:
            analysis: its name, or that of a folder such as ``spectrum-ggn``.
            checkpoint: ``last`` of those with a result, an epoch's number, or a name.

        Raises:
            InputError: there is none.
        """
        files = {path.stem: path for path in self._files(analysis)}
        if not files:
            made = remedy(self.path, analysis)
            raise InputError(f"'{self.path}' has no results of '{analysis}'; {made}")
        checkpoint = str(checkpoint)
        name = spelled(checkpoint, files)
        name = (course(files) or list(files))[-1] if checkpoint == "last" else name
        if name not in files:
            raise unknown(f"result of '{analysis}' at checkpoint", checkpoint, files)
        return load(files[name])

    def subject(self, checkpoint: str | int = "last", **options: Any) -> "Subject":
        """Open a checkpoint as a subject, on the training data of its run.

        Args:
            checkpoint: ``last``, an epoch's number, or a name.
            options: those of :func:`trainers.reopen.run_subject`, such as ``device``.

        Raises:
            InputError: the checkpoint or its data are missing, or no installed package opens it.
        """
        for entry in entry_points(group=_GROUP, name="subject"):
            try:
                opener = entry.load()
            except (ImportError, AttributeError) as error:
                raise InputError(
                    f"'{entry.value}', which opens checkpoints, cannot be imported ({error}); a "
                    "file or folder of that name beside your script hides the package: rename it"
                ) from error
            opened: Subject = opener(self.path, str(checkpoint), **options)
            return opened
        raise InputError(
            f"no installed package opens checkpoints of runs (entry point 'subject' of "
            f"'{_GROUP}'); install tailscape with 'pip install .'"
        )

    def to_xarray(self) -> "xarray.DataTree":
        """Put all results into one :class:`xarray.DataTree`, a node an analysis and checkpoint.

        ``tree["spectrum/epoch_0200"]`` is the dataset of that file, with its origin as attributes;
        groups of the file, such as ``ritz``, are nodes below it. ``tree.to_zarr(folder)`` writes
        it, where zarr is installed (extra ``containers``).

        Raises:
            InputError: xarray is not installed, or there are no results.
        """
        records = {
            f"{analysis}/{checkpoint}": record
            for analysis in self.analyses
            for checkpoint, record in self.results(analysis).items()
        }
        if not records:
            made = remedy(self.path, "spectrum")
            raise InputError(f"'{self.path}' has no results; {made}")
        return xarray_tree(records, {"run": self.path.resolve().name})

    def _files(self, analysis: str) -> list[Path]:
        found = list((self.path / "results").glob(f"{analysis}/[!.]*.h5"))
        place = {name: k for k, name in enumerate(ordered({path.stem for path in found}))}
        return sorted(found, key=lambda path: place[path.stem])


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Args:
        path: a folder that ``tailscape train`` or ``tailscape diagnose`` wrote.

    Raises:
        InputError: it is none.
    """
    path = Path(path).expanduser()
    if not is_run(path):
        raise no_run(path)
    return Run(path)
