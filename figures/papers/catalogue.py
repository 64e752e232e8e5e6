"""The figures of Saddle-LongTail, CC-SAM and Focal-SAM by name; those of the others follow.

Values of sweeps are chosen here: the papers show them in pictures only. Where a paper leaves its
classes unsaid, groups of classes are drawn. No drawing library is imported here.
"""

from collections.abc import Mapping

from figures.papers.figure import PaperFigure, values, wanted
from figures.papers.gkp_gsa import GKP
from figures.papers.plot import PLOT

_SPECTRUM = ("spectrum", "accuracy")
_DYNAMICS = "10,50,160,170,190,200"
_DYNAMIC_CLASSES = ("class/0", "class/2", "class/5", "class/7", "class/8")
_RHO = (0.05, 0.1, 0.2, 0.5, 0.8, 1.0)
_SADDLE = "Saddle-LongTail"

SADDLE = {
    "saddle-1": PaperFigure(
        f"{_SADDLE} Fig. 1",
        "a head class ends in a minimum, a tail class in a saddle",
        "spectrum",
        wanted("ce-drw"),
        _SPECTRUM,
        ("class/0", "class/8"),
    ),
    "saddle-2": PaperFigure(
        f"{_SADDLE} Fig. 2",
        "spectra of all, a head class and a tail class, by SGD and by SAM",
        "spectrum",
        wanted("ce-drw", "ce-drw+sam"),
        _SPECTRUM,
        ("overall", "class/0", "class/8"),
    ),
    "saddle-3a": PaperFigure(
        f"{_SADDLE} Fig. 3A",
        "non-convexity of classes over training, by SGD",
        "nonconvexity",
        wanted("ce-drw"),
        ("spectrum",),
        _DYNAMIC_CLASSES,
        checkpoints=_DYNAMICS,
    ),
    "saddle-3b": PaperFigure(
        f"{_SADDLE} Fig. 3B",
        "non-convexity of classes over training, by SAM",
        "nonconvexity",
        wanted("ce-drw+sam"),
        ("spectrum",),
        _DYNAMIC_CLASSES,
        checkpoints=_DYNAMICS,
    ),
    "saddle-3c": PaperFigure(
        f"{_SADDLE} Fig. 3C",
        "λmin of a tail class against the radius of SAM",
        "sweep",
        values("ce-drw+sam", "rho", *_RHO),
        ("spectrum",),
        ("class/8",),
        {"x": "rho", "y": "lambda_min"},
    ),
    "saddle-4": PaperFigure(
        f"{_SADDLE} Fig. 4",
        "overall and tail accuracy against the radius of SAM",
        "sweep",
        values("ce-drw+sam", "rho", *_RHO),
        ("accuracy",),
        options={"x": "rho", "y": "overall:tail"},
    ),
}

CC_SAM = {
    "cc-1": PaperFigure(
        "CC-SAM Fig. 1",
        "loss against noise on the classifier; crt-mixup stands for MiSLAS, GCL is left out",
        "noise",
        wanted("ce", "ldam-drw", "crt-mixup"),
        ("sharpness",),
        ("overall",),
        recipe="d",
    ),
    "cc-2": PaperFigure(
        "CC-SAM Fig. 2",
        "gain by flattening alone; sam, asam and lpf-sgd stand for SWA, SN, GP and MP",
        "flattening",
        wanted("ce", "ce+sam", "ce+asam", "ce+lpf-sgd"),
        ("accuracy",),
        data="cifar100",
        recipe="d",
    ),
    "cc-e": PaperFigure(
        "CC-SAM App. E",
        "loss surfaces of all, head and tail; crt-mixup stands for MiSLAS, GCL is left out",
        "surface",
        wanted("ce", "ldam-drw", "crt-mixup"),
        ("surface",),
        ("overall", "head", "tail"),
        recipe="d",
    ),
}


def _by_rule(base: str, *rules: str) -> list[str]:
    return [f"{base}+{rule}" for rule in rules or ("sam", "imbsam", "cc-sam", "focal-sam")]


def _focal_spectra(number: int, base: str, data: str) -> PaperFigure:
    return PaperFigure(
        f"Focal-SAM Fig. {number}",
        f"spectra of head and tail under four rules over {base}",
        "spectrum",
        wanted(*_by_rule(base)),
        _SPECTRUM,
        ("head", "tail"),
        data=data,
        recipe="b",
    )


def _focal_surfaces(name: str, data: str, *rules: str) -> PaperFigure:
    return PaperFigure(
        f"Focal-SAM Fig. {name}",
        "loss surfaces of head and tail by rule over vs",
        "surface",
        wanted(*_by_rule("vs", *rules)),
        ("surface",),
        ("head", "tail"),
        data=data,
        recipe="b",
    )


def _focal_sweep(number: int, what: str, setting: str, *found: float) -> PaperFigure:
    return PaperFigure(
        f"Focal-SAM Fig. {number}",
        f"accuracy against {what}",
        "sweep",
        values("la+focal-sam", setting, *found),
        ("accuracy",),
        options={"x": setting},
        recipe="b",
    )


FOCAL = {
    "focal-1a": _focal_surfaces("1a", "cifar10", "imbsam", "focal-sam"),
    "focal-1b": PaperFigure(
        "Focal-SAM Fig. 1b",
        "seconds an epoch against accuracy under four rules",
        "cost",
        wanted(*_by_rule("vs")),
        ("accuracy",),
        recipe="b",
    ),
    "focal-2": _focal_spectra(2, "vs", "cifar10"),
    # takes runs of any method: it shows class counts only
    "focal-3": PaperFigure(
        "Focal-SAM Fig. 3",
        "weights of the classes for several γ",
        "focal-weights",
        (*wanted("la+focal-sam", data="cifar10"), *wanted("la+focal-sam", data="cifar100")),
        ("accuracy",),
        recipe="b",
    ),
    "focal-4": _focal_sweep(4, "γ", "gamma", 0.5, 1.0, 2.0, 3.0, 5.0),
    "focal-5": _focal_sweep(5, "λ", "strength", 0.1, 0.3, 0.5, 0.8, 1.0),
    "focal-6": _focal_surfaces("6", "cifar100"),
    "focal-7": _focal_surfaces("7", "cifar10"),
    "focal-8": PaperFigure(
        "Focal-SAM Fig. 8",
        "accuracy against ρ over three losses",
        "sweep",
        tuple(
            want
            for base in ("ldam-drw", "la", "vs")
            for want in values(f"{base}+focal-sam", "rho", 0.05, 0.1, 0.2, 0.3, 0.5)
        ),
        ("accuracy",),
        options={"x": "rho"},
        recipe="b",
    ),
    "focal-9": _focal_spectra(9, "vs", "cifar100"),
    "focal-10": _focal_spectra(10, "ce", "cifar10"),
    "focal-11": _focal_spectra(11, "ce", "cifar100"),
}

PAPER_FIGURES: Mapping[str, PaperFigure] = SADDLE | CC_SAM | FOCAL | PLOT | GKP
