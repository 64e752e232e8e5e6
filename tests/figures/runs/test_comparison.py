"""Comparisons over seeds: paired differences, their intervals and corrected p-values."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cli.main import main
from figures.kinds.compare import finding, read
from figures.pages.html import table_html
from figures.runs.comparison import _corrected, intervals, numbers_of
from landscape.errors import InputError
from tests.figures import run_records
from tests.figures.diagnostic_records import gradient_noise


def runs(tmp_path, shift, seeds=5, method="ce", spread=0.01):
    """Runs whose accuracies are shifted, with what the seeds share and what they do not."""
    found = []
    for seed in range(seeds):
        shared = np.random.default_rng(seed).normal(0, 0.05)
        own = np.random.default_rng([seed, *method.encode()]).normal(0, spread, 10)
        record = run_records.accuracy()
        per_class = record.per_class + shared + own + shift
        record = replace(record, per_class=per_class, group=record.group + shared + shift)
        folder = tmp_path / f"{method}-{seed}"
        found.append(run_records.write_run(folder, method, record, gradient_noise(), seed=seed))
    return found


def drawn(*given, **options):
    return read(run_records.request(*given, **options))


def test_a_difference_is_paired_with_a_bootstrap_interval(tmp_path):
    pairs = runs(tmp_path, 0.0), runs(tmp_path, 0.1, method="la")
    found = drawn(*pairs[0], *pairs[1])
    (one,) = [d for d in found.found if (d.number, d.scope) == ("accuracy.per_class", "class/3")]
    values = [
        np.array([numbers_of(r, "last").values["accuracy.per_class", "class/3"] for r in side])
        for side in pairs
    ]
    apart = values[1] - values[0]
    assert one.difference == pytest.approx(apart.mean())
    assert one.pairs == 5
    expected = stats.bootstrap(
        (apart,), np.mean, n_resamples=5000, method="BCa", random_state=np.random.default_rng(0)
    ).confidence_interval
    assert (one.low, one.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert one.low < 0.1 < one.high
    assert one.claimed  # though the seeds spread by half as much as the settings differ
    same = [d for d in found.found if d.number == "gradient_noise.noise"]
    assert len(same) == 10
    assert not any(d.claimed for d in same)
    assert all(d.p == 1 for d in same)


def test_the_correction_is_holms():
    p = np.array([0.01, 0.04, 0.03, 0.005, np.nan])
    found = [replace(_one(), p=value) for value in p]
    corrected = [d.p for d in _corrected(found)]
    assert corrected[:4] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(corrected[4])


def _one():
    from figures.runs.comparison import Difference

    return Difference("a.b", "overall", 0.0, 1.0, 0.5, 1.5, 0.01, 5)


def test_noise_alone_is_hardly_ever_claimed():
    """Over many draws of no difference, fewer than one family in ten has a claim."""
    rows = np.random.default_rng(0).normal(size=(600, 5))
    tests = list(zip(*intervals(rows), strict=True))
    wrong = 0
    for k in range(60):
        family = tests[10 * k : 10 * k + 10]
        found = [replace(_one(), low=low, high=high, p=p) for low, high, p in family]
        wrong += any(d.claimed for d in _corrected(found))
    assert wrong <= 6


def test_differences_that_are_the_same_in_every_seed_are_not_claimed():
    """Two networks may well both gain one test image."""
    low, high, p = intervals(np.array([[0.1, 0.1], [0.0, 0.0], [0.1, 0.2]]))
    assert (low[0], high[0]) == (0.1, 0.1)
    assert np.isnan(p[0])
    assert p[1] == 1
    assert 0 < p[2] < 1


def test_nothing_is_claimed_of_one_seed(tmp_path):
    found = drawn(*runs(tmp_path, 0.0, seeds=1), *runs(tmp_path, 0.3, seeds=1, method="la"))
    assert not any(d.claimed for d in found.found)
    assert all(np.isnan(d.low) for d in found.found)
    assert finding(found.found) == "one seed each, so no interval and no claim"
    assert found.draw().axes
    assert "bars" not in found.chart.note
    assert table_html(found.numbers()) == ""


def test_what_is_drawn_is_explained_and_no_more(tmp_path):
    pairs = [runs(tmp_path, 0.0, 2, method, spread=0.05) for method in ("ce", "la")]
    found = drawn(*pairs[0], *pairs[1])
    assert not any(one.claimed for one in found.found)
    assert f"none of {len(found.found)} numbers can be claimed to differ" in found.chart.title
    texts = {text for panel in found.chart.panels for text in panel.x.ticks[1]}
    assert ("a, h, m, t" in found.chart.note) == ({"a", "h", "m", "t"} <= texts)
    assert "grey: not claimed" in found.chart.note
    assert "colours" not in found.chart.note


def test_tables_and_panels(tmp_path):
    given = [*runs(tmp_path, 0.0), *runs(tmp_path, 0.1, method="la")]
    found = drawn(*given)
    lines = found.tables()["csv"].splitlines()
    assert lines[0].startswith("number,of,first")
    assert len(lines) == 1 + len(found.found)
    assert all(row[-1] == "yes" for row in found.numbers().rows)
    claimed = sum(d.claimed for d in found.found)
    said = f"la less ce: {claimed} of {len(found.found)} numbers differ (5 seeds"
    assert said in found.chart.title
    assert found.chart.panels[0].title.startswith("accuracy.")
    assert found.draw().axes
    assert found.page().data
    only = drawn(*given, options={"show": "accuracy.ece"})
    assert [panel.title for panel in only.chart.panels] == ["accuracy.ece"]
    with pytest.raises(InputError, match=r"unknown number 'accuracy\.ecc'; did you mean"):
        drawn(*given, options={"show": "accuracy.ecc"})


def test_names_with_signs_of_the_tables_stay_cells(tmp_path):
    found = drawn(*runs(tmp_path, 0.0, seeds=1), *runs(tmp_path, 0.1, seeds=1, method="la"))
    odd = ('1" pipe, a|b', *found.class_names[1:])
    tables = replace(found, class_names=odd).tables()
    cells = list(csv.reader(io.StringIO(tables["csv"])))
    assert {len(row) for row in cells} == {8}
    assert any('1" pipe, a|b' in row[1] for row in cells)
    rows = [line for line in tables["md"].splitlines() if "pipe" in line]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 9 for line in rows)


def test_refusals(tmp_path):
    first, second = runs(tmp_path, 0.0, seeds=2), runs(tmp_path, 0.1, seeds=3, method="la")
    with pytest.raises(InputError, match="these runs are of 1"):
        drawn(*first)
    with pytest.raises(InputError, match="have the seeds 0, 1 and 0, 1, 2; give runs of the same"):
        drawn(*first, *second)


def test_the_command(tmp_path, capsys):
    given = [*runs(tmp_path, 0.0, seeds=3), *runs(tmp_path, 0.1, seeds=3, method="la")]
    words = ["compare", *(str(run.path) for run in given), "--out", str(tmp_path / "figures")]
    words += ["--show", "accuracy.ece"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "la less ce: " in out
    assert "(3 seeds, p < 0.05 after Holm)" in " ".join(out.split())
    assert {p.name for p in (tmp_path / "figures").iterdir()} >= {"compare.csv", "compare.png"}
    assert main(["compare", str(given[0].path)]) == 2
    assert "give runs of two settings" in capsys.readouterr().err
