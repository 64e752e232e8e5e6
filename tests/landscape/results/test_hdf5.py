"""The HDF5 contract: round trip, axes, refusals, whole files."""

import errno
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray

from landscape.analyses.accuracy import group_accuracy
from landscape.errors import InputError
from landscape.groups import split_classes
from landscape.results.accuracy import Accuracy
from landscape.results.atomic import atomic_write
from landscape.results.hdf5 import save
from landscape.results.load import load_provenance, read_record
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

CONTRACT = (
    "scope samples loss grad_norm lambda_max lambda_max_residual lambda_max_bound lambda_min "
    "lambda_min_residual lambda_min_bound trace trace_sem matvecs converged ritz"
)


def provenance(analysis="spectrum"):
    return Provenance(
        analysis=analysis,
        checkpoint="epoch_0003",
        config={"plan": {"method": "ce", "checkpoints": [1, 3]}},
        created="2026-01-01T00:00:00+00:00",
        seed=3,
        dtype="float64",
        device="cpu",
        torch="2.6",
        weights_sha256="a",
        data_sha256="b",
        bn_mode="eval",
        loss="cross_entropy",
        seconds=1.5,
    )


def record():
    numbers = np.array([1.0, np.nan])
    names = [n for n in Spectrum.__dataclass_fields__ if not n.startswith("ritz")]
    columns = dict.fromkeys(names, numbers)
    columns |= {
        "scope": np.array(["overall", "class/3"]),
        "verdict": np.array(["saddle", "minimum"]),
    }
    columns |= {"converged": np.array([True, False]), "lambda_min": np.array([-0.5, np.inf])}
    ritz = np.arange(12.0).reshape(2, 2, 3)
    return Spectrum(**columns, ritz_values=ritz, ritz_weights=ritz / 10)


def test_round_trip_keeps_everything(tmp_path):
    path = tmp_path / "deep" / "spectrum.h5"
    save(record(), provenance(), path)
    found, origin = read_record(path, Spectrum)
    assert origin == provenance()
    for name in Spectrum.__dataclass_fields__:
        assert np.array_equal(
            getattr(found, name),
            getattr(record(), name),
            equal_nan=name not in ("scope", "verdict"),
        )
    assert [p.name for p in path.parent.iterdir()] == ["spectrum.h5"]


def test_contract_names_and_axes(tmp_path):
    path = tmp_path / "s.h5"
    save(record(), provenance(), path)
    with h5py.File(path) as file:
        assert file.attrs["schema"] == "tailscape/1"
        assert file["ritz/values"].shape == (2, 2, 3)
        assert [d.keys()[0] for d in file["ritz/values"].dims] == ["scope", "probe", "step"]
        assert set(CONTRACT.split()) <= set(file)


def test_xarray_opens_it(tmp_path):
    path = tmp_path / "s.h5"
    save(record(), provenance(), path)
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset["lambda_min"].dims == ("scope",)
        assert dataset["lambda_min"].sel(scope="overall").item() == -0.5
    with xarray.open_dataset(path, engine="h5netcdf", group="ritz") as dataset:
        assert dataset["values"].dims == ("scope", "probe", "step")


