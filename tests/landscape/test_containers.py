"""A run as one tree of labelled arrays: each node equals its file; Zarr keeps it."""

import numpy as np
import pytest

import landscape
from landscape.errors import InputError
from tests.figures import run_records

xarray = pytest.importorskip("xarray", reason="needs the extra containers")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "mine"
    records = run_records.spectrum(), run_records.gradients(), run_records.accuracy()
    run_records.write_run(folder, "ce", *records)
    early = (run_records.spectrum(-5.0),)
    run_records.write_run(folder, "ce", *early, checkpoint="epoch_0010")
    return landscape.open_run(folder)


def test_every_node_is_its_file(run):
    pytest.importorskip("h5netcdf")
    tree = run.to_xarray()
    assert set(tree.children) == {"accuracy", "gradients", "spectrum"}
    assert list(tree["spectrum"].children) == ["epoch_0010", "epoch_0200"]
    assert tree.attrs["run"] == "mine"
    for path in sorted(run.path.glob("results/*/*.h5")):
        node = tree[f"{path.parent.name}/{path.stem}"]
        with xarray.open_dataset(path, engine="h5netcdf") as stored:
            for name, array in stored.items():
                values = node[name].values.astype(array.dtype)
                assert np.array_equal(values, array.values, equal_nan=array.dtype.kind == "f")
                assert node[name].dims == array.dims
            assert node.attrs["analysis"] == path.parent.name
    ritz = tree["spectrum/epoch_0200/ritz"]
    assert ritz["values"].dims == ("scope", "probe", "step")
    low = [float(tree[f"spectrum/{name}"]["lambda_min"][0]) for name in tree["spectrum"].children]
    assert low == [-5.0, -2.0]


@pytest.mark.filterwarnings("ignore:The data type .*FixedLengthUTF32")  # Zarr's own, of texts
def test_zarr_keeps_it(run, tmp_path):
    pytest.importorskip("zarr", reason="needs the extra containers")
    tree = run.to_xarray()
    tree.to_zarr(tmp_path / "run.zarr", consolidated=False)
    with xarray.open_datatree(tmp_path / "run.zarr", engine="zarr", consolidated=False) as again:
        assert again["spectrum/epoch_0200"].attrs == tree["spectrum/epoch_0200"].attrs
        for node in tree.subtree:
            for name, array in node.data_vars.items():
                found = again[node.path][name].values
                numbers = array.dtype.kind == "f"
                assert np.array_equal(found, array.values, equal_nan=numbers), (node.path, name)


def test_a_run_without_results(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="has no results; run: tailscape diagnose"):
        landscape.open_run(tmp_path).to_xarray()
