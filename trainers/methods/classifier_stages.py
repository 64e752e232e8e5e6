"""The second stages that train a classifier which goes on from the first, or change it.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from trainers.methods.part import NOT_NEGATIVE, POSITIVE, SHARE, Part, Setting, Value

_KANG = "Kang et al. 2020"
_GCL = "released GCL code"
_MISLAS = "released MiSLAS configurations; these values are for CIFAR-10-LT 100"
_LARGE: Mapping[str, Value] = {"head_rate": 0.05, "statistics": "batch"}

SECOND_STAGE = {
    "stage_epochs": Setting(0.15, "30 epochs after 200: released CC-SAM and PLOT code", POSITIVE),
    "stage_lr": Setting(
        0.1, "share of the recipe's rate, constant: released CC-SAM and PLOT code", POSITIVE
    ),
    "start": Setting("last", "last or best-on-test epoch of the first stage", ("last", "best")),
    "statistics": Setting(
        "frozen",
        "running statistics stand still, or go on with the resampled batches",
        ("frozen", "batch"),
    ),
}

CLASSIFIER_STAGES: Mapping[str, Part] = {
    "las": Part(
        "MiSLAS's second stage: label-aware smoothing, and a scale for each class",
        "Zhong et al. 2021 (MiSLAS)",
        "trainers.stages.las:las",
        SECOND_STAGE
        | {
            "stage_epochs": Setting(0.05, "10 epochs after 200: released MiSLAS code", POSITIVE),
            "stage_lr": Setting(
                1.0, "share of the recipe's rate, half a cosine: released MiSLAS code", POSITIVE
            ),
            "head_rate": Setting(
                0.5, f"rate of the classifier over that of its scales; {_MISLAS}", POSITIVE
            ),
            "smooth_head": Setting(0.3, _MISLAS, SHARE),
            "smooth_tail": Setting(0.0, _MISLAS, SHARE),
        },
        equation=(
            "-(1 - s_y) log p_y - s_y mean_k log p_k of r ⊙ (W z + b), s_c = s_tail + (s_head - "
            "s_tail) sin(π (n_c - n_min) / (2 (n_max - n_min)))"
        ),
        by_data={
            "10/50": {"smooth_head": 0.2, "head_rate": 0.2},
            "10/10": {"smooth_head": 0.1, "head_rate": 0.2},
            "100": {
                "smooth_head": 0.4,
                "smooth_tail": 0.1,
                "head_rate": 0.2,
                "statistics": "batch",
            },
            "100/50": {"smooth_head": 0.3, "smooth_tail": 0.0, "head_rate": 0.1},
            "100/10": {"smooth_head": 0.2, "smooth_tail": 0.0, "head_rate": 0.1},
            "365": {**_LARGE, "stage_epochs": 10 / 90, "smooth_head": 0.4, "smooth_tail": 0.1},
            "1000": {**_LARGE, "stage_epochs": 10 / 180},
            "8142": _LARGE,
        },
        variants={"released": ({}, "the released configurations, as without a variant")},
        class_scale=True,
    ),
    "rebalance": Part(
        "GCL's second stage: the classifier goes on, clouded, on class-balanced batches",
        "Li et al. 2022 (GCL)",
        "trainers.stages.rebalance:rebalance",
        SECOND_STAGE
        | {
            "stage_epochs": Setting(0.15, "30 epochs after 200: released GCL code", POSITIVE),
            "stage_lr": Setting(
                0.02, "share of the recipe's rate, half a cosine: released GCL code", POSITIVE
            ),
            "noise": Setting(0.5, _GCL, NOT_NEGATIVE),
            "margin": Setting(0.1, _GCL, NOT_NEGATIVE),
            "stage_scale": Setting(20.0, _GCL, POSITIVE),
            "focus": Setting(1.0, f"γ; {_GCL}", NOT_NEGATIVE),
        },
        equation="(1 - p_y)^γ, detached, times the clouded CE of scale s with margin m",
        variants={"released": ({"start": "best"}, "from the best-on-test epoch")},
    ),
    "lws": Part(
        "learnable weight scaling: one scale a class on a fixed classifier",
        _KANG,
        "trainers.stages.lws:lws",
        SECOND_STAGE
        | {
            "stage_epochs": Setting(0.025, "5 epochs after 200", POSITIVE),
            "stage_lr": Setting(
                2.0,
                "share of the recipe's rate, half a cosine: 0.2, released classifier-balancing "
                "code",
                POSITIVE,
            ),
        },
        equation="min_r CE(r ⊙ (W z + b)), z, W, b fixed, r from 1, classes drawn alike",
        class_scale=True,
    ),
    "tau": Part(
        "τ-normalisation: the classifier's weights divided by a power of their norms",
        _KANG,
        "trainers.stages.tau_norm:tau_norm",
        {
            "tau": Setting(
                1.0,
                "Kang et al. 2020 choose τ among 0, 0.1, … 2 on a validation set, and print none "
                "for CIFAR-LT: 1 is chosen here",
                NOT_NEGATIVE,
            ),
            "start": SECOND_STAGE["start"],
        },
        equation="w_c / ‖w_c‖^τ, without bias",
        further_epochs=1,
    ),
}
