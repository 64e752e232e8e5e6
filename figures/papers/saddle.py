"""Describe the figures of Saddle-LongTail. No drawing library is imported here."""

from figures.papers.figure import PaperFigure, values, wanted

_SPECTRUM = ("spectrum", "accuracy")
_DYNAMICS = "10,50,160,170,190,200"
_DYNAMIC_CLASSES = ("class/0", "class/2", "class/5", "class/7", "class/8")
_RHO = (0.05, 0.1, 0.2, 0.5, 0.8, 1.0)
_SADDLE = "Saddle-LongTail"

SADDLE = {
    "saddle-1": PaperFigure(
        f"{_SADDLE} Fig. 1",
        "spectra of a head class and of a tail class",
        "spectrum",
        wanted("ce-drw"),
        _SPECTRUM,
        ("class/0", "class/8"),
        claim="a head class ends in a minimum, a tail class in a saddle",
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
