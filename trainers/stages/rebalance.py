"""The second stage of GCL (Li et al. 2022): a clouded classifier on class-balanced batches."""

from functools import partial
from typing import Unpack

from trainers.config import Plan
from trainers.losses.clouded import CloudedLogits
from trainers.stages.stage import SecondStage, Stage, two_stages


def rebalance(
    plan: Plan,
    *,
    noise: float,
    margin: float,
    stage_scale: float,
    focus: float,
    **second: Unpack[SecondStage],
) -> tuple[Stage, ...]:
    """Train the network, then the classifier by clouded logits with a margin.

    Args:
        plan: of the run.
        noise: a of the clouded logits.
        margin: m of the true class.
        stage_scale: s.
        focus: γ, the power of 1 - p_y by which samples count.
        second: its rate falls along a half cosine.
    """
    loss = partial(
        CloudedLogits,
        noise=noise,
        margin=margin,
        scale=stage_scale,
        head_scale=plan.cosine_scale or stage_scale,
        focus=focus,
    )
    return two_stages(plan, schedule="cosine", loss=loss, mixed=True, **second)
