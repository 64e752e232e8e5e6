"""The second stage of GCL (Li et al. 2022): a clouded classifier on class-balanced batches."""

from dataclasses import replace
from functools import partial

from trainers.config import Plan
from trainers.losses.clouded import CloudedLogits
from trainers.rules.sgd import SGD
from trainers.stages.stage import Stage, Start, Statistics, classifier_stage, first_stage


def rebalance(
    plan: Plan,
    *,
    stage_epochs: float,
    stage_lr: float,
    start: Start,
    statistics: Statistics,
    noise: float,
    margin: float,
    stage_scale: float,
    focus: float,
) -> tuple[Stage, ...]:
    """Train the network, then the classifier by clouded logits with a margin.

    Args:
        plan: of the run.
        stage_epochs: of the second stage, as a share of the first's.
        stage_lr: of the second stage at first, as a share of the recipe's; it falls along a half
            cosine.
        start: epoch of the first stage from whose weights the second starts.
        statistics: whether running statistics stand still in the second.
        noise: a of the clouded logits.
        margin: m of the true class.
        stage_scale: s.
        focus: γ, the power of 1 - p_y by which samples count.
    """
    cosine = plan.parsed.parts["loss"].head == "cosine"
    trained = float(plan.settings["loss"]["scale"]) if cosine else stage_scale
    loss = partial(
        CloudedLogits,
        noise=noise,
        margin=margin,
        scale=stage_scale,
        head_scale=trained,
        focus=focus,
    )
    second = replace(
        classifier_stage(
            plan, SGD(), stage_epochs=stage_epochs, stage_lr=stage_lr, schedule="cosine"
        ),
        start=start,
        statistics=statistics,
        loss=loss,
        mixed=True,
    )
    return (first_stage(plan), second)
