"""Weights on the Hugging Face hub: safetensors files of a revision, from the cache unless asked."""

import re
from pathlib import Path

from landscape.errors import InputError

PREFIX = "hf:"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WANTED = ("*.safetensors", "*.safetensors.index.json")


def weights_path(weights: Path, *, download: bool) -> Path:
    """Find weights on disk; those of the hub in its cache.

    Args:
        weights: a path, or ``hf:OWNER/REPOSITORY`` with ``@REVISION``, a branch, tag or commit.
        download: fetch what the cache does not hold.

    Returns:
        The path itself, or the folder of the revision's safetensors files.

    Raises:
        InputError: no such name, nothing of it in the cache, or no safetensors file in it.
    """
    text = str(weights)
    if not text.startswith(PREFIX):
        return weights
    name, _, revision = text.removeprefix(PREFIX).partition("@")
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--weights {text} names no repository; give hf:OWNER/REPOSITORY or "
            "hf:OWNER/REPOSITORY@REVISION"
        )
    folder = _from_hub(text, name, revision or None, download)
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"--weights {text}: '{folder}' has no safetensors file at its top, and no other is "
            "read from the hub; give a revision that has one, or a file"
        )
    return folder


def _from_hub(text: str, name: str, revision: str | None, download: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise InputError(
            "--weights hf: needs huggingface_hub; pip install 'tailscape[models]'"
        ) from error
    try:
        found = snapshot_download(
            name, revision=revision, local_files_only=not download, allow_patterns=[*_WANTED]
        )
    except LocalEntryNotFoundError as error:
        more = "cannot be fetched" if download else "is not fetched unasked: add --download"
        raise InputError(
            f"--weights {text} is not in the cache of the Hugging Face hub (HF_HOME), and {more}, "
            "or give a file"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"--weights {text} cannot be fetched from the Hugging Face hub "
            f"({str(error).splitlines()[0]}); check the name, or give a file"
        ) from error
    return Path(found)