def test_refusals(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(InputError, match="no result file"):
        read_record(path)
    save(record(), provenance(), path)
    with pytest.raises(InputError, match="holds analysis 'spectrum', not accuracy"):
        read_record(path, Accuracy)
    with h5py.File(path, "a") as file:
        del file["lambda_min"]
    with pytest.raises(InputError, match="lacks lambda_min"):
        read_record(path)
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = "tailscape/9"
    with pytest.raises(InputError, match=r"schema 'tailscape/9', this version reads 'tailscape/1'"):
        read_record(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="not a whole HDF5 file"):
        read_record(path)


def test_provenance_is_read_without_the_arrays(tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    with pytest.raises(InputError, match="no result file"):
        load_provenance(path)
    save(record(), provenance(), path)
    monkeypatch.setattr("landscape.results.load.read_array", None)
    assert load_provenance(str(path)) == provenance()
    with h5py.File(path, "a") as file:
        file.attrs["analysis"] = "divination"
    with pytest.raises(InputError, match="holds analysis 'divination', unknown here"):
        load_provenance(path)
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = "tailscape/9"
    with pytest.raises(InputError, match="has schema 'tailscape/9'"):
        load_provenance(path)


def test_a_failed_write_leaves_the_former_file(tmp_path):
    path = tmp_path / "s.h5"
    atomic_write(path, "former")

    def half(file):
        file.write(b"half")
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        atomic_write(path, half)
    assert path.read_text() == "former"
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_a_full_disk_is_a_sentence_and_loses_nothing(number, tmp_path):
    path, tries = tmp_path / "s.h5", []
    save(record(), provenance(), path)
    before = path.read_bytes()

    def full(file):
        file.write(b"half")
        tries.append(file)
        raise OSError(getattr(errno, number), "No space left on device")

    with pytest.raises(InputError, match="free some space and repeat the command"):
        atomic_write(path, full)
    assert path.read_bytes() == before
    assert len(tries) == len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("failures", "is_written"), [(1, True), (2, True), (3, False)])
def test_a_brief_failure_of_a_network_drive_is_tried_again(
    failures, is_written, tmp_path, monkeypatch
):
    paused = []
    monkeypatch.setattr("landscape.results.atomic.time.sleep", paused.append)

    def write(file):
        file.write(b"whole")
        if len(paused) < failures:
            raise OSError(errno.EIO, "Input/output error")

    if is_written:
        atomic_write(tmp_path / "s.h5", write)
        assert (tmp_path / "s.h5").read_bytes() == b"whole"
    else:
        with pytest.raises(InputError, match=r"cannot write to .*input/output error"):
            atomic_write(tmp_path / "s.h5", write)
        assert not list(tmp_path.iterdir())


def test_a_record_larger_than_a_file_may_be_is_refused(tmp_path):
    """HDF5 itself ends the process there."""
    text = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from pathlib import Path
from landscape.errors import InputError
from landscape.results.hdf5 import save
from tests.landscape.results.test_hdf5 import provenance, record
try:
    save(record(), provenance(), Path({str(tmp_path / "s.h5")!r}))
except InputError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert "no room to write" in found.stdout
    assert not list(tmp_path.iterdir())


def test_groups_of_the_papers():
    cifar10 = (5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50)
    sizes = {
        name: tuple(len(v) for v in split_classes(cifar10, name)[1].values())
        for name in ("saddle", "count", "focal")
    }
    assert sizes == {"saddle": (3, 4, 3), "count": (8, 2, 0), "focal": (4, 3, 3)}
    cifar100 = tuple(int(500 * 0.01 ** (i / 99)) for i in range(100))
    assert [len(v) for v in split_classes(cifar100, "saddle")[1].values()] == [36, 35, 29]
    assert [len(v) for v in split_classes(cifar100, "count")[1].values()] == [35, 35, 30]
    assert split_classes((3, 9, 5))[0] == "count"
    with pytest.raises(InputError, match="use split count"):
        split_classes((3, 9, 5), "saddle")


def test_group_accuracy_by_hand():
    confusion = np.array([[8, 2], [3, 1]])
    name, per_class, group = group_accuracy(confusion, (500, 30), "count")
    assert name == "count"
    assert per_class.tolist() == [0.8, 0.25]
    assert group[:3].tolist() == pytest.approx([9 / 14, 0.8, 0.25])
    assert np.isnan(group[3])


LATER = ("lowest", "highest", "trace_probes", "orthogonality_loss", "dimension")
NEGATIVE = ("negative_directions", "negative_share_low", "negative_share_high")


@pytest.mark.parametrize("later", [LATER + NEGATIVE, LATER[2:] + NEGATIVE])
def test_spectra_that_do_not_say_how_far_eigenvalues_may_hide_are_read(later, tmp_path):
    path = tmp_path / "old.h5"
    save(record(), provenance(), path)
    with h5py.File(path, "a") as file:
        for name in later:
            del file[name]
    found, _ = read_record(path, Spectrum)
    for name in later:
        assert np.isnan(getattr(found, name)).all()
        assert len(getattr(found, name)) == len(found.scope)
    _, *bounds = found.cumulative("overall", np.zeros(3))
    assert np.isnan(bounds).all()
