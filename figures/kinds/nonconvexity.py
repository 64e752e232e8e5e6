"""Draw |λmin/λmax| over training, one line a scope; bars follow from the brackets of both ends.

The ratio is 0 where λmin is not negative. It spans decades as a network fits, so the axis is
logarithmic, and linear around 0 where a ratio reaches it. The epoch at which deferred re-weighting
begins is marked, and so are long gaps between checkpoints, which are dotted.
"""

import numpy as np

from figures.charts.class_lines import (
    MOST_ENDS,
    lacking,
    rows_of_runs,
    scope_lines,
    shown_scopes,
    spectrum_histories,
    width_of,
)
from figures.charts.lines import Chart
from figures.charts.panel import Panel, training
from figures.charts.scales import scale_of
from figures.request import Request
from landscape.results.spectrum import Spectrum

_LABEL = "|λmin / λmax|"


def read(request: Request) -> Chart:
    """Read the ratios of every run.

    Raises:
        InputError: a run has no spectrum of any checkpoint, or none has a scope.
    """
    found, matrix = spectrum_histories(request)
    scopes = shown_scopes(found, request.scopes)
    label = _LABEL if matrix.is_hessian else f"{_LABEL} of the {matrix.name}"
    lines = [scope_lines(history, scopes, _ratio) for history in found]
    y = scale_of(np.concatenate([line.y for panel in lines for line in panel]), label)
    panels = [
        Panel(history.label, panel, training(history.unit), y, reweighting=history.reweighting)
        for history, panel in zip(found, lines, strict=True)
    ]
    rows = rows_of_runs(panels)
    size, height = (width_of(panels), 2.1 * len(rows) + 0.2), 400 * len(rows) + 80
    title, note = "Non-convexity over training", lacking(found, scopes)
    many = len(scopes) > MOST_ENDS
    return Chart(rows, title, size, height, class_key=many, share_y="all", note=note)


def _ratio(record: Spectrum, at: int) -> tuple[float, float, float]:
    low, high = record.nonconvexity_bracket[at]
    return float(record.nonconvexity[at]), float(low), float(high)
