"""The losses that depend on more than logits and labels: on chance, features or earlier batches.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from trainers.methods.part import COUNT, DECAY, NOT_NEGATIVE, POSITIVE, SHARE, Part, Setting

_GCL = "released GCL code"
_PACO = "released PaCo command, CIFAR-100-LT 100; an earlier commit has other values"

NETWORK_LOSSES: Mapping[str, Part] = {
    "clouded": Part(
        "Gaussian clouded logits: cosines of rare classes are lowered by more noise",
        "Li et al. 2022 (GCL)",
        "trainers.losses.clouded:clouded",
        {
            "noise": Setting(0.5, _GCL, NOT_NEGATIVE),
            "margin": Setting(0.0, "released GCL code, first stage", NOT_NEGATIVE),
            "scale": Setting(30.0, _GCL, POSITIVE),
        },
        equation=(
            "CE(s (cos θ_k - a |ε_k| (log n_max - log n_k) / (log n_max - log n_min) - m 1_y)), "
            "ε ~ N(0, 1/9) clamped to [-1, 1]"
        ),
        head="cosine",
    ),
    "ib": Part(
        "influence-balanced loss: samples count by the inverse of their influence",
        "Park et al. 2021 (IB loss)",
        "trainers.losses.influence_balanced:InfluenceBalanced",
        {
            "alpha": Setting(
                1000.0,
                "released IB-Loss code, beside a rate cut to a hundredth when it starts, which the "
                "recipe of digits does not do: 10 there is chosen here",
                POSITIVE,
            ),
            "start": Setting(0.5, "epoch 100 of 200: released IB-Loss code", SHARE),
        },
        equation=(
            "w_y CE(f) α / (‖p - 1_y‖₁ ‖h‖₁ + 0.001), w ∝ 1/n, Σ w = K, from epoch start · epochs "
            "on; CE(f) before"
        ),
        by_data={"digits": {"alpha": 10.0}},
        recipe="ib",
    ),
    "paco": Part(
        "parametric contrastive learning: class centres among the contrasted samples",
        "Cui et al. 2021 (PaCo)",
        "trainers.losses.parametric_contrastive:ParametricContrast",
        {
            "alpha": Setting(
                0.01,
                "released PaCo commands, CIFAR-100-LT; 0.02 in an earlier commit; of CIFAR-10-LT "
                "none is published",
                NOT_NEGATIVE,
            ),
            "beta": Setting(1.0, _PACO, POSITIVE),
            "temperature": Setting(0.05, _PACO, POSITIVE),
            "queue": Setting(1024, _PACO, COUNT),
            "momentum": Setting(0.999, "default of the released PaCo code", DECAY),
            "dimension": Setting(32, _PACO, COUNT),
        },
        equation=(
            "-Σ w log softmax([f + log π, z·z'/T]) / Σ w, w = β on the own class's logit, α on "
            "each z' of the own class; z' of the batch, of its keys and of a queue"
        ),
        views=2,
        recipe="paco",
    ),
}
