"""The figure of basins over seeds, and surfaces of the trained objective."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

import figures
from figures.kinds import basin, surface
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.hdf5 import save
from tests.figures.records import COUNTS, drawn, provenance, saved_run, surface_record, titled


def seeds_of(folder, *seeds):
    """A run whose basins shrink from seed to seed by the same factor."""
    records = [surface_record(sharp=1.5**seed, points=(41, 41)) for seed in seeds]
    for seed, record in zip(seeds, records, strict=True):
        name = f"surface-seed{seed}" if seed else "surface"
        save(record, provenance("surface"), folder / "results" / name / "epoch_0200.h5")
    return RunResults.open(folder), records


def test_means_and_intervals_are_those_over_seeds(tmp_path):
    run, records = seeds_of(tmp_path / "run", 10, 0, 2)
    assert run.surface_seeds() == ["", "-seed2", "-seed10"]
    shares, excess = basin.read(Request((run,))).rows[0]
    dots, mean = shares.lines
    names = shares.x.ticks[1]
    assert list(names[:4]) == ["all", "head", "mid", "tail"]
    at = names.index("tail")
    record = next(r for r in records if r.scope[3] == "tail")
    found = sorted(100 * r.basin_share[3] for r in records)
    assert sorted(dots.y.reshape(len(names), 3)[at]) == pytest.approx(found)
    logarithms = np.log(found)
    half = 4.302653 * logarithms.std(ddof=1) / np.sqrt(3)  # t of two degrees of freedom
    assert mean.y[at] == pytest.approx(np.exp(logarithms.mean()))
    high = mean.y[at] + mean.error[1][at]
    assert high == pytest.approx(np.exp(logarithms.mean() + half))
    centre = record.basin("tail").centre / record.basin("tail").minimum
    assert any(np.isclose(excess.lines[0].y, centre))
    assert "3 planes" in basin.read(Request((run,))).note


def test_one_seed_says_how_to_add_others(tmp_path):
    run, (record,) = seeds_of(tmp_path / "run", 0)
    chart = basin.read(Request((run,)))
    assert "--surface.seeds" in chart.note
    assert [line.label for line in chart.rows[0][0].lines] == ["one plane"]
    assert f"{100 * record.basin_share[3]:.2g} %" in chart.rows[0][0].title
    chart.draw()


def test_a_basin_far_smaller_than_the_others_is_marked_at_the_edge(tmp_path):
    record = surface_record()
    share, least = record.basin_share.copy(), record.basin_minimum.copy()
    at = record.scope.tolist().index("class/4")
    share[at], least[at] = 1e-12, 1e-30
    fitted = replace(record, basin_share=share, basin_minimum=least)
    runs = [
        saved_run(tmp_path / name, (one, provenance("surface", run=name, method=name)))
        for name, one in (("plain", record), ("fitted", fitted))
    ]
    chart = basin.read(Request(tuple(runs)))
    for column, edge in ((0, 0), (1, 1)):
        panel, marked = (row[column] for row in chart.rows)
        same, other = panel.y.limits, marked.y.limits
        assert same == other  # one axis for both runs
        assert same[1] / same[0] < 1e3
        assert [line.label for line in panel.lines] == ["one plane"]
        mean, out = marked.lines
        name = marked.x.ticks[1].index("4")
        assert not same[0] < mean.y[name] < same[1]
        assert list(out.x) == [marked.x.ticks[0][name]]
        assert same[0] < out.y[0] < same[1]
        assert abs(np.log(out.y[0] / same[edge])) < 0.2
    assert "triangles: beyond the axis" in chart.note
    chart.draw()


def words(figure):
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def test_records_in_memory(tmp_path):
    _, records = seeds_of(tmp_path / "run", 0, 1)
    given = []
    for seed, record in enumerate(records):
        origin = provenance("surface")
        config = origin.config | {
            "diagnose": {"surface": {"directions": "random", "seeds": [seed]}}
        }
        given.append(record.with_provenance(replace(origin, config=config)))
    assert "2 planes" in words(figures.draw("basin", [given]))
    assert "one plane" in words(figures.draw("basin", given[1]))


def with_objective():
    record = surface_record()
    factors = np.geomspace(1, 30, len(COUNTS))
    return replace(
        record, objective=record.loss * factors, objective_name=np.array("ce, classes weighted")
    )


def test_the_objective_is_drawn_in_a_row_below_the_loss(tmp_path):
    record = with_objective()
    run = saved_run(tmp_path / "run", (record, provenance("surface")))
    both = Request((run,), scopes=("overall", "tail"), options={"quantity": "both"})
    figure = surface.read(both)
    assert [[panel.scope for panel in row] for row in figure.rows] == [
        ["overall", "tail"],
        ["overall, ce, classes weighted", "tail, ce, classes weighted"],
    ]
    expected = record.scope_objective("tail")
    assert np.array_equal(figure.rows[1][1].loss, expected)
    text = figure.tables()["vtk"]
    assert "tail,_ce" in text.replace(" ", "_")
    assert "tail_loss" in text.replace(" ", "_")
    assert len(titled(drawn(surface, both))) == 4


def test_a_surface_without_an_objective_says_so(tmp_path):
    run = saved_run(tmp_path / "run", (surface_record(), provenance("surface")))
    with pytest.raises(InputError, match="holds no trained objective"):
        surface.read(Request((run,), options={"quantity": "objective"}))


def test_the_title_says_how_far_the_least_loss_is(tmp_path):
    record = surface_record()
    run = saved_run(tmp_path / "run", (record, provenance("surface")))
    title = surface.read(Request((run,), scopes=("tail",))).panels[0].title("loss")
    found = record.basin("tail")
    x, y = found.at
    squares = record.direction_norm**2 * np.array([x, y]) ** 2
    crossed = 2 * 0.01 * record.direction_norm.prod() * x * y
    assert f"{np.sqrt(squares.sum() + crossed):.3g} away" in title
    lower = 100 * (1 - found.minimum / found.centre)
    assert f"{lower:.2g} % lower" in title
    assert f"basin {100 * found.share:.2g} %" in title
