"""Describe the figures of Focal-SAM. No drawing library is imported here."""

from figures.papers.figure import PaperFigure, values, wanted

_SPECTRUM = ("spectrum", "accuracy")


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


def _focal_sweep(number: int, against: str, setting: str, *found: float) -> PaperFigure:
    return PaperFigure(
        f"Focal-SAM Fig. {number}",
        f"accuracy against {against}",
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
