"""Settings of an external model: its weights and data. No tensor library is imported here."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from landscape.errors import InputError


@dataclass(frozen=True)
class ExternalConfig:
    """An external model: its builder, weights and data."""

    model: str | None = None
    """In place of a run folder: MODULE:NAME of a function or class that builds the model, found in
    the working directory or on PYTHONPATH; torchvision:NAME; or timm:NAME."""
    weights: Path | None = None
    """Checkpoint of the model, or a folder of checkpoints, which is a trajectory; .pt, .pth, .ckpt,
    .bin, .safetensors. Or hf:OWNER/REPOSITORY@REVISION, the safetensors files that the Hugging Face
    hub's cache holds."""
    download: bool = False
    """Fetch what the hub's cache does not hold."""
    weights_key: tuple[str, ...] = ()
    """Where the weights stand in a checkpoint, such as model_ema. Several keys are parts of the
    model, each with the prefix of its names if they lack it: backbone,head=classifier. Default:
    state_dict, model_state_dict, model and their like."""
    parts: tuple[str, ...] = ()
    """Files of further parts of the model, each with the prefix of its names if they lack it:
    fc=head.pt. They go before what weights holds of the same names; of a folder of checkpoints that
    of the same name is taken."""
    data: str | None = None
    """MODULE:NAME of a function that returns a torch Dataset, a loader, or (train, test) of these,
    with items (input, label), (inputs, …, label), or mappings with 'labels'; folder:PATH, a tree
    train/<class>/*, test/<class>/* or <class>/*; or a source of tailscape list data."""
    transform: str | None = None
    """MODULE:NAME of a transform from PIL images to inputs, for folder:PATH. Default: resized to
    --image-size, normalised as CIFAR-10 up to 64 pixels, as ImageNet above."""
    loss: str | None = None
    """MODULE:NAME of (outputs, targets) -> (B,), or of (model, batch) -> (B,). Default: the
    cross-entropy of the logits."""
    model_arguments: tuple[str, ...] = ()
    """Arguments of the builder, such as width=2,num_classes=100. Builders that take num_classes
    receive it by default."""
    classifier: str | None = None
    """Module that maps penultimate features to logits. Default: the last module called."""
    class_counts: tuple[int, ...] = ()
    """Training samples of each class, which define head, mid and tail. Default: as counted in the
    data."""
    imbalance: float = 1.0
    """Subsample the classes of the data to this ratio of largest to smallest, as in training."""
    image_size: int | None = None
    """Side in pixels to which the images of a folder are resized."""
    trust_pickle: bool = False
    """Unpickle checkpoints that hold more than tensors and plain values. This runs any code in the
    file, with your rights: only for files you would run as a program."""
    name: str | None = None
    """Name of the model in figures and tables. Default: the value of model."""
    out: Path | None = None
    """Folder to write results to."""

    def check(self) -> None:
        """Check that model, weights, data and out are given.

        Raises:
            InputError: one is missing.
        """
        needed = ("model", "weights", "data", "out")
        missing = [f"--{name}" for name in needed if getattr(self, name) is None]
        if missing:
            raise InputError(
                f"a model of your own needs {', '.join(missing)} too: tailscape diagnose --model "
                "MODULE:NAME --weights FILE --data MODULE:NAME --out DIR"
            )

    @property
    def label(self) -> str:
        """Return the model's name in figures."""
        return self.name or str(self.model)

    def identity(self) -> dict[str, object]:
        """Return the settings that diagnoses in one folder must share, as plain values."""
        left_out = {"out", "trust_pickle", "download"}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        return {n: list(v) if isinstance(v, tuple) else _plain(v) for n, v in values.items()}

    def command(self) -> str:
        """Write the command that diagnoses the model again."""
        words = ["tailscape", "diagnose"]
        for item in fields(self):
            value = getattr(self, item.name)
            if value == item.default:
                continue
            words.append("--" + item.name.replace("_", "-"))
            if isinstance(value, tuple):
                words.append(",".join(map(str, value)))
            elif value is not True:
                words.append(str(value))
        return shlex.join(words)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
