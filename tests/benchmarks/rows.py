"""Rows of the reproduction table: a run's small, lasting part, and the table over all of them.

What is kept of a run is a run folder itself (``tailscape show``, ``diagnose`` and ``figure`` take
it): configuration, metrics, result files, and the last epoch's weights in half precision. From a
shell: ``python -m tests.benchmarks.rows OUT RUN …``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from landscape.results.atomic import atomic_write
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint
from trainers.runs.folder import RunFolder


def keep(run: Path, out: Path) -> Path:
    """Copy a finished run's lasting part into ``out``.

    Args:
        run: the run folder.
        out: folder of the rows.

    Returns:
        The run folder written, ``out / run.name``.
    """
    source, target = RunFolder(run), RunFolder(out / run.name)
    epoch = source.plan().epochs
    weights = load_checkpoint(source.checkpoint(f"epoch_{epoch:04d}"))
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights["model"].items()}
    kept = {name: weights[name] for name in ("epoch", "architecture")}
    save_checkpoint(kept | {"model": halves}, target.checkpoint(f"epoch_{epoch:04d}"))
    results = sorted((run / "results").glob("*/*.h5"))
    for path in (source.config_path, run / "metrics.jsonl", *results):
        atomic_write(target.path / path.relative_to(run), path.read_bytes())
    return target.path


def row(run: Path) -> dict[str, Any]:
    """Sum up a run: what was trained, how well it does, and what it took."""
    folder = RunFolder(run)
    config, plan, metrics = folder.config(), folder.plan(), folder.metrics()
    judged = [entry for entry in metrics if "test_accuracy" in entry]
    last, best = judged[-1], max(judged, key=lambda entry: entry["test_accuracy"])
    computed = config.get("computed", {})
    state = load_checkpoint(folder.checkpoint(f"epoch_{plan.epochs:04d}"))["model"]
    sizes = [v.numel() for k, v in state.items() if "running_" not in k and "num_batches" not in k]
    return {
        "method": plan.method,
        "seed": plan.seed,
        "epochs": last["epoch"],
        "last": percent(last["test_accuracy"]),
        **{group: percent(last[f"test_{group}"]) for group in ("head", "mid", "tail")},
        "best on test": f"{percent(best['test_accuracy'])} (epoch {best['epoch']})",
        "seconds": round(sum(entry["seconds"] for entry in metrics)),
        "precision": plan.precision,
        "compiled": "yes" if computed.get("compile") else "no",
        "machine": computed.get("machine", config["device"]),
        "data": config["data_sha256"][:12],
        "parameters": sum(sizes),
    }


def percent(share: float | None) -> str:
    """Spell an accuracy in percent; of an empty group, nothing."""
    return "" if share is None else f"{100 * share:.2f}"


def write_table(out: Path) -> Path:
    """Write ``table.md`` over all rows kept in ``out``."""
    rows = [row(path.parent) for path in sorted(out.glob("*/config.json"))]
    lines = ["no run is finished yet"]
    if rows:
        names = list(rows[0])
        lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        lines += [f"| {' | '.join(str(r[name]) for name in names)} |" for r in rows]
    atomic_write(out / "table.md", "\n".join(lines) + "\n")
    return out / "table.md"


def main() -> None:
    """Keep the runs named on the command line and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the rows")
    parser.add_argument("runs", type=Path, nargs="*", help="finished runs, to be kept there")
    given = parser.parse_args()
    for run in given.runs:
        keep(run, given.out)
    print(json.dumps([row(p.parent) for p in sorted(given.out.glob("*/config.json"))], indent=1))
    print(write_table(given.out))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
