"""Classifier re-training (Kang et al. 2020): features first, then a new classifier on them.

The second stage draws classes alike, holds the backbone still and trains the classifier by plain
cross-entropy.
"""

from dataclasses import replace
from typing import Literal

from trainers.config import Plan
from trainers.rules.sgd import SGD
from trainers.stages.stage import Stage, Start, Statistics, classifier_stage, first_stage


def crt(
    plan: Plan,
    *,
    stage_epochs: float,
    stage_lr: float,
    start: Start,
    statistics: Statistics,
    initialise: Literal["anew", "kept"],
) -> tuple[Stage, ...]:
    """Train the network, then the classifier.

    Args:
        plan: of the run.
        stage_epochs: of the second stage, as a share of the first's.
        stage_lr: of the second stage, as a share of the recipe's.
        start: epoch of the first stage from whose weights the second starts.
        statistics: whether running statistics stand still in the second.
        initialise: whether the classifier is drawn anew.
    """
    second = classifier_stage(plan, SGD(), stage_epochs=stage_epochs, stage_lr=stage_lr)
    second = replace(second, start=start, statistics=statistics, initialise=initialise)
    return (first_stage(plan), second)
