"""A unit of work: one analysis of one checkpoint, which writes one file.

No tensor library is imported here: what is done already is told without one.
"""

from dataclasses import dataclass
from pathlib import Path

from cli.sources.external_config import ExternalConfig
from cli.units.evaluation import read_evaluation
from landscape.analyses.catalogue import RELEASED_SPECTRUM, Analysis, find_analysis
from landscape.config import DiagnoseConfig
from landscape.results.matrix import MatrixSpec
from trainers.runs.folder import RunFolder


@dataclass(frozen=True)
class Unit:
    """One analysis of one checkpoint; picklable."""

    run: Path
    checkpoint: str
    analysis: str
    config: DiagnoseConfig
    outside: ExternalConfig | None = None  # an external model, in place of a run's

    @property
    def output(self) -> Path:
        """The one file it writes."""
        return RunFolder(self.run).result(self.stored_as, self.checkpoint)

    @property
    def weights_file(self) -> Path:
        """The checkpoint it reads."""
        if self.outside is not None and self.outside.weights is not None:
            from cli.sources.checkpoint_files import checkpoint_files

            return checkpoint_files(self.outside.weights)[self.checkpoint]
        return RunFolder(self.run).checkpoint(self.checkpoint)

    @property
    def part_files(self) -> list[Path]:
        """Files of further parts of the checkpoint."""
        if self.outside is None or not self.outside.parts:
            return []
        from cli.sources.checkpoint_files import part_files

        return list(part_files(self.outside.parts, self.checkpoint))

    @property
    def is_shared(self) -> bool:
        """Whether several processes can compute it together, each on a share of the samples.

        Where BatchNorm takes statistics of batches, a sample's loss is not its own.
        """
        apart = {
            "surface": self.config.surface.statistics == "fixed",
            "gradients": not self.config.gradients.batches,
        }
        known = ("spectrum", "accuracy", "features", "sharpness", *apart)
        return self.kind in known and self.config.bn == "eval" and apart.get(self.kind, True)

    @property
    def shares_spectra(self) -> bool:
        """Whether it and another analysis of the diagnosis need the same spectra."""
        users = [a for a in self.config.analyses if "kept_spectra" in find_analysis(a).inputs]
        return self.analysis in users and len(users) > 1

    @property
    def entry(self) -> Analysis:
        """Its line in the catalogue of analyses."""
        return find_analysis(self.kind)

    @property
    def kind(self) -> str:
        """The analysis as its file names it: spectra of the released protocol stand apart."""
        released = self.analysis == "spectrum" and self.config.protocol == "saddle"
        return RELEASED_SPECTRUM.name if released else self.analysis

    @property
    def stored_as(self) -> str:
        """Name of the folder: spectra of other matrices and surfaces of other kinds stand apart."""
        if self.kind == "spectrum":
            return f"spectrum{self.matrix.suffix}"
        if self.config.eval:
            return f"{self.kind}-{read_evaluation(self.config.eval[0]).name}"
        settings = self.config.settings_of(self.kind)
        return self.kind + getattr(settings, "suffix", "")

    @property
    def matrix(self) -> MatrixSpec:
        """The matrix of a spectrum."""
        return MatrixSpec.of(self.config.spectrum, self.config.bn)
