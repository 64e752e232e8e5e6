"""Rows of the accuracy figure: what is joined as seeds, what stands alone, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import figures
from figures.kinds import accuracy as module
from figures.kinds import flattening
from figures.output import paper_style
from landscape.errors import InputError
from landscape.results.provenance import external_plan
from tests.figures.run_records import accuracy, counts, plan, provenance, request, write_run


def elsewhere(folder, overall):
    """Results of a model that was trained elsewhere, whose seed nobody knows."""
    record = accuracy((overall, 0.9, 0.7, 0.5))
    unknown = {"seed": None, "recipe": {}, "settings": {}}
    return write_run(folder, "torchvision:resnet18", record, weights=folder.name, **unknown)


def test_models_trained_elsewhere_are_no_seeds_of_one(tmp_path):
    runs = [elsewhere(tmp_path / name, o) for name, o in (("a", 0.6), ("b", 0.8))]
    found = module.rows(request(*runs))
    assert [row.label for row in found] == ["a", "b"]
    assert [row.group[:, 0].tolist() for row in found] == [[60.0], [80.0]]


def test_records_of_models_of_one_name_are_no_seeds_of_one():
    records = [held(share) for share in (0.6, 0.8)]
    drawn = figures.draw("accuracy", *records)
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == ["Sequential 1", "Sequential 2"]


def held(share):
    stored = plan() | external_plan("Sequential", "TensorDataset", counts())
    origin = provenance("accuracy", "model", "Sequential", stored, weights=str(share))
    return accuracy((share, 0.9, 0.7, 0.5)).with_provenance(origin)


def test_a_run_given_twice_is_no_second_seed(tmp_path):
    run = write_run(tmp_path / "run", "ce", accuracy())
    with pytest.raises(InputError, match="agree on every setting and on the seed 0"):
        module.rows(request(run, run))


def test_seeds_of_one_setting_are_one_row(tmp_path):
    shares = (0.6, 0.8)
    runs = [
        write_run(tmp_path / str(s), "ce", accuracy((o, 0.9, 0.7, 0.5)), seed=s)
        for s, o in enumerate(shares)
    ]
    (row,) = module.rows(request(*runs))
    assert row.label == "ce (2 seeds)"
    assert row.group[:, 0].tolist() == [60.0, 80.0]


def test_ticks_count_samples_only_where_all_rows_have_them(tmp_path):
    runs = [
        write_run(tmp_path / str(i), "ce", accuracy(imbalance=i), imbalance=i) for i in (100, 10)
    ]
    assert ticks(request(runs[0]))[-1] == f"9\n{counts()[-1]}"
    assert ticks(request(*runs)) == [str(c) for c in range(10)]


def ticks(asked):
    with paper_style():
        axes = module.read(asked).draw().axes[0]
    found = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ("training samples" in axes.get_xlabel()) == ("\n" in found[0])
    return found


def test_gains_of_models_trained_elsewhere_are_told_apart(tmp_path):
    runs = [elsewhere(tmp_path / name, o) for name, o in (("a", 0.6), ("b", 0.8), ("c", 0.7))]
    found = flattening.read(request(*runs))
    assert found.base == "torchvision:resnet18 (a)"
    assert [gain.label for gain in found.gains] == [
        "torchvision:resnet18 (b)",
        "torchvision:resnet18 (c)",
    ]
    assert np.array([gain.mean[0] for gain in found.gains]) == pytest.approx([20, 10])


def test_one_seed_has_no_deviation_and_no_bar(tmp_path):
    found = module.read(request(write_run(tmp_path / "one", "ce", accuracy())))
    header, row = found.tables()["csv"].splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells["overall_mean"] == "75.0000"
    assert {cells[name] for name in cells if name.endswith("_std")} == {""}
    assert all(trace.error_y.array is None for trace in found.page().data)
    with paper_style():
        assert not found.draw().axes[0].collections


def test_classes_by_number_are_not_said_to_fall(tmp_path):
    record = accuracy()
    rising = replace(record, training_count=record.training_count[::-1])
    labels = {}
    for name, one in (("falling", record), ("rising", rising)):
        page = module.read(request(write_run(tmp_path / name, "ce", one))).page()
        labels[name] = page.layout.xaxis.title.text
    assert labels == {"falling": "class, head to tail", "rising": "class"}
