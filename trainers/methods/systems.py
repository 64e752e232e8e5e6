"""The systems of papers: names that stand for sentences.

No tensor library is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainers.methods.part import Value


@dataclass(frozen=True)
class System:
    """Describe a paper's system: the sentence for which its name stands."""

    summary: str
    paper: str
    sentence: str
    recipe: str  # of the paper's CIFAR runs
    released: str | None = None  # sentence of the released code, where it is another one
    model: str | None = None  # network of the released code, where it is not ResNet-32
    batch_size: int | None = None  # of the released code, where it is not the recipe's
    subset_seed: int = 0  # of the released code's long-tailed subset: the seed of its runs
    settings: Mapping[str, Value] = field(default_factory=dict)  # of the released code
    note: str = ""  # on data, network and batches


SYSTEMS: Mapping[str, System] = {
    "saddle": System(
        "re-weighting with SAM, which escapes saddles of the tail",
        "Rangwani et al. 2022 (Saddle-LongTail)",
        "ce-drw+sam",
        "a",
    ),
    "cc-sam": System(
        "class-conditional SAM, then a classifier robust to adversarial features",
        "Zhou et al. 2023 (CC-SAM)",
        "ce-adversarial+cc-sam",
        "d",
        released="ce-mixup-adversarial+cc-sam",
        model="resnet30",
        subset_seed=42,
        note="as released, the subset is drawn with seed 42 and the head has default weights",
    ),
    "focal-sam": System(
        "logit adjustment with Focal-SAM", "Li et al. 2025 (Focal-SAM)", "la+focal-sam", "b"
    ),
    "plot": System(
        "mixup and classifier re-training with temporal Pareto optimisation",
        "Zhou et al. 2024 (PLOT)",
        "crt-mixup+plot",
        "d",
        released="adversarial-mixup+plot",
        model="resnet30",
        batch_size=128,
        subset_seed=50,
        note=(
            "batches of 64, as released of 128; as released, the subset is drawn with seed 50 and "
            "the head has default weights"
        ),
        settings={"stages.limit": 1.0},
    ),
    "gkp-gsa": System(
        "balanced contrastive learning with grouped knowledge and grouped sharpness",
        "GKP-GSA",
        "bcl+gkp+gsa",
        "c",
        note="CIFAR-100 is normalised by its own mean and deviation",
    ),
    "mislas": System(
        "mixup, then label-aware smoothing with a learnt scale for each class",
        "Zhong et al. 2021 (MiSLAS)",
        "ce-mixup-las",
        "mislas",
    ),
    "gcl": System(
        "Gaussian clouded logits with mixup, then a re-balanced classifier",
        "Li et al. 2022 (GCL)",
        "clouded-mixup-rebalance",
        "gcl",
    ),
    "bbn": System(
        "bilateral branches on instance-balanced and reversed batches",
        "Zhou et al. 2020 (BBN)",
        "ce-bilateral",
        "bbn",
    ),
}
