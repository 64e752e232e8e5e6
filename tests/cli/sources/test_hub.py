"""Weights of the hub: from its cache alone unless asked, safetensors alone, by revision."""

from pathlib import Path

import pytest
import torch

from cli.main import main
from cli.sources import hub
from landscape.errors import InputError
from tests.cli.external_nets import Own

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra models")
safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra models")
SHA = "a" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache as huggingface_hub keeps it, of one repository."""
    root = tmp_path / "hub"
    repository = root / "models--me--net"
    folder = repository / "snapshots" / SHA
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    for name in ("main", "v1"):
        (repository / "refs" / name).write_text(SHA)
    torch.manual_seed(0)
    safetensors.save_file(Own(4).state_dict(), str(folder / "model.safetensors"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(root))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(root))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.mark.parametrize("name", ["hf:me/net", "hf:me/net@v1", f"hf:me/net@{SHA}"])
def test_it_comes_from_the_cache(name, cache):
    assert hub.weights_path(Path(name), download=False).resolve() == cache.resolve()


@pytest.mark.usefixtures("cache")
def test_a_diagnosis_of_it(tmp_path, capsys):
    nets = "tests.cli.external_nets"
    given = ["--model", f"{nets}:Own", "--data", f"{nets}:digits", "--weights", "hf:me/net@v1"]
    given += ["--analyses", "accuracy", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main(["diagnose", *given]) == 0, capsys.readouterr().err
    assert (tmp_path / "out/results/accuracy/model.h5").is_file()
    assert SHA in capsys.readouterr().out.replace("\n", "")
    assert '"weights": "hf:me/net@v1"' in (tmp_path / "out/config.json").read_text()


def test_nothing_is_fetched_unasked(cache, monkeypatch):
    seen = []

    def recorded(name, **options):
        seen.append((name, options))
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", recorded)
    for download in (False, True):
        hub.weights_path(Path("hf:me/net@v1"), download=download)
    assert [options["local_files_only"] for _, options in seen] == [True, False]
    for name, options in seen:
        assert (name, options["revision"]) == ("me/net", "v1")
        assert all("safetensors" in pattern for pattern in options["allow_patterns"])


def test_what_is_not_there_is_said(cache):
    with pytest.raises(InputError, match=r"names no repository; give hf:OWNER/REPOSITORY"):
        hub.weights_path(Path("hf:net"), download=False)
    with pytest.raises(InputError, match=r"hf:me/other is not in the cache .*add --download"):
        hub.weights_path(Path("hf:me/other"), download=False)
    (cache / "model.safetensors").rename(cache / "pytorch_model.bin")
    with pytest.raises(InputError, match="has no safetensors file at its top"):
        hub.weights_path(Path("hf:me/net"), download=False)


def test_a_path_stays_as_it_is(tmp_path):
    assert hub.weights_path(tmp_path, download=False) == tmp_path
