"""Draw the norm of each class's gradient over that of the average of all, over training.

One line a group or, asked for, a class; the paper's figure is PLOT's supplement, Fig. 6.
"""

from figures.charts.class_lines import (
    ClassQuantity,
    check_same_classes,
    class_chart,
    class_panels,
)
from figures.charts.lines import Chart
from figures.charts.panel import POWERS, Axis
from figures.request import Request
from landscape.results.gradients import Gradients

_LABEL = "norm of the class's gradient /\nnorm of the average over classes"


def read(request: Request) -> Chart:
    """Read the norm ratios of every run.

    Raises:
        InputError: a run has no gradients, a scope is not known, or the runs' classes differ.
    """
    axis = Axis(_LABEL, scale="log", margin=0.1, round_ticks=True, page=POWERS)
    ratio = ClassQuantity(lambda record: record.norm_ratio)
    panels = class_panels(request, Gradients, ratio, axis, level=1)
    check_same_classes(panels)
    return class_chart(panels, "Gradient norms over training")
