"""How often an unfinished record is written."""

from dataclasses import dataclass

import pytest

from cli.units import inputs
from cli.units.inputs import PartialWriter
from landscape.config import DiagnoseConfig


@dataclass
class Clock:
    now: float = 0.0

    def perf_counter(self):
        return self.now


class Slow:
    """A record that takes some seconds to write."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.written = clock, seconds, []
        self.provenance = self

    config: dict = {}  # noqa: RUF012

    def with_provenance(self, _):
        return self

    def save(self, _):
        self.written.append(self.clock.now)
        self.clock.now += self.seconds


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 119), (0.1, 117), (6.0, 5)])
def test_writing_takes_a_twentieth_of_the_time_at_most(seconds, expected, monkeypatch, tmp_path):
    """Ten minutes of points of a tenth of a second each."""
    clock = Clock()
    monkeypatch.setattr(inputs, "time", clock)
    monkeypatch.setattr(inputs, "replace", lambda record, **_: record)
    record, writer = Slow(clock, seconds), PartialWriter(tmp_path / "s.h5", DiagnoseConfig())
    while clock.now < 600:
        clock.now += 0.1
        writer.keep(record)
    assert len(record.written) == pytest.approx(expected, abs=2)
    assert record.written[0] < 6  # a first picture comes soon
    assert len(record.written) * seconds <= 600 / 19
