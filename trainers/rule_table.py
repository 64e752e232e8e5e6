"""The words after a plus: gradient rules and regularisers.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from trainers.part import Part, Setting

_FORET = "Foret et al. 2021"
_CHOSEN = "chosen here; the papers give none"
_BOTH = Setting(
    "both",
    "both passes update running statistics: released Saddle-LongTail and Focal-SAM code",
    ("both", "first"),
)
_FIRST = Setting("first", "released F-SAM and GKP-GSA code", ("both", "first"))
_SCHEDULE = Setting(
    "constant",
    "constant, or by the steps or the line of the released Saddle-LongTail code",
    ("constant", "step", "linear"),
)
_LAST = Setting("last", "released PLOT code: the last stage; all its parameters", ("last", "all"))

RULES: Mapping[str, Part] = {
    "sgd": Part("the gradient of the batch loss", "-", "trainers.rules.sgd:SGD", equation="∇L(w)"),
    "sam": Part(
        "sharpness-aware minimisation: the gradient at the end of an ascent step of length rho",
        f"{_FORET}; with re-weighting, Rangwani et al. 2022",
        "trainers.rules.sam:SAM",
        {
            "rho": Setting(
                0.5, "Rangwani et al. 2022: 0.5 or 0.8 for most; by base and data below"
            ),
            "bn_update": _BOTH,
            "schedule": _SCHEDULE,
        },
        equation="∇L(w + ε), ε = ρ g / ‖g‖",
        by_data={"digits": {"rho": 0.1}},
    ),
    "asam": Part(
        "adaptive SAM: the ascent step scales with each parameter",
        "Kwon et al. 2021",
        "trainers.rules.asam:ASAM",
        {
            "rho": Setting(0.5, "Kwon et al. 2021, CIFAR-10"),
            "eta": Setting(0.01, "Kwon et al. 2021"),
            "bn_update": _BOTH,
        },
        equation="∇L(w + ε), ε = ρ T² g / ‖T g‖, T = |w| + η",
    ),
    "fsam": Part(
        "friendly SAM: the running mean of the gradients is taken out of the ascent",
        "Li et al. 2024 (F-SAM)",
        "trainers.rules.fsam:FriendlySAM",
        {
            "rho": Setting(0.2, "released F-SAM commands"),
            "sigma": Setting(1.0, "released F-SAM code"),
            "decay": Setting(0.9, "default of the released F-SAM code; its CIFAR commands use 0.6"),
            "bn_update": _FIRST,
        },
        equation="∇L(w + ε), ε = ρ d / ‖d‖, d = g - σ m, m the running mean of g",
        by_data={"digits": {"rho": 0.1}},
    ),
    "imbsam": Part(
        "SAM on the loss of the rare classes only",
        "Zhou et al. 2023 (ImbSAM)",
        "trainers.rules.imbsam:ImbSAM",
        {
            "rho": Setting(0.05, "released ImbSAM code"),
            "eta": Setting(
                20,
                "classes with fewer training samples are rare: released code; 150 on 10 classes is "
                "chosen here, the tail three of CIFAR-10-LT",
            ),
            "tail_scale": Setting(1.0, "factor on the rare classes' loss"),
            "bn_update": _BOTH,
        },
        equation="∇L_head(w) + ∇L_tail(w + ε), ε = ρ ∇L_tail / ‖∇L_tail‖",
        variants={"released": ({"tail_scale": 2.0}, "the rare classes' loss counts twice")},
        by_data={"10": {"eta": 150}, "digits": {"eta": 20}},
    ),
    "focal-sam": Part(
        "SAM on a sharpness weighted by (1 - class frequency)^gamma",
        "Li et al. 2025 (Focal-SAM)",
        "trainers.rules.focal_sam:FocalSAM",
        {
            "rho": Setting(0.2, "released commands, CIFAR-10-LT 100"),
            "gamma": Setting(3.0, "released commands, CIFAR-10-LT 100"),
            "strength": Setting(0.5, "λ; released commands, CIFAR-10-LT 100"),
            "schedule": Setting(
                "step",
                "the paper keeps rho until epoch 160, then raises it, to values given nowhere: "
                "the steps of Saddle-LongTail",
                ("constant", "step", "linear"),
            ),
            "bn_update": _BOTH,
        },
        equation="∇(L - λ L_γ)(w) + λ ∇L_γ(w + ε), L_γ = Σ_c (1 - π_c)^γ L_c, ε = ρ ∇L_γ / ‖∇L_γ‖",
        variants={"released": ({"schedule": "constant"}, "the radius is constant")},
        by_data={
            "100": {"rho": 0.3, "gamma": 3.2, "strength": 0.8},
            "digits": {"rho": 0.1, "schedule": "constant"},
        },
    ),
    "cc-sam": Part(
        "class-conditional SAM: every class perturbs the classifier by its own radius",
        "Zhou et al. 2023 (CC-SAM)",
        "trainers.rules.cc_sam:ClassConditionalSAM",
        {
            "scale": Setting(
                1.0, "factor on the radius of Eq. 8, which grows without bound as ‖g_c‖ vanishes"
            ),
            "share": Setting(1.0, "share of the perturbed loss; Eq. 11"),
            "labels": Setting("mixed", "of mixed images, in the perturbed loss", ("mixed", "hard")),
            "reduction": Setting(
                "classes",
                "mean of the class means (Eq. 11 over the number of classes), or of the samples",
                ("classes", "samples"),
            ),
            "norms": Setting(
                "joint", "of the classifier, or tensor by tensor", ("joint", "tensor")
            ),
            "layers": Setting("classifier", "Sec. 4: what is perturbed", ("classifier", "all")),
        },
        equation=(
            "mean_c ∇L_c(w + ε_c), ε_c = √k ρ_c g_c / ‖g_c‖, "
            "ρ_c = (‖w‖ / 2‖g_c‖)^½ k^(-¼) (n_c - 1)^(-¼)"
        ),
        variants={
            "released": (
                {
                    "scale": 1e-6,
                    "share": 0.3,
                    "labels": "hard",
                    "reduction": "samples",
                    "norms": "tensor",
                },
                "radius times 1e-6, tensor by tensor; 0.3 (0.5 on 100 classes) of the perturbed "
                "loss, a mean over samples with hard labels",
            )
        },
        by_data={"digits": {"scale": 1e-4}, "100@released": {"share": 0.5}},
    ),
    "gsa": Part(
        "grouped sharpness-awareness: each group of classes ascends along what is its own",
        "GKP-GSA",
        "trainers.rules.gsa:GroupedSAM",
        {
            "radius": Setting("group", "Eq. 13 by group, or rho for all", ("group", "fixed")),
            "scale": Setting(0.01, "factor on the radius; the paper's best"),
            "rho": Setting(0.05, "length of the ascent where radius = fixed"),
            "least": Setting(0.0, "least ρ of Eq. 13"),
            "most": Setting(1e9, "largest ρ of Eq. 13; none"),
            "direction": Setting(
                "projection",
                "Eq. 12: without the batch gradient's direction; ema: without the running mean of "
                "gradients; plain",
                ("projection", "ema", "plain"),
            ),
            "decay": Setting(0.9, "of the running mean: released code"),
            "adaptive": Setting("no", "scale with each parameter, as ASAM", ("no", "yes")),
            "passes": Setting(
                "groups",
                "Eq. 15: a perturbed pass a group; one: a single one at the mean perturbation",
                ("groups", "one"),
            ),
            "bn_update": _FIRST,
        },
        equation=(
            "Σ_g s_g ∇L_g(w + ε_g), ε_g = √d ρ_g d_g / ‖d_g‖, d_g = g_g - proj_g g_g, "
            "ρ_g = (‖w‖ / 2‖g_g‖)^½ d^(-¼) (n_g - 1)^(-¼)"
        ),
        variants={
            "released": (
                {
                    "scale": 0.1,
                    "least": 2e-3,
                    "most": 3e-3,
                    "direction": "ema",
                    "adaptive": "yes",
                    "passes": "one",
                },
                "running mean in place of the projection, adaptive scaling, radius 0.1 of Eq. 13 "
                "clamped to [0.002, 0.003], one perturbed pass",
            )
        },
    ),
    "pgd": Part(
        "perturbed gradient descent: isotropic noise on the gradient",
        "Jin et al. 2021",
        "trainers.rules.pgd:PerturbedGradientDescent",
        {"radius": Setting(0.1, _CHOSEN)},
        equation="∇L(w) + ξ, ξ ~ N(0, r²/d I)",
    ),
    "lpf-sgd": Part(
        "low-pass filter SGD: the gradient at noisy parameters",
        "Bisla et al. 2022",
        "trainers.rules.lpf_sgd:LowPassSGD",
        {
            "gamma": Setting(0.002, "released LPF-SGD code, plain ResNets"),
            "growth": Setting(1.0, "γ grows to this multiple; 15 for wide ResNets"),
            "parts": Setting(1, "parts of a batch, each with noise of its own; 8 for wide ResNets"),
        },
        equation="mean_m ∇L_m(w + ξ_m), ξ of a filter ~ N(0, γ² ‖w_filter‖² I)",
    ),
    "mgda": Part(
        "multiple-gradient descent: the shortest vector of the class gradients' convex hull",
        "Désidéri 2012",
        "trainers.rules.mgda:MGDA",
        {"layers": _LAST},
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
        },
        equation="d = Σ b_c g_c, b from a linear programme that balances r_c L_c, or descends all",
    ),
    "cagrad": Part(
        "conflict-averse gradient descent on the class gradients",
        "Liu et al. 2021",
        "trainers.rules.cagrad:CAGrad",
        {
            "c": Setting(0.5, "default of the released CAGrad code"),
            "rescale": Setting("no", "divide by 1 + c², as released", ("no", "yes")),
            "layers": _LAST,
        },
        equation="d = g_0 + c‖g_0‖ g_w / ‖g_w‖, w = argmin g_w·g_0 + c‖g_0‖‖g_w‖",
        variants={"released": ({"rescale": "yes"}, "the direction is divided by 1 + c²")},
    ),
    "pcgrad": Part(
        "gradient surgery: conflicting class gradients are projected off each other",
        "Yu et al. 2020",
        "trainers.rules.pcgrad:PCGrad",
        {"layers": _LAST},
        equation="mean_i of g_i, less its projection on every g_j with g_i·g_j < 0 in random order",
    ),
    "plot": Part(
        "temporal Pareto: conflict-averse shared epochs with SAM's anticipation, then plain ones",
        "Zhou et al. 2024 (PLOT)",
        "trainers.rules.plot:PLOT",
        {
            "shared_epochs": Setting(0.25, "share of the epochs; 50 of 200 on CIFAR-10-LT 100"),
            "rho": Setting(1e-4, "released configurations"),
            "c": Setting(0.5, "default of the released code"),
            "variability": Setting(1.0, "weight of the variability-collapse loss: paper"),
            "in_class_gradients": Setting(
                "yes", "whether class gradients hold the variability loss: Sec. 4.2", ("yes", "no")
            ),
            "prior": Setting(
                "uniform",
                "of the term g_w·g_0; log(n_max/n_c + 0.01)/2 as released",
                ("uniform", "log-ratio"),
            ),
            "rescale": Setting("no", "divide by 1 + c², as released", ("no", "yes")),
            "kept": Setting(0.0, "share of the perturbation that stays in the weights"),
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
                "the class gradients, hard labels, perturbation never undone",
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

REGULARISERS: Mapping[str, Part] = {
    "": Part("none", "-", ""),
    "gkp": Part(
        "grouped knowledge preservation: parameters at which each group's features were best",
        "GKP-GSA",
        "trainers.regularisers.gkp:GroupedKnowledge",
        {
            "group_count": Setting(4, "paper, CIFAR"),
            "penalty": Setting(100.0, "λ of Eq. 5; paper"),
            "variance_weight": Setting(0.5, "β of Eq. 19; paper"),
            "alpha_start": Setting(0.95, "Eq. 20; paper"),
            "alpha_end": Setting(0.6, "Eq. 20; paper"),
            "refresh": Setting(0.05, "share of the epochs between groupings; 10 of 200"),
            "fisher_samples": Setting(256, "of each group; chosen here"),
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
                },
                "a single group, so that the penalty is empty and only α is left",
            )
        },
    ),
}
