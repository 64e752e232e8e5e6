"""Which model, weights and data of one's own are diagnosed. No tensor library is imported here."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from landscape.errors import InputError


@dataclass(frozen=True)
class OutsideConfig:
    """A model of one's own."""

    model: str | None = None
    """In place of a run folder: MODULE:NAME of a function or class that builds the model, found on
    the working directory and PYTHONPATH; torchvision:NAME; or timm:NAME."""
    weights: Path | None = None
    """Its checkpoint, or a folder of checkpoints, which is a trajectory; .pt, .pth, .ckpt, .bin,
    .safetensors."""
    data: str | None = None
    """MODULE:NAME of a function that returns a torch Dataset, a loader, or (train, test) of these;
    folder:PATH, a tree train/<class>/*, test/<class>/* or <class>/*; or a source of tailscape list
    data."""
    transform: str | None = None
    """MODULE:NAME of a transform from PIL images to inputs, for folder:PATH. Default: resized to
    --image-size, normalised as CIFAR-10 up to 64 pixels, as ImageNet above."""
    loss: str | None = None
    """MODULE:NAME of (outputs, targets) -> (B,), or of (model, batch) -> (B,). Default: the
    cross-entropy of the logits."""
    model_arguments: tuple[str, ...] = ()
    """Arguments of the builder, such as width=2,num_classes=100. num_classes is given by itself to
    builders that take it."""
    classifier: str | None = None
    """Name of the module that maps penultimate features to logits. Default: the last one called."""
    class_counts: tuple[int, ...] = ()
    """Training samples of each class, which define head, mid and tail. Default: those of the
    data."""
    imbalance: float = 1.0
    """Cut the classes of the data to this ratio of largest to smallest, as training would."""
    image_size: int | None = None
    """Side in pixels to which a folder's images are brought."""
    trust_pickle: bool = False
    """Unpickle checkpoints that hold more than tensors and plain values. That runs whatever code
    the file brings, with your rights: only for files you would run as a program."""
    name: str | None = None
    """How figures and tables call it. Default: the value of model."""
    out: Path | None = None
    """Folder to write results to."""

    def check(self) -> None:
        """Refuse what is not whole.

        Raises:
            InputError: a part is missing.
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
        """How figures call it."""
        return self.name or str(self.model)

    def identity(self) -> dict[str, object]:
        """Return what has to agree between diagnoses that share a folder, as plain values."""
        left_out = {"out", "trust_pickle"}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        return {n: list(v) if isinstance(v, tuple) else _plain(v) for n, v in values.items()}

    def command(self) -> str:
        """Spell the command that diagnoses it again."""
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
