"""The verdicts of a few runs in words: no more than the brackets say."""

import numpy as np
import pytest

from figures.report.conclusion import conclusions
from figures.report.rows import summary_rows
from tests.figures import run_records
from tests.figures.run_records import request

SCOPES = ("tail", *(f"class/{c}" for c in range(10)))


def run(folder, method, low, *more):
    spectrum = run_records.spectrum(low, SCOPES)
    return run_records.write_run(folder, method, spectrum, *more)


def test_each_run_is_summed_up_and_the_others_are_set_beside_the_first(tmp_path):
    first = run(tmp_path / "a", "ce-drw", -2.0, run_records.accuracy())
    other = run(tmp_path / "b", "ce-drw+sam", -1.0, run_records.accuracy((0.8, 0.9, 0.7, 0.6)))
    found = conclusions(request(first, other))
    assert found == [
        "ce-drw: 10 of 10 classes curve down, proved; largest |λmin/λmax| 0.05, class 0; verdicts: "
        "10 saddle",
        "ce-drw+sam: 10 of 10 classes curve down, proved; largest |λmin/λmax| 0.025, class 0; "
        "verdicts: 10 saddle",
        "ce-drw against ce-drw+sam: λmax of the tail 39.9 … 40.1 against 39.9 … 40.1 (not told "
        "apart); λmin of the tail -2.10 … -1.90 against -1.10 … -0.900; test accuracy of the tail "
        "50.0 % against 60.0 %",
    ]


@pytest.mark.parametrize(("low", "count"), [(-0.05, 0), (0.3, 0), (-0.2, 10)])
def test_a_negative_value_within_rounding_is_not_called_proved(low, count, tmp_path):
    (sentence,) = conclusions(request(run(tmp_path / "a", "ce", low)))
    assert f"{count} of 10 classes curve down, proved" in sentence


def test_a_class_without_values_does_not_stop_the_sentence(tmp_path):
    spectrum = run_records.spectrum(-2.0, SCOPES)
    for name in ("lambda_min", "lambda_max"):
        getattr(spectrum, name)[2:] = np.nan
    stored = run_records.write_run(tmp_path / "a", "ce", spectrum)
    assert "1 of 10 classes curve down" in conclusions(request(stored))[0]


def test_a_class_is_named_as_in_figures(tmp_path):
    names = ["dog", *map(str, range(1, 10))]
    spectrum = run_records.spectrum(-2.0, ("class/0",))
    stored = run_records.write_run(tmp_path / "a", "ce", spectrum, class_names=names)
    assert "0.05, class 0 (dog); " in conclusions(request(stored))[0]
    assert summary_rows(request(stored))[0][-1] == "saddle (class 0 (dog))"


def test_runs_of_one_method_are_named_by_their_folders(tmp_path):
    runs = [
        run_records.write_run(tmp_path / name, "ce", run_records.spectrum(-2.0, SCOPES))
        for name in ("first", "second")
    ]
    first, second, both = conclusions(request(*runs))
    assert first.startswith("first: ")
    assert second.startswith("second: ")
    assert both.startswith("first against second: ")


def test_a_run_without_classes_says_nothing(tmp_path):
    only = run_records.write_run(tmp_path / "a", "ce", run_records.spectrum(-2.0, ("overall",)))
    assert conclusions(request(only)) == []
