"""What of the network a stage trains, and at which rate."""

from typing import Any

from trainers.models.bilateral import Bilateral
from trainers.models.heads import ScaledHead
from trainers.models.network import Network
from trainers.stages.stage import Stage


def choose_trained(model: Network, stage: Stage) -> list[Any]:
    """Let gradients into what a stage trains; return it as the optimiser takes it.

    Args:
        model: whose parameters get or lose their gradients.
        stage: that begins.

    Returns:
        Parameters; or groups of them, of which ``factor`` multiplies the stage's learning rate.
    """
    model.requires_grad_(False)
    for parameter in model.fine_tuned() if stage.whole else ():
        parameter.requires_grad_(True)
    head = model.head
    for parameter in head.parameters():
        parameter.requires_grad_(stage.trained != "scale")
    if isinstance(head, ScaledHead):
        head.class_scale.requires_grad_(stage.trained != "head")
    if isinstance(model, Bilateral):
        model.paired = stage.paired is not None
    trained = [p for p in model.parameters() if p.requires_grad]
    if stage.head_rate == 1:
        return trained
    assert isinstance(head, ScaledHead)
    others = [p for p in trained if p is not head.class_scale]
    return [{"params": others, "factor": stage.head_rate}, {"params": [head.class_scale]}]
