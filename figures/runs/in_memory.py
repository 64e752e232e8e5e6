"""Read records in memory like the results of a run folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, cast

from figures.runs.folder import Item, RunResults, by_seed
from figures.runs.labels import method_label
from figures.runs.markup import page_texts
from landscape.results import InputError
from landscape.results.checkpoint_names import course, numbered, spelled
from landscape.results.load import read_record
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.result import Result
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface


@dataclass(frozen=True)
class InMemoryRecord:
    """A record of a checkpoint."""

    checkpoint: str  # epoch_0040, or another name
    record: Result
    origin: Provenance

    @property
    def variant(self) -> str:
        """The suffix of its result folder: the surface's directions or the spectrum's matrix."""
        if isinstance(self.record, Spectrum):
            return MatrixSpec.stored(self.origin).suffix
        if not isinstance(self.record, Surface):
            return ""
        settings = self.origin.config["diagnose"]["surface"]
        directions, seed = settings["directions"], settings["seeds"][0]
        kind = "" if directions == "random" else f"-{directions}"
        return kind + (f"-seed{seed}" if seed else "")


@dataclass(frozen=True)
class InMemoryResults(RunResults):
    """Records of one model, of one checkpoint or of several."""

    records: tuple[InMemoryRecord, ...] = ()

    @staticmethod
    def of(given: Any) -> "InMemoryResults":
        """Take records of one model.

        Args:
            given: a record, the path of a file, a sequence of these, or a mapping from epochs to
                them.

        Raises:
            InputError: none is given, one has no provenance, or several of one kind do not
                say of which epoch they are.
        """
        records = tuple(_read(given, None))
        if not records:
            raise InputError("there is nothing in one of the results given; give its records")
        path = Path(method_label(records[0].origin))
        found = InMemoryResults(path, records=records)
        for one in records:
            same = [h for h in records if type(h.record) is type(one.record)]
            places = {(h.checkpoint, h.variant) for h in same}
            if len(places) < len(same):
                raise InputError(
                    f"'{found.name}' has several results of landscape.{one.origin.analysis} at "
                    f"'{one.checkpoint}'; give them by epoch, {{epoch: record}}, or those of other "
                    "models one after the other"
                )
        return found

    @property
    def name(self) -> str:
        """The name of the model in its records."""
        return method_label(self.records[0].origin)

    def checkpoints(self, kind: type[Result]) -> list[str]:
        """List the epochs or steps that have a record of this kind, in order; else other names."""
        names = sorted({h.checkpoint for h in self._of(kind)})
        return course(names) or names

    def load(self, kind: type[Item], checkpoint: str) -> tuple[Item, Provenance]:
        """Find a record, see :meth:`figures.runs.folder.RunResults.load`.

        Raises:
            InputError: there is none.
        """
        found = self._of(kind)
        name = spelled(checkpoint, {h.checkpoint for h in found})
        if name == "last" and found:
            name = self.checkpoints(kind)[-1]
        for one in found:
            if one.checkpoint == name:
                return cast(Item, one.record), one.origin
        raise self._lacks(kind, checkpoint)

    def has_surface(self, directions: str) -> bool:
        """Tell whether there is a surface over such directions."""
        other = "" if directions == "random" else f"-{directions}"
        kinds = {h.variant.partition("-seed")[0] for h in self._of(Surface, every=True)}
        return other in kinds

    def surface_seeds(self) -> list[str]:
        """List the kinds of surfaces over random directions, by seed."""
        return by_seed(h.variant for h in self._of(Surface, every=True))

    def matrices(self) -> dict[str, MatrixSpec]:
        """List the matrices that there are spectra of, by their short names."""
        found = [MatrixSpec.stored(h.origin) for h in self._of(Spectrum, every=True)]
        return {matrix.key: matrix for matrix in found}

    def origin(self, kind: type, checkpoint: str) -> Provenance:
        """Return the provenance of a record; see :meth:`load`."""
        return self.load(kind, checkpoint)[1]

    def find(self, kind: type[Item], checkpoint: str) -> Item | None:
        """Find a record if there is one."""
        at = [h.record for h in self._of(kind) if h.checkpoint == checkpoint]
        return cast(Item, at[0]) if at else None

    def _of(self, kind: type[Result], *, every: bool = False) -> list[InMemoryRecord]:
        found = [h for h in self.records if type(h.record) is kind]
        wanted = self._variant(kind)
        found = [h for h in found if every or wanted in (None, h.variant)]
        return [page_texts(h) for h in found] if self.escaped else found

    def _variant(self, kind: type[Result]) -> str | None:
        return {Surface: self.surface_kind, Spectrum: self.spectrum_kind}.get(kind)

    def _lacks(self, kind: type[Result], checkpoint: str) -> InputError:
        present = dict.fromkeys(
            f"{type(h.record).__name__}{h.variant} of '{h.checkpoint}'" for h in self.records
        )
        wanted = kind.__name__ + (self._variant(kind) or "")
        return InputError(
            f"the results given of '{self.name}' hold no {wanted} of checkpoint '{checkpoint}', "
            f"only {', '.join(present)}; give it as well"
        )


def _read(given: Any, epoch: int | None) -> Iterable[InMemoryRecord]:
    """List the records of one model."""
    if isinstance(given, Mapping):
        for key, part in given.items():
            if not isinstance(key, Integral) or int(key) < 0:
                raise InputError(f"{key!r} is no epoch; give {{epoch: record}}")
            yield from _read(part, int(key))
    elif isinstance(given, list | tuple):
        for part in given:
            yield from _read(part, epoch)
    elif isinstance(given, str | Path):
        record, origin = read_record(Path(given))
        yield _in_memory(record.with_provenance(origin), epoch)
    elif isinstance(given, Result):
        yield _in_memory(given, epoch)
    else:
        raise InputError(
            f"a result is a {type(given).__name__}; give a record, the path of a result file, or a "
            "run folder"
        )


def _in_memory(record: Result, epoch: int | None) -> InMemoryRecord:
    origin = record.provenance
    if origin is None:
        raise InputError(
            f"this {type(record).__name__} does not know what made it, which figures say; give it "
            "its origin with .with_provenance(provenance)"
        )
    if epoch is not None:
        origin = replace(origin, checkpoint=numbered("epoch", epoch))
    return InMemoryRecord(origin.checkpoint, record, origin)
