"""What files, folders and origins say of themselves, and of what is wrong with them."""

import json
from dataclasses import replace

import pytest

from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.hdf5 import save
from landscape.results.load import load, load_provenance, read_record, record_type
from landscape.results.provenance import RunOrigin, external_plan
from landscape.results.run_folder import is_run, no_run, runs_below
from landscape.results.spectrum import Spectrum
from tests.landscape.results.small_records import ACCURACY, origin


def test_files_say_what_is_wrong_with_them(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(InputError, match=r"no result file '.*a.h5'"):
        load(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"is not a whole HDF5 file .*with --overwrite"):
        load_provenance(path)
    save(ACCURACY, origin("accuracy"), path)
    assert read_record(path)[1] == origin("accuracy")
    assert load_provenance(path) == origin("accuracy")
    assert load(path).provenance == origin("accuracy")
    assert type(load(path)) is Accuracy is record_type("accuracy")
    with pytest.raises(InputError, match="holds analysis 'accuracy', not spectrum"):
        load(path, Spectrum)
    save(ACCURACY, replace(origin("accuracy"), schema="other/9"), path)
    with pytest.raises(InputError, match="has schema 'other/9', this version reads 'tailscape/1'"):
        load(path)
    save(ACCURACY, origin("horoscope"), path)
    for read in (load, load_provenance):
        with pytest.raises(InputError, match="holds analysis 'horoscope', unknown here"):
            read(path)
    save(ACCURACY, origin("features"), path)
    with pytest.raises(InputError, match=r"lacks samples, quality, .*not written whole"):
        load(path)


def test_origins_are_plain_values():
    attributes = origin().attributes()
    assert json.loads(attributes.pop("config")) == origin().config
    assert attributes["schema"] == "tailscape/1"
    assert attributes["seconds"] == 1.5
    plan = external_plan("net", "mine", [30, 0, 3])
    assert plan == {
        "method": "net",
        "data": "mine",
        "imbalance": 10.0,
        "model": "net",
        "recipe": {},
        "settings": {},
        "seed": None,
        "reweighting_epoch": None,
    }
    assert RunOrigin("r", plan, "ab").run == "r"


def test_run_folders_and_what_is_none(tmp_path):
    for name in ("a", "b/c", "b/d/e", "b/d/f/too-deep", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "b", target_is_directory=True)
    assert is_run(tmp_path / "a")
    assert not is_run(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in runs_below(tmp_path)]
    assert found == ["a", "b/c", "b/d/e"]
    assert list(runs_below(tmp_path / "none")) == []
    said = str(no_run(tmp_path / "a" / "checkpoints"))
    assert said.endswith("(it has no config.json); give the folder that 'tailscape train' wrote")
    said = str(no_run(tmp_path / "b"))
    runs = f"{tmp_path / 'b/c'}, {tmp_path / 'b/d/e'}, {tmp_path / 'b/d/f/too-deep'}"
    assert said == (
        f"'{tmp_path / 'b'}' is no run folder (it has no config.json); "
        f"it holds runs, give one of them: {runs}"
    )
    for k in range(8):
        (tmp_path / "many" / str(k)).mkdir(parents=True)
        (tmp_path / "many" / str(k) / "config.json").write_text("{}")
    said = str(no_run(tmp_path / "many"))
    assert said.endswith(f"{tmp_path / 'many/5'} and 2 more")
    (tmp_path / "many" / "7" / "config.json").unlink()
    (tmp_path / "many" / "6" / "config.json").unlink()
    assert str(no_run(tmp_path / "many")).endswith(f"{tmp_path / 'many/5'}")
