"""The weights from which a network starts, where they are not random."""

import re
from collections.abc import Sequence
from pathlib import Path

from landscape.errors import InputError
from landscape.subject.state_dict import load_state
from landscape.subject.weights_file import read_state
from trainers.config import Plan
from trainers.models.backbones import TorchvisionResNet
from trainers.models.clip import CLIP
from trainers.models.clip_files import clip_folder
from trainers.models.network import Network

_CLASSIFIER = re.compile(r"(^|\.)fc\.(weight|bias)$")


def initialise(model: Network, plan: Plan, class_names: Sequence[str]) -> None:
    """Load what a plan's network starts from, if anything.

    Args:
        model: with random weights; changed in place.
        plan: of the run.
        class_names: K, for the texts of a CLIP model.

    Raises:
        InputError: the file is missing, damaged, of another network, or not for this one.
    """
    if isinstance(model, CLIP):
        from trainers.models.clip_weights import load_clip

        _check_named(plan, class_names)
        assert plan.prompt is not None
        load_clip(model, clip_folder(plan.model), class_names, plan.prompt)
        return
    if plan.pretrained is None:
        return
    if not isinstance(model, TorchvisionResNet):
        raise InputError(
            f"--pretrained is for networks of torchvision, and --model is {plan.model}; take "
            "resnet10, resnet50, resnext50 or resnet152, or leave it out"
        )
    path = Path(plan.pretrained).expanduser()
    state = {n: v for n, v in read_state(path).items() if not _CLASSIFIER.search(n)}
    load_state(model.backbone, state, path)


def _check_named(plan: Plan, class_names: Sequence[str]) -> None:
    numbers = [str(c) for c in range(len(class_names))]
    if plan.data.startswith("filelist:") and list(class_names) == numbers:
        raise InputError(
            f"the classes of '{plan.data}' have numbers for names, and the classifier of a CLIP "
            "model starts from what they are called; put class_names.txt beside the lists, one "
            "name a line in the classes' order"
        )
