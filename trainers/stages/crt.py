"""Classifier re-training (Kang et al. 2020): features first, then a new classifier on them.

The second stage draws classes alike, holds the backbone still and trains the classifier by plain
cross-entropy.
"""

from typing import Literal, Unpack

from trainers.config import Plan
from trainers.stages.stage import SecondStage, Stage, two_stages


def crt(
    plan: Plan, *, initialise: Literal["anew", "kept"], **second: Unpack[SecondStage]
) -> tuple[Stage, ...]:
    """Train the network, then the classifier.

    Args:
        plan: of the run.
        initialise: whether the classifier is drawn anew.
        second: its rate is constant.
    """
    return two_stages(plan, initialise=initialise, **second)
