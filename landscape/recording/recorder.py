r"""Record class-wise quantities inside any training loop, within a budget of its time.

Each record is a subject at the present weights, un-augmented data and a loss of one's own, judged
by the ordinary analyses on few samples: both spectrum ends of chosen scopes, warm-started from the
record before, and the classes' gradients. λmax·η/2 against 1 (against 1 + β with momentum β, on a
quadratic) is the edge of stability (Cohen et al. 2021). The files are those of a diagnosis.

The model is judged on a copy; the generators of Python, NumPy and PyTorch are put back, so that the
trained weights are bit for bit those without a recorder.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscape.analyses.catalogue import ANALYSES
from landscape.config import SpectrumConfig
from landscape.deadline import OutOfTime
from landscape.errors import InputError, unknown
from landscape.recording.budget import Budget
from landscape.recording.course import recording, row_of, scalars
from landscape.recording.run_files import RunFiles
from landscape.results.checkpoint_names import numbered
from landscape.results.provenance import RunOrigin
from landscape.results.result import Result
from landscape.subject.loss import Loss
from landscape.subject.subject import Subject

QUICK = SpectrumConfig(
    steps=15, probes=1, trace_probes=0, tolerance=0.05, warm_start=True, memory_budget=1.0
)
_TRIAL = 60  # training steps that the trial of one scope may take, supposedly
_DISK = 1e8  # bytes a second, likewise of the first record's files
_LEAST_SAVING = 0.1  # seconds


class Recorder:
    """Record a training of one's own into a run folder.

        recorder = landscape.Recorder("runs/mine", dataset, every=100, budget="2%")
        for inputs, labels in loader:
            …
            optimizer.step()
            recorder.step(model, loss=loss, optimizer=optimizer)
        print(recorder.close())

    ``tailscape figure``, ``report`` and ``inspect`` take the folder, and ``tailscape diagnose``
    its checkpoints.

    Args:
        run: the folder; one that was recorded before, of the same data, is continued behind its
            last record.
        data: labelled training data without augmentation, as for :class:`landscape.Subject`.
        loss: per-sample loss, likewise. Default: cross-entropy.
        every: steps from one record that is due to the next.
        budget: most that records may take, as a share of the training time; those that would exceed
            it are left out. ``None``: no limit.
        analyses: names of those that a record consists of.
        settings: of analyses, by their names; a quick spectrum by default.
        scopes: of the spectra.
        samples_per_class: a record uses at most so many.
        batch_size: samples a forward pass.
        class_names: K names. Default: those of the data.
        name: of the model in figures. Default: that of its class.
        builder: ``MODULE:NAME`` of a function that builds the model, for the command that diagnoses
            the checkpoints.
        data_name: ``MODULE:NAME`` of one that returns the data, likewise.
        checkpoints: save the weights at each record.
        writers: ``SummaryWriter`` of TensorBoard or runs of Weights & Biases, which get the same
            numbers.
        seed: of draws and random vectors.

    Attributes:
        steps: calls of :meth:`step`.
        due: records that were due.
        budget: clocks of training and records.

    Raises:
        InputError: a value is out of range, or another process writes the folder.
    """

    def __init__(
        self,
        run: str | Path,
        data: Any,
        *,
        loss: Loss | Callable[[Any, Tensor], Tensor] | None = None,
        every: int = 100,
        budget: str | float | None = "2%",
        analyses: Sequence[str] = ("spectrum", "gradients"),
        settings: Mapping[str, Any] | None = None,
        scopes: str | Sequence[str] = ("overall", "head", "mid", "tail"),
        samples_per_class: int | None = 8,
        batch_size: int = 256,
        class_names: Sequence[str] = (),
        name: str | None = None,
        builder: str | None = None,
        data_name: str | None = None,
        checkpoints: bool = True,
        writers: Iterable[Any] = (),
        seed: int = 0,
    ) -> None:
        for one in analyses:
            if one not in ANALYSES:
                raise unknown("analysis", one, ANALYSES)
        if every < 1:
            raise InputError(f"every is {every}; it must be at least 1")
        self.path, self.every, self.budget = Path(run).expanduser(), every, Budget(budget)
        self.steps = self.due = 0
        self._analyses, self._keeps, self._writers = tuple(analyses), checkpoints, tuple(writers)
        self._settings = {"spectrum": QUICK} | dict(settings or {})
        self._options: dict[str, Any] = {
            "scopes": scopes,
            "samples_per_class": samples_per_class,
            "batch_size": batch_size,
            "seed": seed,
        }
        with _randomness_kept():
            stand_in = nn.Linear(1, 1)  # data are opened, and may be refused, before the training
            self._subject = Subject(
                stand_in, data, loss, class_names, name=name, data_name=data_name
            )
        self._scopes = len(self._subject.scopes(scopes))
        self._origin: RunOrigin | None = None
        self._saving = 0.0  # seconds, of the record's files
        self._vectors: dict[str, Tensor] = {}
        self._trained = set[str]()  # names of the parameters that they are over
        self._rows: list[dict[str, Any]] = []
        for one in self._analyses:
            ANALYSES[one].load()  # whose modules take a while to import
        self._files = RunFiles(self.path, builder, data_name)
        self._claim = self._files.claimed()
        try:
            self._before = self._files.opened(self._subject)
        except BaseException:
            self._claim.close()
            raise
        if self._before is not None:
            self.steps = int(self._before.step[-1])
            self.budget.training = float(self._before.training_seconds[-1])
            self.budget.spent = float(self._before.recorder_seconds[-1])

    def step(
        self,
        model: nn.Module,
        *,
        loss: float | Tensor | None = None,
        optimizer: Optimizer | None = None,
        epoch: int | None = None,
    ) -> dict[str, float] | None:
        """Count a training step, and record where that is due and the budget allows it.

        Args:
            model: the network at its present weights, in any mode; left untouched.
            loss: of the batch, to be kept beside.
            optimizer: whose learning rate and momentum are read.
            epoch: number by which the record's files are named, and figures call it. Default: the
                step's.

        Returns:
            The numbers recorded, or ``None``.

        Raises:
            InputError: model and data do not fit each other, or the folder cannot be used.
        """
        self.steps += 1
        due = self.steps % self.every == 0
        self.budget.enter(waits=due)
        try:
            if not due:
                return None
            self.due += 1
            if not self.budget.allows(self._least()):
                return None
            with _randomness_kept():
                return self._within_budget(model, loss, optimizer, epoch)
        finally:
            self.budget.leave(waits=due)

    def close(self) -> str:
        """Release the folder; say what was recorded at which cost."""
        self._claim.close()
        return str(self)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        share, spent = self.budget.share, self.budget.spent
        limit = "no limit" if share is None else f"at most {100 * share:g} %"
        return (
            f"{len(self._rows)} records in '{self.path}' took {spent:.3g} s beside "
            f"{self.budget.training:.3g} s of training, {100 * self.budget.spent_share:.2g} % "
            f"({limit}); {self.due - len(self._rows)} of {self.due} due were left out"
        )

    def _least(self) -> float | None:
        """Seconds that have to be left before anything is tried; ``None``: those of a record."""
        budget = self.budget
        return None if budget.expected else _TRIAL * budget.training / self.steps

    def _within_budget(self, model: nn.Module, *given: Any) -> dict[str, float] | None:
        """Record, unless the budget is spent before, or in the middle of it."""
        budget = self.budget
        try:
            if budget.share is not None and not budget.expected:
                self._try_out(model)
            if not budget.allows():
                return None
            began = budget.inside()
            row = self._record(model, *given)
        except OutOfTime:
            return None
        budget.took(budget.inside() - began)
        return row

    def _try_out(self, model: nn.Module) -> None:
        """Time one step on one scope, to tell what a record takes."""
        budget = self.budget
        size = sum(value.nbytes for value in model.state_dict().values())
        self._saving = _LEAST_SAVING + self._keeps * size / _DISK
        began = budget.inside()
        quick = replace(QUICK, steps=1, warm_start=False)
        with budget.limited(self._saving):
            self._analysed("spectrum", self._at(model, ""), quick, scopes="overall")
        trial = budget.inside() - began
        budget.took(trial * (2 * self._scopes + len(self._analyses)) + self._saving)

    def _record(
        self,
        model: nn.Module,
        loss: float | Tensor | None,
        optimizer: Optimizer | None,
        epoch: int | None,
    ) -> dict[str, float]:
        name = numbered("step", self.steps) if epoch is None else numbered("epoch", epoch)
        with self.budget.limited(1.5 * self._saving):
            subject = self._at(model, name)
            found = {
                one: self._analysed(one, subject, self._settings.get(one)) for one in self._analyses
            }
        began = self.budget.inside()
        for one, record in found.items():
            record.save(self.path / "results" / one / f"{name}.h5")
        if self._keeps:
            self._files.save_weights(model, name, step=self.steps, epoch=epoch)
        row = row_of(
            found,
            loss,
            optimizer,
            step=self.steps,
            checkpoint=name,
            training_seconds=self.budget.training,
            recorder_seconds=self.budget.spent + self.budget.inside(),
        )
        self._rows.append(row)
        self._save_course(found)
        shown = scalars(row)
        for writer in self._writers:
            _tell(writer, shown, self.steps)
        self._saving = self.budget.inside() - began
        return shown

    def _save_course(self, found: Mapping[str, Result]) -> None:
        course = recording(self._rows, self._before)
        origin = next(iter(found.values())).provenance
        assert origin is not None
        course.with_provenance(replace(origin, analysis="recording")).save(self._files.recording)

    def _at(self, model: nn.Module, name: str) -> Subject:
        """The subject at the present weights; the folder is prepared once."""
        subject = replace(self._subject, model=model, checkpoint=name)
        if self._origin is None:
            self._origin = self._files.prepare(subject)
        return replace(subject, origin=self._origin)

    def _analysed(self, name: str, subject: Subject, settings: Any, **options: Any) -> Result:
        """Run an analysis with those of the options that it takes."""
        entry = ANALYSES[name]
        given = {n: v for n, v in (self._options | options).items() if n in entry.options}
        if settings is not None:
            given["settings"] = settings
        if name == "spectrum":
            trained = {name for name, p in subject.model.named_parameters() if p.requires_grad}
            if trained != self._trained:  # layers were frozen, or set free
                self._vectors.clear()
            self._trained = trained
            given["warm_start_vectors"] = self._vectors
        found: Result = entry.load()(subject, **given)
        return found


@contextmanager
def _randomness_kept() -> Iterator[None]:
    """Put the generators of Python, NumPy and PyTorch back, which reading data may draw from."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _tell(writer: Any, values: Mapping[str, float], step: int) -> None:
    """Give the numbers to a TensorBoard writer, or to a run of Weights & Biases."""
    if not hasattr(writer, "add_scalar"):
        writer.log(dict(values), step=step)
        return
    for name, value in values.items():
        writer.add_scalar(name, value, step)
