"""The files of a CLIP model: a folder as transformers saves it, or the hub's cache of one.

No tensor library is imported here.
"""

import json
import re
from pathlib import Path
from typing import Any

from landscape.errors import InputError

PREFIX = "clip:"
COSINE_SCALE = 25.0  # of the classifier's logits: released LIFT code
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WANTED = ("*.json", "*.txt", "model.safetensors", "pytorch_model.bin")
# what says how an image encoder is built; the rest of a configuration is of training or of texts
_SHAPE = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
)


def is_clip(model: str) -> bool:
    """Return whether a ``--model`` value names a CLIP model."""
    return model.startswith(PREFIX)


def clip_folder(model: str, *, download: bool = False) -> Path:
    """Find the folder of a CLIP model.

    Args:
        model: ``clip:`` and a folder, the weights in one, or a name on the Hugging Face hub.
        download: fetch what the hub's cache does not hold.

    Raises:
        InputError: there is no such folder, nor anything of that name in the hub's cache.
    """
    name = model.removeprefix(PREFIX)
    path = Path(name).expanduser()
    folder = path.parent if path.is_file() else path
    if (folder / "config.json").is_file():
        return folder
    if path.exists():
        raise InputError(
            f"--model {model}: '{folder}' has no config.json; give a folder that save_pretrained "
            "of transformers wrote, with weights and tokeniser"
        )
    if not _HUB_NAME.fullmatch(name):
        raise InputError(f"--model {model}: there is no folder or file '{name}'")
    return _from_hub(name, download)


def vision_shape(folder: Path) -> dict[str, Any]:
    """Read how a CLIP model's image encoder is built.

    Args:
        folder: from :func:`clip_folder`.

    Raises:
        InputError: the configuration is damaged, or of another kind of model.
    """
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind, vision = content["model_type"], content["vision_config"]
        shape = {name: vision[name] for name in _SHAPE if name in vision}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is no configuration of a CLIP model ({type(error).__name__}: {error}); give "
            "a folder that save_pretrained of transformers wrote"
        ) from error
    if kind != "clip":
        raise InputError(f"'{path}' is of a '{kind}' model; --model clip: takes those of type clip")
    return shape


def _from_hub(name: str, download: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise missing_extra() from error
    try:
        found = snapshot_download(name, local_files_only=not download, allow_patterns=[*_WANTED])
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"--model {PREFIX}{name}: '{name}' is neither a folder here nor in the cache of the "
            "Hugging Face hub (HF_HOME), "
            + ("and cannot be fetched; give" if download else "add --download to fetch it, or give")
            + " a folder that save_pretrained of transformers wrote"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"--model {PREFIX}{name} cannot be fetched from the Hugging Face hub "
            f"({str(error).splitlines()[0]}); check the name, or give a folder"
        ) from error
    return Path(found)


def missing_extra() -> InputError:
    """Return the error for an environment without transformers."""
    return InputError("--model clip: needs transformers; pip install 'tailscape[clip]'")
