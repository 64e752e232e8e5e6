"""The second stage of MiSLAS (Zhong et al. 2021): label-aware smoothing and class scales.

Backbone still, the classifier goes on with logits r ⊙ (W z + b), r from 1, under label-aware
smoothing on class-aware batches. Running statistics go on where they are shifted to these batches.
"""

from dataclasses import replace
from functools import partial

from trainers.config import Plan
from trainers.losses.label_aware_smoothing import label_aware_smoothing
from trainers.rules.sgd import SGD
from trainers.stages.stage import Stage, Start, Statistics, classifier_stage, first_stage


def las(
    plan: Plan,
    *,
    stage_epochs: float,
    stage_lr: float,
    start: Start,
    statistics: Statistics,
    head_rate: float,
    smooth_head: float,
    smooth_tail: float,
) -> tuple[Stage, ...]:
    """Train the network, then classifier and scales.

    Args:
        plan: of the run.
        stage_epochs: of the second stage, as a share of the first's.
        stage_lr: of the scales at first, as a share of the recipe's; it falls along a half cosine.
        start: epoch of the first stage from whose weights the second starts.
        statistics: whether running statistics stand still in the second.
        head_rate: learning rate of the classifier, as a share of that of the scales.
        smooth_head: smoothing of the most frequent class.
        smooth_tail: smoothing of the rarest one.
    """
    loss = partial(label_aware_smoothing, smooth_head=smooth_head, smooth_tail=smooth_tail)
    second = replace(
        classifier_stage(
            plan, SGD(), stage_epochs=stage_epochs, stage_lr=stage_lr, schedule="cosine"
        ),
        sampler="balanced-4",
        start=start,
        statistics=statistics,
        loss=loss,
        trained="both",
        head_rate=head_rate,
    )
    return (first_stage(plan), second)
