"""The second stage of MiSLAS (Zhong et al. 2021): label-aware smoothing and class scales.

Backbone still, the classifier goes on with logits r ⊙ (W z + b), r from 1, under label-aware
smoothing on class-aware batches. Running statistics go on where they are shifted to these batches.
"""

from functools import partial
from typing import Unpack

from trainers.config import Plan
from trainers.losses.label_aware_smoothing import label_aware_smoothing
from trainers.stages.stage import SecondStage, Stage, two_stages


def las(
    plan: Plan,
    *,
    head_rate: float,
    smooth_head: float,
    smooth_tail: float,
    **second: Unpack[SecondStage],
) -> tuple[Stage, ...]:
    """Train the network, then classifier and scales.

    Args:
        plan: of the run.
        head_rate: learning rate of the classifier, as a share of that of the scales.
        smooth_head: smoothing of the most frequent class.
        smooth_tail: smoothing of the rarest one.
        second: its rate is that of the scales, and falls along a half cosine.
    """
    return two_stages(
        plan,
        schedule="cosine",
        sampler="balanced-4",
        loss=partial(label_aware_smoothing, smooth_head=smooth_head, smooth_tail=smooth_tail),
        trained="both",
        head_rate=head_rate,
        **second,
    )
