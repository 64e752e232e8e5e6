"""Calibration, worst class and open-set recognition against values computed by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import landscape
from landscape.analyses.accuracy import calibration_errors, judge_all
from landscape.results.accuracy import Accuracy
from landscape.results.load import load
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject


class Says(nn.Module):
    """Give the logarithms of its inputs, which are probabilities, as logits."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.one * x.log()


# confidences 0.9 (right), 0.9 (wrong), 0.6 (right) of class 0, and 0.7 (right) of class 1
PROBABILITIES = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.3, 0.7]])
DATA = TensorData(PROBABILITIES, torch.tensor([0, 0, 0, 1]))


def judged(**options):
    subject = Subject(Says(), DATA, class_counts=(30, 10))
    return landscape.accuracy(subject, **options)


def test_calibration_of_known_confidences():
    found = judged()
    # bins: |1 - 1.8| at 0.9, |1 - 0.6| at 0.6, |1 - 0.7| at 0.7, over four samples
    assert float(found.ece[0]) == pytest.approx((0.8 + 0.4 + 0.3) / 4, abs=1e-6)
    head = found.ece[list(found.group_name).index("head")]
    assert float(head) == pytest.approx((0.8 + 0.4) / 3, abs=1e-6)
    assert np.isnan(found.ece[[g == "tail" for g in found.group_name]]).all()


def test_certain_and_right_is_calibrated():
    bins = np.zeros((2, 15, 3))
    bins[0, 14] = [5, 5, 5.0]
    assert calibration_errors(bins, (10, 5), "count").tolist()[0] == 0


def test_confidences_on_an_edge_are_counted_once():
    logits = torch.tensor([[0.5, 0.5]] * 3 + [[1.0, 0.0]] * 2).clamp_min(1e-30)
    data = TensorData(logits, torch.tensor([0, 0, 1, 0, 1]))
    model = Says()
    found = judge_all(lambda batch: model(batch[0]), model.one, data, 2)
    assert found.calibration[..., 0].sum() == 5
    assert found.calibration[..., 2].sum() == pytest.approx(3 * 0.5 + 2)


def test_worst_class():
    assert judged().worst == pytest.approx(2 / 3)
    assert "worst class 66.67 %" in str(judged())


def test_open_set_counts_as_the_released_codes():
    probabilities = torch.full((20, 12), 1 / 12)
    probabilities[:6] = torch.eye(12)[:6] * 0.89 + 0.01  # sure, of class 0 to 5
    labels = torch.tensor([0, 1, 2, 3, 0, 0, *range(12), 0, 0])
    subject = Subject(Says(), TensorData(probabilities, labels))
    other = torch.full((5, 12), 1 / 12)
    other[0] = torch.eye(12)[3] * 0.89 + 0.01
    found = landscape.accuracy(subject, unknown=TensorData(other, torch.zeros(5).long()))
    assert found.open_set.tolist() == [4, 2, 14, 1]
    precision, recall = 4 / 6, 4 / 5
    assert found.f_measure == pytest.approx(2 * precision * recall / (precision + recall))
    precision = 4 / 20
    assert found.f_measure_oltr == pytest.approx(2 * precision * recall / (precision + recall))
    assert "open-set F-measure" in str(found)


def test_without_an_open_set_there_is_no_f_measure():
    assert np.isnan(judged().f_measure)
    assert "F-measure" not in str(judged())


def test_files_of_before_have_no_calibration(tmp_path):
    import h5py

    path = judged().save(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        del file["ece"], file["open_set"]
    old = load(path, Accuracy)
    assert np.isnan(old.ece).all()
    assert np.isnan(old.open_set).all()
    assert old.worst == judged().worst
    assert "ECE" not in str(old)
