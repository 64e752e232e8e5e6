"""The configuration of a training run, and its resolution.

No tensor library is imported here.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from landscape.errors import InputError
from landscape.groups import SplitName
from trainers.data.longtail import ImbalanceType
from trainers.data.statistics import Normalisation
from trainers.methods.grammar import Method, parse_method
from trainers.methods.part import Value
from trainers.models.clip_files import COSINE_SCALE
from trainers.recipes import Recipe

Precision = Literal["float32", "tf32", "bfloat16"]
Tuning = Literal["adapter", "full"]
_PROMPT = "a photo of a {}."  # released LIFT code
_LATER = {"pretrained", "vision", "tuning", "prompt"}  # fields of a plan that old runs lack
_SADDLE_CHECKPOINTS = (10, 50, 160, 170, 190, 200)


@dataclass(frozen=True)
class TrainConfig:
    """Train a classifier on long-tailed data and keep its checkpoints."""

    method: str = "ce"
    """A sentence such as ce, ldam-drw, ce-drw+sam, or a system: saddle, cc-sam, focal-sam, plot,
    gkp-gsa, mislas, gcl, bbn; tailscape list methods."""
    data: str = "digits"
    """digits, cifar10, cifar100, folder:PATH or filelist:PATH."""
    data_root: Path | None = None
    """Folder of the official files, or of a file list's images. Default: data."""
    download: bool = False
    """Fetch the official files, or those of a CLIP model, when they are missing."""
    image_size: int | None = None
    """Side in pixels to which images of other sizes are brought."""
    workers: int = 4
    """Decoding processes for images that are read lazily; at most one a core."""
    imbalance: float | None = None
    """Largest class over smallest; 1 takes the data as they are. Default: from the data."""
    imbalance_type: ImbalanceType = "exp"
    """Exponential or step decay of the class sizes."""
    subset_seed: int | None = None
    """Seed of the long-tailed subset. Default: 0, or that of a system's released code."""
    normalisation: Normalisation | None = None
    """Mean and deviation of the pixels. Default: ImageNet's for images of more than 64 pixels,
    CIFAR-10's for others; CIFAR-100's for cifar100 under recipe c, and a large set's or CLIP's
    own."""
    split: SplitName | None = None
    """Which rule defines head, mid and tail. Default: by index if the classes are in order."""
    model: str | None = None
    """Network; tailscape list models. clip:FOLDER or clip:NAME, a name on the Hugging Face hub that
    is in its cache (or with --download is fetched), fine-tunes CLIP. Default: from the data."""
    tuning: Tuning | None = None
    """What of a CLIP model is trained beside the classifier: adapters (LIFT), or the whole image
    encoder. Default: adapter."""
    prompt: str | None = None
    """Sentence around a class name whose text features are the first weights of a CLIP model's
    classifier. Default: a photo of a {}."""
    pretrained: Path | None = None
    """State dict of a torchvision network from which it starts, its classifier left out: ImageNet's
    ResNet-152 for Places-LT."""
    recipe: str = "auto"
    """Optimiser preset; tailscape list recipes. Default: from the system or the loss, or from the
    data."""
    epochs: int | None = None
    """Epochs; the recipe's milestones are stretched along. Default: the recipe's."""
    batch_size: int | None = None
    """Samples a step. Default: the recipe's."""
    lr: float | None = None
    """Learning rate. Default: the recipe's."""
    weight_decay: float | None = None
    """L2 penalty of SGD. Default: the recipe's."""
    rho: float | None = None
    """Radius of the ascent step of sharpness-aware rules. Default: by base and data."""
    settings: tuple[str, ...] = ()
    """Other settings of the method, such as max_margin=0.4,rule.gamma=2."""
    checkpoints: tuple[int, ...] | None = None
    """Epochs whose weights are kept, with 0 and the last. Default: 10,50,160,170,190,200 of 200."""
    checkpoint_steps: tuple[int, ...] = ()
    """Optimiser steps, counted over all epochs, after which weights are kept too."""
    states: tuple[int, ...] = ()
    """Epochs whose whole state (weights, optimiser, random streams) is kept, for --fork."""
    fork: Path | None = None
    """Start from such a state of another run, RUN/checkpoints/state_0160.pt, of the same data,
    network and recipe: a new run that shares its epochs until then."""
    classes: tuple[str, ...] = ()
    """Train on the samples of these scopes alone (tail, class/3), from the same initialisation as a
    run on all of them: a reference optimum for trajectories."""
    eval_every: int = 1
    """Judge the test set every so many epochs, and after the last."""
    seed: int = 0
    """Seed of weights, order and augmentation."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    precision: Precision = "float32"
    """Of the network's stages, in training and on the test set: float32; tf32 (factors of 10 bits,
    on a GPU); bfloat16 (autocast). Heads, losses, BatchNorm's statistics and weights stay in
    float32."""
    compile: bool = False
    """Compile the stages (torch.compile); one process replays them as CUDA graphs on a GPU."""
    out: Path | None = None
    """Run folder. Default: runs/DATA-METHOD-imbalance-seed."""
    overwrite: bool = False
    """Start again in a folder that holds another run, deleting that run."""


@dataclass(frozen=True)
class Plan:
    """Hold a resolved configuration: every value a run depends on."""

    method: str
    data: str
    imbalance: float
    imbalance_type: ImbalanceType
    image_size: int | None
    split: SplitName | None
    model: str
    recipe: Recipe
    settings: dict[str, dict[str, Value]]
    checkpoints: tuple[int, ...]
    eval_every: int
    seed: int
    checkpoint_steps: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    precision: Precision = "float32"
    states: tuple[int, ...] = ()
    subset_seed: int = 0
    normalisation: Normalisation | None = None
    pretrained: str | None = None
    vision: dict[str, Any] | None = None  # of a CLIP model: how its image encoder is built
    tuning: Tuning | None = None
    prompt: str | None = None

    @property
    def parsed(self) -> Method:
        """Parse the method's name."""
        return parse_method(self.method)

    @property
    def cosine_scale(self) -> float | None:
        """Return the factor of a cosine classifier's logits; ``None`` of a linear one."""
        if self.parsed.parts["loss"].head == "cosine":
            return float(self.settings["loss"]["scale"])
        return None if self.vision is None else COSINE_SCALE

    @property
    def reweighting_epoch(self) -> int | None:
        """Return the epoch at which deferred re-weighting begins; ``None`` without it."""
        start = self.settings["weighting"].get("start", 0)
        return round(float(start) * self.recipe.epochs) if float(start) > 0 else None

    @property
    def epochs(self) -> int:
        """Return the number of epochs of all stages."""
        second = float(self.settings["stages"].get("stage_epochs", 0))
        further = self.parsed.parts["stages"].further_epochs
        if second:
            further = max(1, round(second * self.recipe.epochs))
        return self.recipe.epochs + further

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as stored in ``config.json``: of those added later, what is set."""
        found = asdict(self) | {"reweighting_epoch": self.reweighting_epoch}
        if not self.recipe.jitter:
            del found["recipe"]["jitter"]
        return {name: v for name, v in found.items() if name not in _LATER or v is not None}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Plan":
        """Read the values of :meth:`to_dict`.

        Raises:
            InputError: a value is missing.
            TypeError: a value is none of its kind; so do ValueError, LookupError, AttributeError.
        """
        names = [f.name for f in fields(Plan) if f.name in stored or f.default is MISSING]
        missing = [name for name in names if name not in stored]
        if missing:
            raise InputError(f"the run's configuration lacks {', '.join(missing)}")
        recipe = dict(stored["recipe"])
        recipe |= {name: tuple(recipe[name]) for name in ("milestones", "factors")}
        values = {name: stored[name] for name in names}
        values |= {
            name: tuple(stored[name])
            for name in ("checkpoints", "checkpoint_steps", "classes", "states")
            if name in stored
        }
        values |= {"recipe": Recipe(**recipe), "settings": _with_later(stored)}
        plan = Plan(**values)
        _check_numbers(plan)
        return plan


def _check_numbers(plan: Plan) -> None:
    """Check that numbers are such, and what follows from them.

    Raises:
        TypeError: one is not, as in a file that somebody changed.
        ValueError: the same.
    """
    counted = [*vars(plan.recipe).items(), *vars(plan).items()]
    numbers = {f.name for kind in (Plan, Recipe) for f in fields(kind) if f.type in (int, float)}
    for name, value in counted:
        if name in numbers and not isinstance(value, int | float):
            raise TypeError(f"{name} is {value!r}, which is no number")
    _ = plan.epochs, plan.reweighting_epoch, plan.cosine_scale


def _with_later(stored: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """Add the settings that came after a run, at the values that held before them."""
    parts = parse_method(stored["method"]).parts
    return {
        kind: {n: s.earlier for n, s in parts[kind].settings.items() if n not in values} | values
        for kind, values in stored["settings"].items()
    }
