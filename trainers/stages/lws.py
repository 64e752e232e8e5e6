"""Learnable weight scaling (Kang et al. 2020): one scale a class on a fixed classifier."""

from typing import Unpack

from trainers.config import Plan
from trainers.stages.stage import SecondStage, Stage, two_stages


def lws(plan: Plan, **second: Unpack[SecondStage]) -> tuple[Stage, ...]:
    """Train the network, then the scales f of logits f ⊙ (W z + b).

    Args:
        plan: of the run.
        second: its rate falls along a half cosine.
    """
    return two_stages(plan, schedule="cosine", sampler="balanced-4", trained="scale", **second)
