"""Describe the figures of PLOT and its supplement (plot-s1 is the supplement's first).

difficultyNet (supplement, Fig. 5) is not among the methods. No drawing library is imported here.
"""

from figures.papers.figure import PaperFigure, values, wanted

_MAINSTREAM = ("ldam-drw", "la", "m2m", "crt-mixup", "mislas", "gcl")
_WITH_PLOT = tuple(f"{method}+plot" for method in _MAINSTREAM)
_ENDS = ("class/0", "class/9")
_THREE = ("class/0", "class/4", "class/9")
_KEPT = "1,2,5,10,20,30,50,80,120,160,180,200"
_DIRECTION = "--gradients.batches 20 --gradients.direction"
_TRAININGS = (
    *values("ldam-drw", "batch_size", 128, 256, 512, lr=0.1),
    *values("ldam-drw", "lr", 0.01, 0.001, batch_size=128),
)


def _conflicts(name: str, when: str, shown: str, asked: str, steps: str = "") -> PaperFigure:
    return PaperFigure(
        f"PLOT {name}",
        f"similarity of class gradients of several methods, {when}",
        "conflicts",
        wanted(*_MAINSTREAM),
        ("gradients",),
        checkpoint=shown,
        checkpoints=asked,
        recipe="d",
        steps=steps,
    )


def _spectra(name: str, summary: str, *methods: str) -> PaperFigure:
    return PaperFigure(
        f"PLOT {name}",
        summary,
        "spectrum",
        wanted(*methods),
        ("spectrum", "accuracy"),
        _ENDS,
        recipe="d",
    )


def _over_time(
    name: str, summary: str, kind: str, *methods: str, analysis: str = "gradients", **options: str
) -> PaperFigure:
    followed = options.get("against") == "direction"
    return PaperFigure(
        f"PLOT {name}",
        summary,
        kind,
        wanted(*methods),
        (analysis,),
        _THREE if kind == "gradient-similarity" else (),
        options,
        # the direction that a rule follows is stored in the first stage only, which has the rule
        checkpoints=f"0,{_KEPT}" if followed else "all",
        recipe="d",
        kept=_KEPT,
        diagnose=_DIRECTION if followed else "",
    )


def _embedding(letter: str, method: str) -> PaperFigure:
    return PaperFigure(
        f"PLOT suppl. Fig. 13{letter}",
        f"t-SNE of the features of {method}",
        "embedding",
        wanted(method),
        ("features",),
        recipe="d",
        diagnose="--features.embedding 200 --features.data test",
    )


PLOT = {
    "plot-1": _conflicts("Fig. 1", "early", "10", "10"),
    "plot-2": _over_time(
        "Fig. 2",
        "similarity of a head, a mid and a tail class with the mean gradient over training",
        "gradient-similarity",
        *_MAINSTREAM,
    ),
    "plot-4": _spectra(
        "Fig. 4",
        "spectra of a head and a tail class, without and with PLOT",
        "crt-mixup",
        "crt-mixup+plot",
    ),
    "plot-5": PaperFigure(
        "PLOT Fig. 5",
        "share of dominated conflicts against the imbalance",
        "sweep",
        tuple(w for m in _MAINSTREAM for w in values(m, "imbalance", 10, 50, 100, 200)),
        ("gradients",),
        options={"x": "imbalance", "y": "dominated"},
        checkpoint="10",
        checkpoints="10",
        recipe="d",
    ),
    "plot-7": PaperFigure(
        "PLOT Fig. 7",
        "loss surface of LDAM",
        "surface",
        wanted("ldam-drw"),
        ("surface",),
        ("overall", "head", "tail"),
        recipe="d",
    ),
    "plot-8": _over_time(
        "Fig. 8",
        "similarity of classes with what the rule follows, without and with PLOT",
        "gradient-similarity",
        "ldam-drw",
        "ldam-drw+plot",
        against="direction",
    ),
    "plot-s1": PaperFigure(
        "PLOT suppl. Fig. 1",
        "conflicts under several batch sizes and learning rates; Adam is left out",
        "conflicts",
        _TRAININGS,
        ("gradients",),
        checkpoint="10",
        checkpoints="10",
        recipe="d",
    ),
    "plot-s2": PaperFigure(
        "PLOT suppl. Fig. 2",
        "similarity with the mean gradient under several batch sizes and learning rates",
        "gradient-similarity",
        _TRAININGS,
        ("gradients",),
        _THREE,
        checkpoints="all",
        recipe="d",
        kept=_KEPT,
    ),
    "plot-s3a": _conflicts(
        "suppl. Fig. 3a-f",
        "after 50 steps",
        "step_000050",
        "step_50",
        steps="50,84",
    ),
    "plot-s3b": _conflicts(
        "suppl. Fig. 3g-l",
        "after 84 steps",
        "step_000084",
        "step_84",
        steps="50,84",
    ),
    "plot-s4": PaperFigure(
        "PLOT suppl. Fig. 4",
        "loss of each class times its frequency over training",
        "class-loss",
        wanted("la", "ldam-drw", batch_size=64),
        ("sharpness",),
        imbalance=200,
        checkpoints="all",
        recipe="d",
        kept=_KEPT,
    ),
    "plot-s6": _over_time(
        "suppl. Fig. 6",
        "norms of class gradients over training, without and with PLOT",
        "gradient-norm",
        *_MAINSTREAM,
        *_WITH_PLOT,
    ),
    "plot-s7": _over_time(
        "suppl. Fig. 7",
        "similarity of classes with what PLOT follows over training",
        "gradient-similarity",
        *_WITH_PLOT,
        against="direction",
    ),
    "plot-s8": PaperFigure(
        "PLOT suppl. Fig. 8",
        "accuracy by the layers PLOT works on: the last stage, or all",
        "sweep",
        values("crt-mixup+plot", "layers", "last", "all"),
        ("accuracy",),
        options={"x": "layers"},
        recipe="d",
    ),
    "plot-s9a": PaperFigure(
        "PLOT suppl. Fig. 9a",
        "conflicts on balanced data",
        "conflicts",
        wanted("ce"),
        ("gradients",),
        imbalance=1,
        checkpoint="10",
        checkpoints="10",
        recipe="d",
    ),
    "plot-s9b": PaperFigure(
        "PLOT suppl. Fig. 9b",
        "similarity with the mean gradient on balanced data",
        "gradient-similarity",
        wanted("ce"),
        ("gradients",),
        _THREE,
        imbalance=1,
        checkpoints="all",
        recipe="d",
        kept=_KEPT,
    ),
    "plot-s10": _spectra("suppl. Fig. 10", "spectra of cRT with mixup", "crt-mixup"),
    "plot-s11": _spectra("suppl. Fig. 11", "spectra of cRT, mixup and PLOT", "crt-mixup+plot"),
    "plot-s12": PaperFigure(
        "PLOT suppl. Fig. 12",
        "loss surfaces of head and tail of several methods",
        "surface",
        wanted("ce", "ldam-drw", "crt-mixup+plot"),
        ("surface",),
        ("head", "tail"),
        recipe="d",
    ),
    "plot-s13a": _embedding("a", "crt-mixup"),
    "plot-s13b": _embedding("b", "crt-mixup+plot"),
    "plot-s13c": _over_time(
        "suppl. Fig. 13c",
        "CCA between head and tail over training, without and with PLOT",
        "cca",
        "ldam-drw",
        "ldam-drw+plot",
        analysis="similarity",
    ),
}
