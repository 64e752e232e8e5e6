"""The first words after a plus: regularisers.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from trainers.methods.part import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE_SHARE,
    SHARE,
    Part,
    Setting,
    in_stage,
)

REGULARISERS: Mapping[str, Part] = {
    "": Part("none", "-", ""),
    "gkp": Part(
        "grouped knowledge preservation: parameters at which each group's features were best",
        "GKP-GSA",
        "trainers.regularisers.gkp:GroupedKnowledge",
        {
            "group_count": Setting(4, "paper, CIFAR", COUNT),
            "penalty": Setting(100.0, "λ of Eq. 5; paper", NOT_NEGATIVE),
            "variance_weight": Setting(0.5, "β of Eq. 19; paper", NOT_NEGATIVE),
            "alpha_start": Setting(0.95, "Eq. 20; paper", SHARE),
            "alpha_end": Setting(0.6, "Eq. 20; paper", SHARE),
            "refresh": Setting(
                0.05, "share of the epochs between groupings; 10 of 200", POSITIVE_SHARE
            ),
            "alpha_scales": Setting(
                "direction",
                "what α scales: the direction followed, or the loss, and with it the ascent "
                "(released code)",
                ("direction", "loss"),
            ),
            "fisher": Setting(
                "samples",
                "squares of the samples' gradients of CE; batches: of the mean adjusted CE of 256 "
                "(released code), some 200 times smaller, so that λ means another thing",
                ("samples", "batches"),
            ),
            "fisher_samples": Setting(
                256, "of each group; chosen here", COUNT, ("fisher", "samples")
            ),
            "quality": Setting(
                "paper",
                "Eq. 19 on training features; released: -1/Dist - log Var on test features",
                ("paper", "released"),
            ),
        },
        equation=(
            "α L + (1 - α) λ/2 Σ_(j≠g) 1/|G_j| Σ_i F_ji (w_i - w*_ji)²,  "
            "α from 0.95 to 0.6 along a half cosine"
        ),
        variants={
            "released": (
                {
                    "group_count": 1,
                    "penalty": 10.0,
                    "alpha_start": 0.9,
                    "alpha_end": 0.8,
                    "refresh": 1.0,
                    "quality": "released",
                    "alpha_scales": "loss",
                    "fisher": "batches",
                },
                "a single group, so that the penalty is empty and only α is left, in the ascent "
                "too; Fisher information of batches",
            )
        },
    ),
    "swa": Part(
        "stochastic weight averaging: the stage ends at the mean of its last epochs' weights",
        "Izmailov et al. 2018",
        "trainers.regularisers.swa:WeightAverage",
        {
            "start": Setting(
                0.75,
                "share of the epochs: Izmailov et al. 2018; CC-SAM, which compares with it, prints "
                "no constants",
                SHARE,
            ),
            "stage": in_stage(),
        },
        equation="w̄ ← (k w̄ + w) / (k + 1) after each epoch; BatchNorm's statistics anew",
    ),
    "sn": Part(
        "spectral normalisation: weights divided by their largest singular value",
        "Miyato et al. 2018",
        "trainers.regularisers.spectral_norm:SpectralNorm",
        {"stage": in_stage()},
        equation="W / σ₁(W), one power iteration a step",
    ),
}
