"""Describe the figures of CC-SAM. No drawing library is imported here."""

from figures.papers.figure import PaperFigure, values, wanted

_LONG_TAILED = ("ce", "ldam-drw", "crt-mixup", "mislas", "gcl")
_STAGES = ("first", "second", "both")

CC_SAM = {
    "cc-1": PaperFigure(
        "CC-SAM Fig. 1",
        "loss against noise on the classifier",
        "noise",
        wanted(*_LONG_TAILED),
        ("sharpness",),
        ("overall",),
        recipe="d",
    ),
    "cc-2": PaperFigure(
        "CC-SAM Fig. 2",
        "gain by averaged weights, spectral norms, gradient penalty and model perturbation in the "
        "first stage, the second and both",
        "flattening",
        (
            *wanted("crt-mixup"),
            *(
                want
                for word in ("swa", "sn", "gp", "mp")
                for want in values(f"crt-mixup+{word}", "stage", *_STAGES)
            ),
        ),
        ("accuracy",),
        data="cifar100",
        recipe="d",
    ),
    "cc-e": PaperFigure(
        "CC-SAM App. E",
        "loss surfaces of all, head and tail",
        "surface",
        wanted(*_LONG_TAILED),
        ("surface",),
        ("overall", "head", "tail"),
        recipe="d",
    ),
}
