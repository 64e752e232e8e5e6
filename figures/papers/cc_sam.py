"""Describe the figures of CC-SAM. No drawing library is imported here."""

from figures.papers.figure import PaperFigure, wanted

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
