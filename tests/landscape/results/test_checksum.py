"""A damaged file is refused, or gives the numbers that were written; never others."""

import io
import random
from dataclasses import fields

import h5py
import numpy as np
import pytest
import torch

from landscape.errors import InputError
from landscape.results.checksum import check_whole, sealed
from landscape.results.load import load
from tests.landscape.results.test_hdf5 import provenance, record
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint

SAVED = record().with_provenance(provenance())
STATE = {
    "model": {"weight": torch.arange(12.0).reshape(3, 4), "steps": torch.tensor(7)},
    "epoch": 3,
    "architecture": {"name": "linear"},
}


def numbers(path):
    """All arrays and attributes of a result, or all content of a checkpoint."""
    if path.suffix == ".h5":
        found = load(path)
        return repr((found.provenance, [getattr(found, f.name).tolist() for f in fields(found)]))
    return repr(load_checkpoint(path))


@pytest.fixture(params=["result.h5", "checkpoint.pt"])
def written(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".h5":
        SAVED.save(path)
    else:
        save_checkpoint(STATE, path)
    return path, path.read_bytes(), numbers(path)


def refused_or_same(path, damaged, before):
    path.write_bytes(damaged)
    try:
        return numbers(path) == before
    except InputError as error:
        return path.name in str(error)


def flipped(content, place, bit):
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    return bytes(damaged)


def boundaries(content):
    """First and last byte of each 512-byte block, and of the line at the end."""
    edges = {p for start in range(0, len(content), 512) for p in (start, start - 1)}
    return sorted({p for p in edges if p >= 0} | {len(content) - 1} | end_line(content))


def end_line(content):
    return set(range(content.rindex(b"\ntailscape sha256"), len(content)))


def test_every_truncation(written):
    path, content, before = written
    lengths = {*range(0, len(content), 512), *range(len(content) - 120, len(content))}
    assert all(refused_or_same(path, content[:n], before) for n in sorted(lengths))


def test_flips_at_every_boundary(written):
    path, content, before = written
    draw = random.Random(0)
    for place in boundaries(content):
        assert refused_or_same(path, flipped(content, place, draw.randrange(8)), before), place


@pytest.mark.slow
def test_flips_anywhere(written):
    """Five times ten thousand of each kind of file, beside every byte once."""
    path, content, before = written
    draw = random.Random(1)
    places = [*range(len(content)), *(draw.randrange(len(content)) for _ in range(50_000))]
    for place in places:
        assert refused_or_same(path, flipped(content, place, draw.randrange(8)), before), place


def test_numbers_would_change_without_the_line(tmp_path):
    """Neither HDF5 nor torch.load looks at the bytes of arrays."""
    path = tmp_path / "result.h5"
    SAVED.save(path)
    before, content = numbers(path), path.read_bytes()
    place = content.index(np.float64(-0.5).tobytes())
    path.write_bytes(flipped(content[: min(end_line(content))], place, 0))
    assert numbers(path) != before
    path.write_bytes(flipped(content, place, 0))
    with pytest.raises(InputError, match=r"result\.h5' has changed since it was written"):
        numbers(path)


def test_other_readers_pass_over_the_line(tmp_path):
    xarray = pytest.importorskip("xarray")
    path = SAVED.save(tmp_path / "s.h5")
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset["lambda_min"].values.tolist() == [-0.5, np.inf]
    save_checkpoint(STATE, tmp_path / "c.pt")
    for mapped in (False, True):
        read = torch.load(tmp_path / "c.pt", weights_only=True, mmap=mapped)
        assert torch.equal(read["model"]["weight"], STATE["model"]["weight"])


def test_a_file_changed_by_another_program_or_an_older_one_has_no_checksum(tmp_path):
    path = SAVED.save(tmp_path / "s.h5")
    assert check_whole(path)
    with h5py.File(path, "a") as file:
        file.attrs["note"] = "ours" * 1000
    assert not check_whole(path)
    assert load(path).lambda_min.tolist() == [-0.5, np.inf]


def test_an_empty_file_is_sealed_too(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(sealed(io.BytesIO()))
    assert check_whole(path)
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(InputError, match="1 bytes in place of 0"):
        check_whole(path)
