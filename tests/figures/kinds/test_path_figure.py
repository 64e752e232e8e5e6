"""The picture of paths says how high the barriers of head and tail are."""

from dataclasses import replace

import numpy as np
import pytest

from figures.kinds.path import finding, read
from landscape.errors import InputError
from tests.figures import run_records
from tests.figures.diagnostic_records import path


def drawn(tmp_path, *records, **request):
    runs = [run_records.write_run(tmp_path / f"r{k}", "ce", r) for k, r in enumerate(records)]
    return read(run_records.request(*runs, **request))


def test_the_caption_gives_barriers_with_their_intervals():
    record = path()
    zero = np.zeros_like(record.barrier)
    record = replace(record, barrier_sem=zero + 0.01, barrier=zero + 0.2)
    said = "barrier of the head 0.200 ± 0.020,\nbarrier of the tail 0.200 ± 0.020"
    assert finding(record) == f"units matched: {said}"
    head = record.scope.tolist().index("head")
    low = record.barrier.copy()
    low[1, head] = 0.01
    assert "no barrier of the head (below 0.03)" in finding(replace(record, barrier=low))
    low[1, head] = 0.0
    assert "no barrier of the head,\n" in finding(replace(record, barrier=low))


def test_lines_and_points_are_those_of_the_record(tmp_path):
    record = path(tail=2.0)
    chart = drawn(tmp_path, record, path(seed=1))
    along, by_class = chart.rows[0]
    overall = along.lines[0]
    assert overall.y == pytest.approx(record.scope_curve(0, "overall")[0])
    points = by_class.lines[1]  # the second path
    assert points.y == pytest.approx(record.barrier[1, 4:])
    assert points.error == pytest.approx(1.96 * record.barrier_sem[1, 4:])
    assert "150 of 176 units moved" in chart.note
    assert len(chart.draw().axes) == 4
    assert len(chart.page().data) == 2 * (3 * 4 + 3)


def test_accuracy_many_classes_and_unknown_scopes(tmp_path):
    chart = drawn(tmp_path, path(40), options={"quantity": "accuracy"})
    assert chart.rows[0][0].y.label == "accuracy, %"
    assert chart.draw().axes
    with pytest.raises(InputError, match="scope"):
        drawn(tmp_path / "b", path(), scopes=("class/77",))
