"""Records as files, tables and other libraries' containers."""

import copy
import pickle
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray

import landscape
from landscape.analyses.catalogue import ANALYSES
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.fields import datasets
from landscape.results.table import bracket, with_error
from tests.oracles import mlp, toy_data

GROUPS = {"spectrum": ["ritz"], "surface": ["directions", "trajectory", "marks"]}
GROUPS |= {"gradients": ["layers"], "gradient_noise": ["layers"]}
ROWS = {"spectrum": "scope", "surface": "scope", "sharpness": "scope", "similarity": "measure"}
ROWS |= {"path": "scope", "stability": "scope"}


@pytest.fixture(scope="module")
def records():
    subject = landscape.Subject(
        mlp(outputs=3),
        toy_data((3,), (9, 6, 5)),
        class_names=("cat", "<b>dog</b>", "emu"),
        name="<i>net</i>",
    )
    settings = {
        "spectrum": landscape.SpectrumConfig(steps=5),
        "surface": landscape.SurfaceConfig(points=3),
        "similarity": landscape.SimilarityConfig(components=1, draws=2),
        "sharpness": landscape.SharpnessConfig(ratios=(0.1,), draws=2),
    }
    further = {"path": {"to": mlp(1, outputs=3)}}
    return {
        name: getattr(landscape, name)(
            subject, *(settings[n] for n in [name] if n in settings), **further.get(name, {})
        )
        for name in ANALYSES
    }


@pytest.mark.parametrize("analysis", ANALYSES)
def test_to_xarray_is_what_xarray_opens(records, analysis, tmp_path):
    record = records[analysis]
    path = record.save(tmp_path / "r.h5")
    for group in ["", *GROUPS.get(analysis, [])]:
        with xarray.open_dataset(path, engine="h5netcdf", group=group or None) as opened:
            xarray.testing.assert_identical(record.to_xarray(group), opened.load())
    with pytest.raises(InputError, match="unknown group 'ritzy'"):
        record.to_xarray("ritzy")


@pytest.mark.parametrize("analysis", ANALYSES)
def test_to_dataframe_holds_what_has_one_axis(records, analysis):
    record, axis = records[analysis], ROWS.get(analysis, "class")
    frame = record.to_dataframe()
    assert frame.index.name == axis
    expected = {path for _, path, axes in datasets(record) if axes == (axis,)} - {axis}
    assert set(frame.columns) == expected
    for name, path, axes in datasets(record):
        if axes == (axis,) and path != axis:
            assert frame[path].tolist() == pytest.approx(
                getattr(record, name).tolist(), nan_ok=True
            )
    with pytest.raises(InputError, match="unknown axis 'clas'"):
        record.to_dataframe("clas")


def test_axes_of_a_record_with_several(records):
    by_class = records["sharpness"].to_dataframe("class")
    assert list(by_class.index) == ["cat", "<b>dog</b>", "emu"]
    assert "characteristic_radius" in by_class
    assert records["surface"].to_dataframe("direction").shape == (2, 3)


@pytest.mark.parametrize("analysis", ANALYSES)
def test_the_html_table_is_well_formed_and_escaped(records, analysis):
    record = records[analysis]
    text = record._repr_html_()
    table = ElementTree.fromstring(text)
    rows = table.findall("tbody/tr")
    groups = 3 if analysis == "surface" else 0  # head, mid and tail, which its table leaves out
    assert len(rows) == len(record.to_dataframe()) - groups
    assert all(len(row) == len(table.findall("thead/tr/th")) for row in rows)
    assert "<b>" not in text
    assert "<i>" not in text
    assert f"{analysis} of <i>net</i>, model on TensorData" in table.find("caption").text
    bundle = record._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/html": text, "text/plain": str(record)}


def test_the_table_shows_numbers_with_their_errors(records):
    spectrum = records["spectrum"]
    lines = str(spectrum).splitlines()
    assert f"{bracket(*spectrum.lambda_max_bracket[0])}  " in lines[2]
    assert f"{bracket(*spectrum.lambda_min_bracket[0])}  " in lines[2]
    assert f"  {with_error(spectrum.trace[0], spectrum.trace_sem[0])}  " in lines[2]
    assert lines[2].startswith("overall")
    loose = replace(
        spectrum,
        converged=np.zeros(len(spectrum.scope), bool),
        gradient_small=np.zeros(len(spectrum.scope), bool),
    )
    words = str(loose)
    assert words.startswith("spectrum; † the gradient is not small; 7 of 7 scopes not within")
    assert words.count("†") == 8
    assert "nan" in str(replace(spectrum, loss=np.full(len(spectrum.scope), np.nan)))


def test_an_unfinished_surface_has_a_table(records):
    surface = records["surface"]
    done = surface.done.copy()
    done[0, 0] = False
    loss = np.where(done[..., None], surface.loss, np.nan)
    assert "8 of 9 points" in str(replace(surface, done=done, loss=loss))
    assert "nan" not in str(replace(surface, done=done, loss=loss))


def test_provenance_is_kept_by_copies_but_not_by_changes(records, tmp_path):
    record = records["accuracy"]
    for same in (copy.copy(record), pickle.loads(pickle.dumps(record))):
        assert same.provenance == record.provenance
    changed = replace(record, split=np.array("focal"))
    assert changed.provenance is None
    with pytest.raises(InputError, match="this Accuracy does not know what made it"):
        changed.save(tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
    kept = changed.with_provenance(record.provenance)
    assert str(landscape.load(kept.save(tmp_path / "a.h5"), Accuracy).split) == "focal"
    assert changed.provenance is None


@pytest.mark.parametrize(
    ("method", "library"), [("to_xarray", "xarray"), ("to_dataframe", "pandas")]
)
def test_a_missing_library_is_named(records, method, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=f"{library} is not installed; 'pip install xarray'"):
        getattr(records["accuracy"], method)()
