"""Learnable weight scaling (Kang et al. 2020): one scale a class on a fixed classifier."""

from dataclasses import replace

from trainers.config import Plan
from trainers.rules.sgd import SGD
from trainers.stages.stage import Stage, Start, Statistics, classifier_stage, first_stage


def lws(
    plan: Plan, *, stage_epochs: float, stage_lr: float, start: Start, statistics: Statistics
) -> tuple[Stage, ...]:
    """Train the network, then the scales f of logits f ⊙ (W z + b).

    Args:
        plan: of the run.
        stage_epochs: of the second stage, as a share of the first's.
        stage_lr: of the second stage at first, as a share of the recipe's; it falls along a half
            cosine.
        start: epoch of the first stage from whose weights the second starts.
        statistics: whether running statistics stand still in the second.
    """
    second = replace(
        classifier_stage(
            plan, SGD(), stage_epochs=stage_epochs, stage_lr=stage_lr, schedule="cosine"
        ),
        sampler="balanced-4",
        start=start,
        statistics=statistics,
        trained="scale",
    )
    return (first_stage(plan), second)
