"""Say of a figure's page which runs and checkpoint it shows, by which command, and of what day."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from figures.catalogue import FIGURES
from figures.request import Request
from figures.runs.folder import RunResults
from figures.runs.settings import stored_plan
from landscape.results.checkpoint_names import course, number_of, unit_of
from landscape.results.load import load_provenance


def facts(kind: str, request: Request, folder: Path | None = None) -> list[tuple[str, str]]:
    """List what stands in the head of a figure's page.

    Args:
        kind: of the figure, or ``paper:NAME``.
        request: what was asked for.
        folder: that it is written to, if the command shall name it.
    """
    shown = FIGURES.get(kind)
    checkpoint = "" if shown is None else _checkpoint(shown.shows, request)
    if shown is not None and shown.over_training:
        checkpoint = "every diagnosed one"
    return [
        ("run" if len(request.runs) == 1 else "runs", _runs(request.runs)),
        ("checkpoint", checkpoint),
        ("command", command(kind, [run.path for run in request.runs], request, out=folder)),
        ("results of", _newest(request)),
    ]


def default_folder(paths: Sequence[Path]) -> Path:
    """Choose where figures of runs go: beside the results, or beside the first of several runs."""
    return (paths[0] if len(paths) == 1 else paths[0].parent) / "figures"


def command(
    kind: str,
    paths: Sequence[Path],
    request: Request,
    verb: str = "figure",
    out: Path | None = None,
) -> str:
    """Write the command that draws a figure.

    Args:
        kind: of the figure, or ``paper:NAME``; empty for none.
        paths: of the runs.
        request: what else was asked for.
        verb: the command's name.
        out: the folder that it writes to, left out where that is the default.
    """
    words = ["tailscape", verb, *([kind] if kind else []), *map(str, paths)]
    if request.checkpoint != "last":
        words += ["--checkpoint", request.checkpoint]
    if request.scopes:
        words += ["--scopes", ",".join(request.scopes)]
    if request.options:
        words += ["--options", ",".join(f"{n}={v}" for n, v in request.options.items())]
    usual = Path("report") if verb == "report" else default_folder(paths) if paths else None
    words += [] if out is None or out == usual else ["--out", str(out)]
    return shlex.join(words)


def _runs(runs: Sequence[RunResults]) -> str:
    """Name the runs with their methods, those of the same data together."""
    named: dict[str, dict[str, dict[str, None]]] = {}
    for run in runs:
        plan = stored_plan(run)
        imbalance = plan.get("imbalance") or 1
        data = str(plan.get("data", "")).rpartition("/")[2]
        data += f", imbalance {imbalance:g}" if imbalance != 1 else ""
        methods = named.setdefault(data, {})
        methods.setdefault(str(plan.get("method", "")), {})[run.name] = None
    return "; ".join(
        "; ".join(f"{', '.join(names)} ({method})" for method, names in methods.items())
        + f" on {data}"
        for data, methods in named.items()
    )


def _newest(request: Request) -> str:
    """Find the day of the newest result of the runs; a page says the same whenever it is drawn."""
    files = [path for run in request.runs for path in (run.path / "results").glob("*/[!.]*.h5")]
    created = max((load_provenance(path).created for path in files), default="")
    return created.partition("T")[0]


def _checkpoint(analysis: str, request: Request) -> str:
    """Name the checkpoint, and the epoch or step that ``last`` is."""
    if request.checkpoint != "last" or not analysis:
        return request.checkpoint
    found: dict[str, dict[int, None]] = {}
    for run in request.runs:
        stored = course(p.stem for p in (run.path / "results").glob(f"{analysis}*/*.h5"))
        if stored:
            found.setdefault(unit_of(stored[-1]), {})[number_of(stored[-1])] = None
    last = ", ".join(f"{unit} {' and '.join(map(str, at))}" for unit, at in found.items())
    return f"last ({last})" if last else "last"
