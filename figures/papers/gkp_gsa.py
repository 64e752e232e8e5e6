"""Describe the figures of GKP-GSA by name. No drawing library is imported here."""

from dataclasses import replace

from figures.papers.figure import PaperFigure, Want, values, wanted

_OURS = "bcl+gkp+gsa"
_GROUPS = (1, 2, 4, 6, 8)

_BY_GROUPS = PaperFigure(
    "GKP-GSA Fig. 5",
    "accuracy against the number of groups",
    "sweep",
    values(_OURS, "group_count", *_GROUPS),
    ("accuracy",),
    options={"x": "group_count"},
    data="cifar100",
    recipe="c",
)

GKP = {
    "gkp-1": PaperFigure(
        "GKP-GSA Fig. 1",
        "path of training over the loss of the tail, with what training on the tail alone finds",
        "trajectory",
        wanted("bcl", _OURS),
        ("surface",),
        ("tail",),
        {"directions": "pca"},
        data="cifar100",
        recipe="c",
        kept="1,2,5,10,20,40,60,80,100,120,140,160,170,180,190,200",
        diagnose="--surface.marks {reference}",
        reference=Want("bcl", {"classes": ("tail",)}),
    ),
    "gkp-2": PaperFigure(
        "GKP-GSA Fig. 2, features",
        "quality of head and tail features over training",
        "feature-quality",
        wanted("bcl", _OURS),
        ("features",),
        ("head", "tail"),
        data="cifar100",
        checkpoints="all",
        recipe="c",
        kept="1,10,20,40,60,80,100,120,140,160,180,200",
    ),
    "gkp-2-surface": PaperFigure(
        "GKP-GSA Fig. 2, loss",
        "loss surfaces of head and tail",
        "surface",
        wanted("bcl", _OURS),
        ("surface",),
        ("head", "tail"),
        data="cifar100",
        recipe="c",
    ),
    "gkp-5": _BY_GROUPS,
    "gkp-6": PaperFigure(
        "GKP-GSA Fig. 6",
        "similarity of two head and two tail classes with the batch gradient at five epochs",
        "gradient-similarity",
        wanted("ce", _OURS),
        ("gradients",),
        options={"view": "bars", "against": "batch"},
        checkpoints="0,50,100,150,200",
        recipe="c",
        kept="50,100,150,200",
        diagnose="--gradients.batches 20",
    ),
    "gkp-7": replace(
        _BY_GROUPS,
        title="GKP-GSA Fig. 7",
        summary="accuracy against the number of groups",
        data="filelist:data/ImageNet_LT",
        imbalance=None,
    ),
    "gkp-8": PaperFigure(
        "GKP-GSA Fig. 8",
        "accuracy against the scale of the perturbation",
        "sweep",
        values(_OURS, "rule.scale", *(10.0**-power for power in range(1, 8))),
        ("accuracy",),
        options={"x": "rule.scale"},
        data="cifar100",
        recipe="c",
    ),
    "gkp-9": PaperFigure(
        "GKP-GSA Fig. 9",
        "spectra of head and tail by SGD, SAM and the paper's rules",
        "spectrum",
        wanted("ce", "ce+sam", "ce+gkp+gsa"),
        ("spectrum", "accuracy"),
        ("head", "tail"),
        recipe="a",
    ),
}
