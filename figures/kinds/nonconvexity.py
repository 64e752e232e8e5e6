"""Draw |λmin/λmax| against epoch, one line a class; bars follow from the brackets of both ends.

The ratio is 0 where λmin is not negative. The epoch at which deferred re-weighting begins is
marked.
"""

from figures.charts.class_lines import rows_of_runs, scope_lines, spectrum_histories
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Panel
from figures.output import PAGE
from figures.request import Request
from landscape.results.spectrum import Spectrum

_LABEL = "|λmin / λmax|"


def read(request: Request) -> Chart:
    """Read the ratios of every run.

    Raises:
        InputError: a run has no spectrum of any epoch.
    """
    found, matrix = spectrum_histories(request)
    label = _LABEL if matrix.is_hessian else f"{_LABEL} of the {matrix.name}"
    y = Axis(label, limits=(0, None))
    panels = [
        Panel(
            history.label,
            scope_lines(history, request.scopes, _ratio),
            Axis("epoch"),
            y,
            reweighting=history.reweighting,
        )
        for history in found
    ]
    rows = rows_of_runs(panels)
    size, height = (PAGE, 2.1 * len(rows) + 0.6), 400 * len(rows) + 80
    return Chart(
        rows, "Non-convexity over training", size, height, key=Key(columns=6), share_y="all"
    )


def _ratio(record: Spectrum, at: int) -> tuple[float, float, float]:
    low, high = record.nonconvexity_bracket[at]
    return float(record.nonconvexity[at]), float(low), float(high)
