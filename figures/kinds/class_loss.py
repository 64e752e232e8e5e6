"""Draw the loss of each class over training, times its share of the training samples.

The part of each class in the mean loss, one line a class from head to tail (PLOT's supplement,
Fig. 4).
"""

from dataclasses import replace

import numpy as np

from figures.charts.class_colours import MOST_NAMED
from figures.charts.class_lines import class_chart, class_panels
from figures.charts.lines import Chart
from figures.charts.panel import POWERS, Axis, Panel
from figures.request import Request
from landscape.results.fields import Array
from landscape.results.sharpness import Sharpness

_LABEL = "mean loss of the class ×\nits share of the samples"
_TITLE = "What each class adds to the mean loss, over training"


def read(request: Request) -> Chart:
    """Read the weighted losses of every epoch of every run.

    Args:
        request: its scopes may name classes, such as ``class/0``; the default is all.

    Raises:
        InputError: a run has no sharpness, or a scope is no class.
    """
    axis = Axis(_LABEL, scale="log", page=POWERS)
    panels = class_panels(request, Sharpness, _positive_loss, axis)
    return class_chart([_thinned(panel) for panel in panels], _TITLE)


def _positive_loss(record: Sharpness) -> Array:
    """Drop zeros, for which a logarithmic axis has no place."""
    return np.where(record.weighted_loss > 0, record.weighted_loss, np.nan)


def _thinned(panel: Panel) -> Panel:
    if len(panel.lines) <= MOST_NAMED:
        return panel
    return replace(panel, lines=[replace(line, width=0.5) for line in panel.lines])
