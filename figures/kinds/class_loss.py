"""Draw the loss of each class over training, times its share of the training samples.

The part of each group or, asked for, of each class in the mean loss (PLOT's supplement, Fig. 4);
a group's is the sum of its classes'.
"""

import numpy as np

from figures.charts.class_lines import ClassQuantity, class_chart, class_panels
from figures.charts.lines import Chart
from figures.charts.panel import POWERS, Axis
from figures.request import Request
from landscape.results.fields import Array
from landscape.results.sharpness import Sharpness

_LABEL = "part of the mean loss\n(loss × share of the samples)"
_TITLE = "What each group of classes adds to the mean loss, over training"


def read(request: Request) -> Chart:
    """Read the weighted losses of every epoch of every run.

    Args:
        request: its scopes may name classes, such as ``class/0``; the default is the groups.

    Raises:
        InputError: a run has no sharpness, or a scope is not known.
    """
    axis = Axis(_LABEL, scale="log", round_ticks=True, page=POWERS)
    added = ClassQuantity(_positive_loss, np.nansum, has_range=False)
    return class_chart(class_panels(request, Sharpness, added, axis), _TITLE)


def _positive_loss(record: Sharpness) -> Array:
    """Drop zeros, for which a logarithmic axis has no place."""
    return np.where(record.weighted_loss > 0, record.weighted_loss, np.nan)
