"""The gradient rules that ascend before they descend: SAM and its variants.

Part of the one table of methods (:mod:`trainers.methods`). No tensor library is imported here.
"""

from collections.abc import Mapping

from trainers.methods.part import COUNT, DECAY, NOT_NEGATIVE, SHARE, Part, Setting, in_stage

_FORET = "Foret et al. 2021"
_BOTH = Setting(
    "both",
    "both passes update running statistics: released Saddle-LongTail and Focal-SAM code",
    ("both", "first"),
)
_FIRST = Setting("first", "released F-SAM and GKP-GSA code", ("both", "first"))
_SCHEDULE = Setting(
    "constant",
    "constant, or of the released Saddle-LongTail code the steps (where rho is 0.1; step-large: of "
    "the 90 epochs of ImageNet-LT and iNaturalist; step-inat: of CE on iNaturalist) or the line "
    "(to a rho of 0.8)",
    ("constant", "step", "linear", "step-large", "step-inat"),
)
_BY_GROUP = ("radius", "group")

SHARPNESS_RULES: Mapping[str, Part] = {
    "sam": Part(
        "sharpness-aware minimisation: the gradient at the end of an ascent step of length rho",
        f"{_FORET}; with re-weighting, Rangwani et al. 2022",
        "trainers.rules.sam:SAM",
        {
            "rho": Setting(
                0.5,
                "Rangwani et al. 2022: 0.5 or 0.8 for most; by base, data and schedule, that of "
                "their released commands and code",
                NOT_NEGATIVE,
            ),
            "bn_update": _BOTH,
            "schedule": _SCHEDULE,
        },
        equation="∇L(w + ε), ε = ρ g / ‖g‖",
        by_data={
            "digits": {"rho": 0.1},
            "1000": {"schedule": "step-large"},
            "8142": {"schedule": "step-large"},
            "clip": {"rho": 0.05, "schedule": "constant"},
        },
    ),
    "asam": Part(
        "adaptive SAM: the ascent step scales with each parameter",
        "Kwon et al. 2021",
        "trainers.rules.asam:ASAM",
        {
            "rho": Setting(0.5, "Kwon et al. 2021, CIFAR-10", NOT_NEGATIVE),
            "eta": Setting(0.01, "Kwon et al. 2021", NOT_NEGATIVE),
            "bn_update": _BOTH,
        },
        equation="∇L(w + ε), ε = ρ T² g / ‖T g‖, T = |w| + η",
    ),
    "gp": Part(
        "gradient penalty: descend the loss and the norm of its gradient",
        "Zhao et al. 2022",
        "trainers.rules.gradient_penalty:GradientPenalty",
        {
            "share": Setting(
                0.8,
                "a; released command for ResNets on CIFAR; CC-SAM, which compares with it, prints "
                "no constants",
                SHARE,
            ),
            "radius": Setting(0.1, "r; released command for ResNets on CIFAR", NOT_NEGATIVE),
            "bn_update": Setting("both", "not published; as sam", ("both", "first")),
            "stage": in_stage(),
        },
        equation="(1 - a) ∇L(w) + a ∇L(w + r g / ‖g‖)",
    ),
    "fsam": Part(
        "friendly SAM: the running mean of the gradients is taken out of the ascent",
        "Li et al. 2024 (F-SAM)",
        "trainers.rules.fsam:FriendlySAM",
        {
            "rho": Setting(0.2, "released F-SAM commands", NOT_NEGATIVE),
            "sigma": Setting(1.0, "released F-SAM code", NOT_NEGATIVE),
            "decay": Setting(
                0.9, "default of the released F-SAM code; its CIFAR commands use 0.6", DECAY
            ),
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
            "rho": Setting(0.05, "released ImbSAM code", NOT_NEGATIVE),
            "eta": Setting(
                20,
                "classes with fewer training samples are rare: released code; 150 on 10 classes is "
                "chosen here, the tail three of CIFAR-10-LT",
                COUNT,
            ),
            "tail_scale": Setting(1.0, "factor on the rare classes' loss", NOT_NEGATIVE),
            "without_rare": Setting(
                "nothing",
                "what follows on a batch without rare samples: nothing, or a pass for BatchNorm's "
                "running statistics alone (released code)",
                ("nothing", "pass"),
                ("bn_update", "both"),
            ),
            "bn_update": _BOTH,
        },
        equation="∇L_head(w) + ∇L_tail(w + ε), ε = ρ ∇L_tail / ‖∇L_tail‖",
        variants={
            "released": (
                {"tail_scale": 2.0, "without_rare": "pass"},
                "the rare classes' loss counts twice; every step updates running statistics twice",
            )
        },
        by_data={"10": {"eta": 150}, "digits": {"eta": 20}},
    ),
    "focal-sam": Part(
        "SAM on a sharpness weighted by (1 - class frequency)^gamma",
        "Li et al. 2025 (Focal-SAM)",
        "trainers.rules.focal_sam:FocalSAM",
        {
            "rho": Setting(
                0.2,
                "released commands, CIFAR-10-LT 100; the paper's best is near 0.3",
                NOT_NEGATIVE,
            ),
            "gamma": Setting(3.0, "released commands, CIFAR-10-LT 100", NOT_NEGATIVE),
            "strength": Setting(0.5, "λ; released commands, CIFAR-10-LT 100", NOT_NEGATIVE),
            "schedule": Setting(
                "late",
                "constant on CIFAR, doubled for the last fifth of ImageNet-LT: released commands",
                ("constant", "late", "step", "linear", "step-large"),
            ),
            "bn_update": _BOTH,
        },
        equation="∇(L - λ L_γ)(w) + λ ∇L_γ(w + ε), L_γ = Σ_c (1 - π_c)^γ L_c, ε = ρ ∇L_γ / ‖∇L_γ‖",
        variants={"released": ({}, "a weighted batch loss is Σ w ℓ / B, not Σ w ℓ / Σ w")},
        elsewhere={"released": {"weighting.mean": "samples"}},
        by_data={
            "10": {"schedule": "constant"},
            "100": {"rho": 0.3, "gamma": 3.2, "strength": 0.8, "schedule": "constant"},
            "1000": {"rho": 0.1, "gamma": 0.8, "strength": 0.8},
            "8142": {"gamma": 2.0, "strength": 1.1, "schedule": "constant"},
            "digits": {"rho": 0.1, "schedule": "constant"},
            "clip": {"rho": 0.05, "schedule": "constant"},
            "clip-10": {"gamma": 1.5, "strength": 0.7},
            "clip-100": {"gamma": 5.5, "strength": 0.8},
            "clip-1000": {"gamma": 0.5, "strength": 0.8},
            "clip-8142": {"rho": 0.02, "gamma": 0.2, "strength": 1.0},
        },
    ),
    "cc-sam": Part(
        "class-conditional SAM: one radius of the classifier's perturbation for each class",
        "Zhou et al. 2023 (CC-SAM)",
        "trainers.rules.cc_sam:ClassConditionalSAM",
        {
            "scale": Setting(1.0, "factor on the radius of Eq. 8", NOT_NEGATIVE),
            "most": Setting(
                0.05,
                "largest ‖ε_c‖ over ‖w‖; chosen here: ρ of Eq. 8 grows without bound as ‖g_c‖ "
                "vanishes, and Sec. 2.2 supposes ρ ≪ ‖w‖; 1e9: none",
                NOT_NEGATIVE,
                before=1e9,
            ),
            "ascent": Setting(
                "both",
                "Table 2: the direction at length 1 (its reading here), or the magnitude along "
                "Gaussian noise",
                ("both", "direction", "magnitude"),
            ),
            "bound": Setting(
                "no",
                "whether the slope of ‖w‖ / (2 ρ_c √(n_c - 1)) of Eq. 7 is followed too, ρ_c held "
                "constant; Algorithm 1 and the released code leave it out",
                ("no", "yes"),
            ),
            "share": Setting(1.0, "share of the perturbed loss; Eq. 11", SHARE),
            "labels": Setting("mixed", "of mixed images, in the perturbed loss", ("mixed", "hard")),
            "reduction": Setting(
                "classes",
                "mean of the class means (Eq. 11 over the number of classes), or of the samples",
                ("classes", "samples"),
            ),
            "norms": Setting(
                "joint", "of the classifier, or tensor by tensor", ("joint", "tensor")
            ),
            "layers": Setting("classifier", "Sec. 4: the perturbed layers", ("classifier", "all")),
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
        "grouped sharpness-awareness: each group ascends along its gradient less the shared part",
        "GKP-GSA",
        "trainers.rules.gsa:GroupedSAM",
        {
            "radius": Setting("group", "Eq. 13 by group, or rho for all", ("group", "fixed")),
            "scale": Setting(
                0.01, "factor on the radius; the paper's best", NOT_NEGATIVE, _BY_GROUP
            ),
            "rho": Setting(
                0.05, "length of the ascent where radius = fixed", NOT_NEGATIVE, ("radius", "fixed")
            ),
            "least": Setting(0.0, "least ρ of Eq. 13", NOT_NEGATIVE, _BY_GROUP),
            "most": Setting(1e9, "largest ρ of Eq. 13; none", NOT_NEGATIVE, _BY_GROUP),
            "direction": Setting(
                "projection",
                "Eq. 12: without the batch gradient's direction; shared: along it alone (Table 5, "
                "GSA-proj); ema: without the running mean of gradients; plain",
                ("projection", "shared", "ema", "plain"),
            ),
            "decay": Setting(
                0.9, "of the running mean: released code", DECAY, ("direction", "ema")
            ),
            "adaptive": Setting("no", "scale with each parameter, as ASAM", ("no", "yes")),
            "passes": Setting(
                "groups",
                "Eq. 15: a perturbed pass a group; one: a single one at the mean perturbation",
                ("groups", "one"),
            ),
            "contrast": Setting(
                "batch",
                "with which samples a loss compares a group's in the ascent: those of the batch, "
                "or of the group (released code)",
                ("batch", "group"),
                ("statistics", "batch"),
            ),
            "statistics": Setting(
                "batch",
                "of BatchNorm: the batch's; the group's own, a fair reading of Eq. 11 and 15 in "
                "which each sample passes once a phase",
                ("batch", "group"),
            ),
            "bound": Setting(
                "no",
                "whether the slope of ‖w‖ / (2 ρ_g √(n_g - 1)) of Eq. 15 is followed too, ρ_g of "
                "Eq. 13 held constant; the released code leaves it out",
                ("no", "yes"),
                _BY_GROUP,
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
                    "contrast": "group",
                },
                "running mean in place of the projection, adaptive scaling, radius 0.1 of Eq. 13 "
                "clamped to [0.002, 0.003], one perturbed pass; ascents contrast within a group",
            )
        },
    ),
}
