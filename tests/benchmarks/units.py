"""What a unit costs beside its own work: python -m tests.benchmarks.units.

1,000 small units over two processes; and 10,000 of which it is seen whether they are done, each
claimed and released, as one person at a sweep of 2,500 runs with four analyses each does.
"""

import tempfile
import time
from pathlib import Path

from cli.units.engine import until_free
from cli.units.kept import is_done
from cli.units.run_unit import _held
from cli.units.spread import over_processes
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig

MEASURED, SIMULATED = 1000, 10_000
ANALYSES = ("spectrum", "accuracy", "features", "sharpness")


def nothing(number: int) -> int:
    """Work for no time."""
    return number


def spread_out() -> float:
    """Seconds a unit over two processes, without their start."""
    given = over_processes(nothing, range(MEASURED), 2, lambda: None)
    next(given)
    began = time.perf_counter()
    done = sum(1 for _ in given)
    return (time.perf_counter() - began) / done


def simulated(folder: Path) -> tuple[float, float]:
    """Seconds a unit to see that it is to do, and to claim it, write its file and release it."""
    config = DiagnoseConfig()
    units = [
        Unit(folder / f"run{n // len(ANALYSES)}", "epoch_0001", ANALYSES[n % 4], config)
        for n in range(SIMULATED)
    ]
    began = time.perf_counter()
    left = [unit for unit in units if not is_done(unit)]
    looked = time.perf_counter() - began

    def run(todo):
        for unit in todo:
            with _held(unit):
                unit.output.touch()
            yield unit, unit.output

    began = time.perf_counter()
    assert sum(1 for _ in until_free(run, left)) == SIMULATED
    claimed = time.perf_counter() - began
    assert all(map(is_done, units))
    return looked / SIMULATED, claimed / SIMULATED


if __name__ == "__main__":
    print(f"{MEASURED:,} units over two processes: {1e3 * spread_out():.2f} ms each")
    with tempfile.TemporaryDirectory() as place:
        seen, held = simulated(Path(place))
    print(f"{SIMULATED:,} units: {1e3 * seen:.3f} ms each to see that they are to do, ", end="")
    print(f"{1e3 * held:.3f} ms to claim, write and release")
