"""The words of a method's base: losses, weightings, samplers, transforms, stages.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from landscape.results.plugins import Table
from trainers.methods.classifier_stages import CLASSIFIER_STAGES, SECOND_STAGE
from trainers.methods.network_losses import NETWORK_LOSSES
from trainers.methods.part import (
    DECAY,
    NOT_NEGATIVE,
    POSITIVE,
    POSITIVE_SHARE,
    SHARE,
    Interval,
    Part,
    Setting,
)

_CUI = "Cui et al. 2019"
_LDAM = "Cao et al. 2019"
_KANG = "Kang et al. 2020"
_CCSAM = "Zhou et al. 2023 (CC-SAM)"
_BCL = "Zhu et al. 2022; released GKP-GSA code"
_KINDS = ("effective", "inverse")
_SADDLE_LARGE = ("1000", "8142")  # ImageNet-LT and iNaturalist 2018
_BETA = Setting(0.9999, "released LDAM-DRW code", DECAY, only_with=("kind", "effective"))
_MEAN = Setting(
    "weights",
    "a batch's loss is Σ w ℓ / Σ w (released LDAM-DRW code), or over its samples, Σ w ℓ / B "
    "(released Focal-SAM code)",
    ("weights", "samples"),
)

LOSSES: Mapping[str, Part] = {
    "ce": Part(
        "cross-entropy",
        "-",
        "trainers.losses.cross_entropy:cross_entropy",
        equation="-log softmax(f)_y",
    ),
    "focal": Part(
        "focal loss: well classified samples count less",
        "Lin et al. 2017",
        "trainers.losses.focal:focal",
        {
            "gamma": Setting(
                1.0, "Cui et al. 2019, Sec. 5; Lin et al. use 2 for detection", NOT_NEGATIVE
            )
        },
        equation="-(1 - p_y)^γ log p_y",
    ),
    "ldam": Part(
        "label-distribution-aware margins on a cosine classifier",
        _LDAM,
        "trainers.losses.ldam:ldam",
        {
            "max_margin": Setting(
                0.5,
                "released LDAM-DRW code; of ImageNet-LT and iNaturalist, released Saddle-LongTail "
                "commands",
                Interval(0, 2),
            ),
            "scale": Setting(30.0, "released LDAM-DRW code", POSITIVE),
        },
        equation="CE(s (cos θ - m_y 1_y)),  m_c ∝ n_c^(-1/4), max m = max_margin",
        head="cosine",
        by_data={key: {"max_margin": 0.3} for key in _SADDLE_LARGE},
    ),
    "la": Part(
        "logit adjustment; balanced softmax at tau = 1",
        "Menon et al. 2021",
        "trainers.losses.logit_adjustment:logit_adjustment",
        {"tau": Setting(1.0, "Menon et al. 2021, Sec. 5", NOT_NEGATIVE)},
        equation="CE(f + τ log π)",
    ),
    "vs": Part(
        "vector scaling: multiplicative and additive logit adjustment",
        "Kini et al. 2021",
        "trainers.losses.vector_scaling:vector_scaling",
        {
            "gamma": Setting(0.3, "default of the released VS-Loss code", NOT_NEGATIVE),
            "tau": Setting(1.0, "default of the released VS-Loss code", NOT_NEGATIVE),
        },
        equation="CE(f / Δ + τ log π),  Δ_c = (n_max / n_c)^γ",
        variants={
            "cdt": ({"tau": 0.0}, "class-dependent temperatures only, τ = 0"),
            "la": ({"gamma": 0.0}, "additive adjustment only, γ = 0"),
        },
    ),
    "bcl": Part(
        "balanced contrastive learning: logit-adjusted CE and a class-balanced contrast of views",
        _BCL,
        "trainers.losses.balanced_contrastive:balanced_contrastive",
        {
            "scale": Setting(30.0, "cosine classifier of the released GKP-GSA code", POSITIVE),
            "tau": Setting(1.0, "released GKP-GSA code", NOT_NEGATIVE),
            "temperature": Setting(0.1, "released GKP-GSA code", POSITIVE),
            "cross_entropy_share": Setting(2.0, "released GKP-GSA code", NOT_NEGATIVE),
            "contrastive_share": Setting(0.6, "released GKP-GSA code", NOT_NEGATIVE),
            "prototype_norm": Setting(
                "no", "BatchNorm in the hidden layer of the prototypes", ("no", "yes")
            ),
        },
        equation=(
            "2 CE(f + τ log π) + 0.6 L_BCL,  L_BCL = -1/|P| Σ_p log exp(z·z_p/T) / "
            "Σ_j 1/|B_j| Σ_(k in B_j) exp(z·z_k/T), class prototypes among the z_k; all three "
            "views pass the projection, whose BatchNorm sees them"
        ),
        head="cosine",
        views=3,
        variants={
            "released": (
                {"prototype_norm": "yes"},
                "the hidden layer of the prototypes is batch-normalised, over the classes",
            )
        },
    ),
    **NETWORK_LOSSES,
}

WEIGHTINGS: Mapping[str, Part] = {
    "": Part("every sample counts alike", "-", "trainers.losses.weighting:no_weights"),
    "cb": Part(
        "class-balanced: effective number of samples",
        _CUI,
        "trainers.losses.weighting:class_weights",
        {
            "start": Setting(0.0, "from the first epoch", SHARE),
            "kind": Setting("effective", _CUI, _KINDS),
            "beta": _BETA,
            "mean": _MEAN,
        },
        equation="w_c = (1 - β) / (1 - β^n_c), Σ w = K",
    ),
    "drw": Part(
        "deferred re-weighting: class-balanced for the last fifth of training",
        _LDAM,
        "trainers.losses.weighting:class_weights",
        {
            "start": Setting(
                0.8,
                "epoch 160 of 200, released LDAM-DRW code; 60 of 90 on ImageNet-LT and "
                "iNaturalist, released Saddle-LongTail code",
                SHARE,
            ),
            "kind": Setting("effective", "released LDAM-DRW code", _KINDS),
            "beta": _BETA,
            "mean": _MEAN,
        },
        equation="w_c = (1 - β) / (1 - β^n_c), Σ w = K, from epoch start · epochs on",
        variants={
            "paper": (
                {"kind": "inverse"},
                "weights 1/n (Rangwani et al. 2022, Eq. 2) in place of the effective number",
            ),
            "released": ({}, "the effective number, as without a variant"),
        },
        by_data={key: {"start": 2 / 3} for key in _SADDLE_LARGE},
    ),
}

SAMPLERS: Mapping[str, Part] = {
    "": Part("every sample once an epoch", "-", "trainers.data.samplers:epoch_order"),
    "balanced": Part(
        "class-balanced sampling: classes take turns",
        _KANG,
        "trainers.data.samplers:epoch_order",
        equation="p_c = 1 / K; rounds of classes and of their samples go on over the epochs",
    ),
    "reversed": Part(
        "reversed sampling",
        "Zhou et al. 2020 (BBN)",
        "trainers.data.samplers:epoch_order",
        equation="p_c ∝ 1 / n_c",
    ),
    "sqrt": Part(
        "square-root sampling",
        _KANG,
        "trainers.data.samplers:epoch_order",
        equation="p_c ∝ √n_c",
    ),
    "bilateral": Part(
        "bilateral branches: a reversed batch beside each, through a last block of its own",
        "Zhou et al. 2020 (BBN)",
        "trainers.models.bilateral:Bilateral",
        equation=(
            "l ℓ(y_a) + (1 - l) ℓ(y_b) of W 2[l f_a ; (1 - l) f_b], l = 1 - (t/T)², b drawn with "
            "p_c ∝ 1/n_c"
        ),
        variants={"released": ({}, "the released code, as without a variant")},
    ),
}

AUGMENTATIONS: Mapping[str, Part] = {
    "": Part("crop and flip, or what the loss compares", "-", ""),
    "autoaugment": Part(
        "AutoAugment and Cutout after crop and flip; Cutout alone of grey images",
        "Cubuk et al. 2019; DeVries & Taylor 2017",
        "trainers.data.views:AugmentedViews",
        equation="one of 25 pairs of operations an image, then a black square of half its side",
    ),
}

TRANSFORMS: Mapping[str, Part] = {
    "": Part("batches as they are", "-", ""),
    "mixup": Part(
        "mixup: convex combinations of pairs of images and their losses",
        "Zhang et al. 2018",
        "trainers.data.mixup:mixup",
        {
            "alpha": Setting(
                1.0,
                "released CC-SAM and PLOT code; of the large sets, released MiSLAS configurations",
                NOT_NEGATIVE,
            )
        },
        equation="x = λ x_i + (1 - λ) x_j, ℓ = λ ℓ(y_i) + (1 - λ) ℓ(y_j), λ ~ Beta(α, α)",
        by_data={key: {"alpha": 0.2} for key in ("365", "1000", "8142")},
    ),
    "m2m": Part(
        "major-to-minor translation: images of frequent classes turned into rare ones",
        "Kim et al. 2020 (M2m)",
        "trainers.data.m2m:MajorToMinor",
        {
            "start": Setting(
                0.8,
                "epoch 160 of 200: released M2m code, whose plain network g is trained for 200 "
                "epochs beforehand; here beside, until the start",
                POSITIVE_SHARE,
            ),
            "beta": Setting(
                0.999,
                "released M2m code, for classes of up to 5000; 0.95 of digits, for up to 120, is "
                "chosen here",
                DECAY,
            ),
            "attraction": Setting(0.5, "λ; released M2m code", NOT_NEGATIVE),
            "threshold": Setting(0.9, "γ; Kim et al. 2020", SHARE),
        },
        equation=(
            "ten steps of length 0.1 against ∇(CE(g(x), k) + λ f_j(x)), accepted if g's p_k ≥ γ, "
            "with probability 1 - β^(n_j - n_k)+; class-balanced batches"
        ),
        variants={"released": ({"threshold": 0.99}, "γ = 0.99, the default of the code")},
        by_data={"digits": {"beta": 0.95}},
    ),
}

_AS_RELEASED = {"start": "best", "statistics": "batch"}

STAGES: Mapping[str, Part] = {
    "": Part("one stage", "-", "trainers.stages.one_stage:one_stage"),
    "crt": Part(
        "classifier re-training on class-balanced batches, backbone frozen",
        _KANG,
        "trainers.stages.crt:crt",
        SECOND_STAGE
        | {
            "initialise": Setting(
                "anew", "Kang et al. 2020: a new classifier; kept goes on", ("anew", "kept")
            )
        },
        equation="min_θ CE(h(z; θ)), z fixed, classes drawn alike in rounds that go on",
    ),
    "adversarial": Part(
        "CC-SAM's second stage: classifier trained on adversarial features, backbone frozen",
        _CCSAM,
        "trainers.stages.adversarial:adversarial",
        SECOND_STAGE
        | {
            "strength": Setting(1.0, "λ of Eq. 12; adver_reg of the released code", NOT_NEGATIVE),
            "norm": Setting(
                "batch",
                "of the gradient in Eq. 12, which leaves it open: over the batch, or each sample",
                ("batch", "sample"),
                ("class_scaled", "no"),
            ),
            "class_scaled": Setting(
                "no",
                "released code: λ and the loss times v_c = log(n_max/n_c + 0.01)/2",
                ("no", "yes"),
            ),
            "limit": Setting(
                1.0, "largest share of the adversarial loss; no limit in Eq. 14", SHARE
            ),
        },
        equation="z' = z + λ ∇_z L / ‖∇_z L‖;  L = (1 - t/T) CE(h(z)) + (t/T) CE(h(z'))",
        variants={
            "released": (
                _AS_RELEASED | {"class_scaled": "yes"},
                "from the best-on-test epoch, running statistics drift, λ and loss scaled by class",
            )
        },
        by_data={"100@released": {"limit": 0.3}},
    ),
    **CLASSIFIER_STAGES,
}

LOSSES = Table("losses", Part, LOSSES)
WEIGHTINGS = Table("weightings", Part, WEIGHTINGS)
SAMPLERS = Table("samplers", Part, SAMPLERS)
STAGES = Table("stages", Part, STAGES)
