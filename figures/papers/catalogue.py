"""List the figures of the papers by name.

Values of sweeps are chosen here: the papers show them in pictures only. Where a paper leaves its
classes unsaid, groups of classes are drawn. No drawing library is imported here.
"""

from collections.abc import Mapping

from figures.papers.cc_sam import CC_SAM
from figures.papers.figure import PaperFigure
from figures.papers.focal_sam import FOCAL
from figures.papers.gkp_gsa import GKP
from figures.papers.plot import PLOT
from figures.papers.saddle import SADDLE

PAPER_FIGURES: Mapping[str, PaperFigure] = SADDLE | CC_SAM | FOCAL | PLOT | GKP
