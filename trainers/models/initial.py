"""The weights from which a network starts, where they are not random."""

import re
from pathlib import Path

from landscape.errors import InputError
from landscape.subject.state_dict import load_state
from landscape.subject.weights_file import read_state
from trainers.config import Plan
from trainers.models.backbones import TorchvisionResNet
from trainers.models.network import Network

_CLASSIFIER = re.compile(r"(^|\.)fc\.(weight|bias)$")


def initialise(model: Network, plan: Plan) -> None:
    """Load what a plan's network starts from, if anything.

    Args:
        model: with random weights; changed in place.
        plan: of the run.

    Raises:
        InputError: the file is missing, damaged, of another network, or not for this one.
    """
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
