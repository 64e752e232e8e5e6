"""Progress over scopes and checkpoints, and the time that is left."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from cli.console import Remaining, clock, duration
from cli.units.cost import Passes, parts_of
from cli.units.progress import UnitProgress
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig, SpectrumConfig, SurfaceConfig

COUNTS = (60, 30, 10)
SETTINGS = DiagnoseConfig(
    scopes=("overall", "class/0", "class/2"),
    samples_per_class=40,
    spectrum=SpectrumConfig(steps=7, probes=3, trace_probes=4),
    surface=SurfaceConfig(points=5, points_y=3),
)


def unit(analysis, checkpoint="epoch_0001"):
    return Unit(Path("run"), checkpoint, analysis, SETTINGS)


def test_passes_are_counted_by_scope():
    parts = parts_of(unit("spectrum"), COUNTS)
    assert parts["overall"] == Passes(gradients=80, products=80 * 25)  # 40 + 30 + 10 samples
    assert parts["class/2"] == Passes(gradients=10, products=250)
    assert parts_of(unit("surface"), COUNTS) == {"": Passes(forward=15 * 80)}
    assert parts_of(unit("accuracy"), COUNTS, judged=7) == {"": Passes(forward=7)}


def test_the_bar_moves_by_what_each_scope_takes():
    units = [unit("spectrum", f"epoch_000{k}") for k in (1, 2)]
    with Progress(console=Console(file=StringIO())) as bar:
        progress = UnitProgress(bar, {one: parts_of(one, COUNTS) for one in units})
        task = bar.tasks[0]
        shares = []
        for one in units:
            for scope in ("class/0", "class/2", "overall"):
                progress.started(one, scope)
                shares.append(task.completed / task.total)
            progress.finished(one)
            shares.append(task.completed / task.total)
        assert task.description == "epoch_0002 spectrum overall (6 of 6)"
    each = [0, 40 / 130, 50 / 130, 1]
    assert shares == pytest.approx([s / 2 for s in each] + [0.5 + s / 2 for s in each])


def test_a_surface_moves_by_its_points():
    one = unit("surface")
    with Progress(console=Console(file=StringIO())) as bar:
        progress = UnitProgress(bar, {one: parts_of(one, COUNTS)})
        progress.started(one, "3 of 15 points")
        assert bar.tasks[0].percentage == pytest.approx(20)


def test_the_time_left_is_known_after_the_first_part_however_long_it_took():
    now = [0.0]
    with Progress(console=Console(file=StringIO()), get_time=lambda: now[0]) as bar:
        column = Remaining()
        bar.add_task("work", total=4)
        (task,) = bar.tasks
        assert column.render(task).plain == "-:--:--"
        now[0] = 100.0
        bar.update(task.id, completed=1)
        assert column.render(task).plain == "0:05:00"
        now[0] = 150.0
        assert column.render(task).plain == "0:04:10"


def test_times_are_written():
    assert (clock(3725), clock(59)) == ("1:02:05", "0:00:59")
    assert (duration(3725), duration(65), duration(0.2)) == (
        "1 h 2 min",
        "1 min 5 s",
        "less than a second",
    )
