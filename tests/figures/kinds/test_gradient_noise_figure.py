"""The picture of gradient noise says what a batch resolves."""

import numpy as np
import pytest

from figures.kinds.gradient_noise import finding, read, tail_finding
from tests.figures import run_records
from tests.figures.diagnostic_records import gradient_noise


def test_the_caption_counts_the_classes_that_a_batch_resolves():
    record = gradient_noise()
    upper = record.scale * np.exp(1.96 * record.scale_sem / record.scale)
    resolved = int((128 * record.share > upper).sum())
    assert 0 < resolved < 10
    assert finding(record) == f"a batch of 128 resolves the gradient of {resolved} of 10 classes"
    share = 100 * record.noise_share[7:].sum()
    assert f"makes {share:.1f} % of its noise" in tail_finding(record)
    assert finding(gradient_noise(batch=np.nan)) == "the batch of the training is not known"


def test_lines_are_scales_and_shares(tmp_path):
    record = gradient_noise()
    runs = [run_records.write_run(tmp_path / f"r{k}", "ce", record) for k in range(2)]
    chart = read(run_records.request(*runs))
    scales, shares = chart.rows[0]
    assert scales.lines[0].y == pytest.approx(record.scale)
    factor = np.exp(1.96 * 0.1)
    assert scales.lines[0].error[1] == pytest.approx((factor - 1) * record.scale)
    assert scales.lines[0].error[0] == pytest.approx((1 - 1 / factor) * record.scale)
    assert scales.lines[1].y == pytest.approx(128 * record.share)
    assert shares.lines[0].y.sum() == pytest.approx(100)
    assert chart.draw().axes
    assert len(chart.page().data) >= 8


def test_many_classes_and_no_batch(tmp_path):
    run = run_records.write_run(tmp_path / "r", "ce", gradient_noise(40, np.nan))
    chart = read(run_records.request(run))
    assert len(chart.rows[0][0].lines) == 1
    assert chart.draw().axes
