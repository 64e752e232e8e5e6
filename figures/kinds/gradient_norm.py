"""Draw the norm of each class's gradient over that of the average of all, over training.

One line a class, coloured from head to tail; the paper's figure is PLOT's supplement, Fig. 6.
"""

from figures.charts.class_lines import check_same_classes, class_chart, class_panels
from figures.charts.lines import Chart
from figures.charts.panel import POWERS, Axis
from figures.request import Request
from landscape.results.gradients import Gradients

_LABEL = "norm of the class's gradient /\nnorm of the average over classes"


def read(request: Request) -> Chart:
    """Read the norm ratios of every run.

    Raises:
        InputError: a run has no gradients, a scope is no class, or the runs' classes differ.
    """
    axis = Axis(_LABEL, scale="log", margin=0.1, round_ticks=True, page=POWERS)
    panels = class_panels(request, Gradients, lambda r: r.norm_ratio, axis, level=1)
    check_same_classes(panels)
    return class_chart(panels, "Gradient norms over training")
