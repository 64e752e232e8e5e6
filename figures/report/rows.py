"""Summarise each run of a report: its row in the table, and the origin of its numbers."""

from dataclasses import asdict, dataclass
from typing import Any

from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.labels import scope_label
from figures.runs.settings import run_config, run_metrics, stored_plan
from landscape.results import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.load import load_provenance
from landscape.results.spectrum import Spectrum

HEADINGS = (
    "run",
    "method",
    "data",
    "imbalance",
    "seed",
    "accuracy",
    "best on test",
    "λmax",
    "λmin",
    "verdict",
)
_NONE = "–"
_ENVIRONMENT = ("created", "git_commit", "device", "data_sha256", "versions")
_LEFT_OUT = {"config", "schema"}


@dataclass(frozen=True)
class Origin:
    """The origin of a run's numbers."""

    name: str
    trained: dict[str, Any]  # environment of the training
    results: list[dict[str, Any]]  # provenance of each result file
    plan: dict[str, Any]


def summary_rows(request: Request) -> list[list[str]]:
    """Write the table's rows, one a run, in the order of :data:`HEADINGS`.

    Raises:
        InputError: a run has neither ``config.json`` nor results.
    """
    return [_row(run, request.checkpoint) for run in request.runs]


def any_best(request: Request) -> bool:
    """Tell whether the training of a run judged it on the test set, so that there is a best."""
    return any(_judged(run) for run in request.runs)


def origin(run: RunResults) -> Origin:
    """Read the origin of a run's numbers.

    Raises:
        InputError: a result file cannot be read.
    """
    stored = run_config(run)
    trained = {name: stored[name] for name in _ENVIRONMENT if name in stored}
    results = []
    for path in sorted((run.path / "results").glob("*/[!.]*.h5")):
        found = asdict(load_provenance(path))
        names = sorted(found, key=lambda name: name.endswith("sha256"))
        results.append({name: found[name] for name in names if name not in _LEFT_OUT})
    return Origin(run.name, trained, results, stored_plan(run))


def _row(run: RunResults, checkpoint: str) -> list[str]:
    plan = stored_plan(run)
    cells = [run.name, *(str(plan.get(name, _NONE)) for name in ("method", "data"))]
    seed = plan.get("seed", 0)
    cells.append(f"{plan['imbalance']:g}" if "imbalance" in plan else _NONE)
    cells.append(_NONE if seed is None else str(seed))
    return [*cells, _accuracy(run, checkpoint), _best(run), *_spectrum(run, checkpoint)]


def _accuracy(run: RunResults, checkpoint: str) -> str:
    """Read the accuracy of the checkpoint, or of the last epoch that training judged."""
    try:
        record, found = run.load(Accuracy, checkpoint)
    except InputError:
        judged = _judged(run)
        return _share(judged[-1]) if judged and checkpoint == "last" else _NONE
    on = record.judged_on(found)
    of = "" if on == "test" else f" of {on} data"
    return f"{100 * record.group[0]:.1f} %{of} ({checkpoint_label(found.checkpoint)})"


def _best(run: RunResults) -> str:
    judged = _judged(run)
    return _share(max(judged, key=lambda entry: entry["test_accuracy"])) if judged else _NONE


def _judged(run: RunResults) -> list[dict[str, Any]]:
    return [entry for entry in run_metrics(run) if entry.get("test_accuracy") is not None]


def _share(entry: dict[str, Any]) -> str:
    return f"{100 * entry['test_accuracy']:.1f} % (epoch {entry['epoch']})"


def _spectrum(run: RunResults, checkpoint: str) -> list[str]:
    """Read both ends and the verdict of the tail, or else of the last scope there is."""
    try:
        record, found = run.load(Spectrum, checkpoint)
    except InputError:
        return [_NONE] * 3
    names = [str(name) for name in record.scope]
    scope = "tail" if "tail" in names else names[-1]
    at = record.index(scope)
    return [*record.end_texts(at), f"{record.verdict[at]} ({scope_label(scope, found.config)})"]
