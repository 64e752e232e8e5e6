"""The picture of spikes says what this run's data show."""

import numpy as np

from figures.kinds.spikes import finding, read
from landscape.results.spikes import Spikes
from tests.figures import run_records
from tests.figures.diagnostic_records import spikes


def drawn(tmp_path, *records):
    runs = [run_records.write_run(tmp_path / f"r{k}", "ce", r) for k, r in enumerate(records)]
    return read(run_records.request(*runs))


def test_the_caption_names_owners_and_what_the_tail_adds():
    record = spikes(3)
    fields = {name: getattr(record, name) for name in Spikes.__dataclass_fields__}
    curvature = np.array([[1.0, 1.0, 8.0], [0.5, 4.0, 0.5], [0.4, 0.3, 0.3]])
    fields |= {"curvature": curvature, "training_count": np.array([900, 90, 10])}
    said = finding(Spikes(**fields), ["class 0", "class 1", "class 2"], [0, 1, 2])
    assert said == (
        "class 1 owns λ2, class 2 owns λ1, 1 of 3 spikes are shared; the tail, 1 % of the samples, "
        "adds 55 % of the spikes' curvature; 90 % of ‖g‖² lies in their span (chance 2e-05)"
    )


def test_panels_hold_the_record_head_to_tail(tmp_path):
    record = spikes(10)
    figure = drawn(tmp_path, record, spikes(10, seed=1))
    shares, gradients, spans = figure.runs[0].panels
    assert np.allclose(shares.values, record.curvature / record.value[:, None])
    assert np.array_equal(gradients.values, record.gradient_overlap)
    assert np.array_equal(spans.values, record.subspace_overlap)
    assert shares.rows[0] == f"λ1 = {record.value[0]:.3g}"
    assert shares.rows[-1].endswith(" *")
    assert [axes.get_xlabel() for axes in figure.draw().axes[:3]] == ["class, head to tail"] * 3
    page = figure.page()
    assert len(page.data) == 6
    assert "told apart" in page.layout.title.text


def test_absent_classes_and_many_classes(tmp_path):
    assert drawn(tmp_path, spikes(40, absent=(7,))).draw().axes[0].get_images()
    assert drawn(tmp_path / "b", spikes(3, absent=(0, 1))).page().data
