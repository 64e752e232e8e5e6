"""The last word after a plus: gradient rules.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from landscape.results.plugins import Table
from trainers.methods.part import COUNT, NOT_NEGATIVE, SHARE, Part, Setting, in_stage
from trainers.methods.sharpness_rules import SHARPNESS_RULES

_CHOSEN = "chosen here; the papers give none"
_LAST = Setting(
    "last",
    "released PLOT code: the last stage; another (PLOT, Suppl. Fig. 8), or all parameters",
    ("last", "all", "layer1", "layer2", "layer3"),
)
_SHARED = Setting(
    1.0, "share of the epochs, then plain: early stop E of PLOT, Table 1; 1: all", SHARE
)

RULES: Mapping[str, Part] = {
    "sgd": Part("the gradient of the batch loss", "-", "trainers.rules.sgd:SGD", equation="∇L(w)"),
    **SHARPNESS_RULES,
    "pgd": Part(
        "perturbed gradient descent: isotropic noise on the gradient",
        "Jin et al. 2021",
        "trainers.rules.pgd:PerturbedGradientDescent",
        {"radius": Setting(0.1, _CHOSEN, NOT_NEGATIVE)},
        equation="∇L(w) + ξ, ξ ~ N(0, r²/d I)",
    ),
    "lpf-sgd": Part(
        "low-pass filter SGD: the gradient at noisy parameters",
        "Bisla et al. 2022",
        "trainers.rules.lpf_sgd:LowPassSGD",
        {
            "gamma": Setting(0.002, "released LPF-SGD code, plain ResNets", NOT_NEGATIVE),
            "growth": Setting(1.0, "γ grows to this multiple; 15 for wide ResNets", NOT_NEGATIVE),
            "parts": Setting(
                1, "parts of a batch, each with noise of its own; 8 for wide ResNets", COUNT
            ),
        },
        equation="mean_m ∇L_m(w + ξ_m), ξ of a filter ~ N(0, γ² ‖w_filter‖² I)",
    ),
    "mp": Part(
        "model perturbation: the mean loss under uniform noise on the weights",
        "Shi et al. 2021 (F2M)",
        "trainers.rules.model_perturbation:ModelPerturbation",
        {
            "bound": Setting(
                0.01,
                "b; released F2M configuration, CIFAR-100; CC-SAM, which compares with it, prints "
                "no constants",
                NOT_NEGATIVE,
            ),
            "draws": Setting(2, "released F2M configuration, CIFAR-100", COUNT),
            "layers": Setting("last", "the last layers, or all: Shi et al. 2021", ("last", "all")),
            "stage": in_stage(),
        },
        equation="mean_m ∇L(w + ε_m), ε ~ U(-b, b)",
    ),
    "mgda": Part(
        "multiple-gradient descent: the shortest vector of the class gradients' convex hull",
        "Désidéri 2012",
        "trainers.rules.mgda:MGDA",
        {"layers": _LAST, "shared_epochs": _SHARED},
        equation="d = Σ a_c g_c, a = argmin over the simplex of ‖Σ a_c g_c‖",
    ),
    "epo": Part(
        "exact Pareto optimal search towards a preference over the classes",
        "Mahapatra & Rajan 2020",
        "trainers.rules.epo:EPO",
        {
            "preference": Setting(
                "prior",
                "released PLOT code: log(n_max/n_c + 0.01)/2, or uniform",
                ("prior", "uniform"),
            ),
            "layers": _LAST,
            "shared_epochs": _SHARED,
        },
        equation="d = Σ b_c g_c, b from a linear programme that balances r_c L_c, or descends all",
    ),
    "cagrad": Part(
        "conflict-averse gradient descent on the class gradients",
        "Liu et al. 2021",
        "trainers.rules.cagrad:CAGrad",
        {
            "c": Setting(0.5, "default of the released CAGrad code", NOT_NEGATIVE),
            "rescale": Setting("no", "divide by 1 + c², as released", ("no", "yes")),
            "layers": _LAST,
            "shared_epochs": _SHARED,
        },
        equation="d = g_0 + c‖g_0‖ g_w / ‖g_w‖, w = argmin g_w·g_0 + c‖g_0‖‖g_w‖",
        variants={"released": ({"rescale": "yes"}, "the direction is divided by 1 + c²")},
    ),
    "pcgrad": Part(
        "gradient surgery: conflicting class gradients are projected off each other",
        "Yu et al. 2020",
        "trainers.rules.pcgrad:PCGrad",
        {"layers": _LAST, "shared_epochs": _SHARED},
        equation="mean_i of g_i, less its projection on every g_j with g_i·g_j < 0 in random order",
    ),
    "plot": Part(
        "temporal Pareto: conflict-averse shared epochs with SAM's anticipation, then plain ones",
        "Zhou et al. 2024 (PLOT)",
        "trainers.rules.plot:PLOT",
        {
            "shared_epochs": Setting(
                0.25, "share of the epochs; 50 of 200 on CIFAR-10-LT 100", SHARE
            ),
            "rho": Setting(1e-4, "released configurations", NOT_NEGATIVE),
            "c": Setting(0.5, "default of the released code", NOT_NEGATIVE),
            "variability": Setting(
                1.0, "weight of the variability-collapse loss: paper", NOT_NEGATIVE
            ),
            "in_class_gradients": Setting(
                "yes", "whether class gradients hold the variability loss: Sec. 4.2", ("yes", "no")
            ),
            "prior": Setting(
                "uniform",
                "of the term g_w·g_0; log(n_max/n_c + 0.01)/2 as released",
                ("uniform", "log-ratio"),
            ),
            "rescale": Setting("no", "divide by 1 + c², as released", ("no", "yes")),
            "kept": Setting(0.0, "share of the perturbation that stays in the weights", SHARE),
            "labels": Setting(
                "mixed", "of mixed images, at the perturbed weights", ("mixed", "hard")
            ),
            "layers": _LAST,
        },
        equation=(
            "e < E: CAGrad on the class gradients of L(w + ε) + v mean_c Std_c(ℓ), "
            "ε = ρ g / ‖g‖; then ∇L(w)"
        ),
        variants={
            "released": (
                {
                    "variability": 0.01,
                    "in_class_gradients": "no",
                    "prior": "log-ratio",
                    "rescale": "yes",
                    "kept": 1.0,
                    "labels": "hard",
                },
                "log-ratio prior in CAGrad, variability weight 0.01 (0.02 on 100 classes) outside "
                "the class gradients, hard labels, perturbation never undone; CAGrad is solved "
                "exactly, where the released solver stops early (2 to 15 % off)",
            )
        },
        by_data={
            "100": {"shared_epochs": 0.15},
            "10/50": {"shared_epochs": 0.1},
            "10/200": {"shared_epochs": 0.4},
            "10/200@released": {"variability": 0.02, "kept": 0.5},
            "100@released": {"variability": 0.02, "kept": 0.0},
        },
    ),
}
RULES = Table("rules", Part, RULES)
