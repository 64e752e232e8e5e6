"""Draw sharpness against the edge of stability over training, and where steps and gradients go.

A row a run. Left: λmax of each scope over the curvature 2 (1 + β) / η that the training's step can
bear, with its bracket; above 1 a step overshoots on that scope's loss. Of a training with SAM, its
own edge is drawn where it lies. Right: squared cosines of the step to the next checkpoint and of
the gradient with the highest and the lowest eigenvector of all samples. Asked for with the option
``show=escape``, SAM's number ρ |λmin| / ‖g‖ stands there.
"""

import numpy as np

from figures.charts.class_colours import scope_colours
from figures.charts.lines import Chart, Key
from figures.charts.panel import Axis, Line, Panel, Style, marker, scope_markers, training
from figures.output import PAGE
from figures.request import Request
from figures.runs.history import History, histories
from landscape.results import InputError
from landscape.results.fields import Array
from landscape.results.remedy import remedy
from landscape.results.stability import Stability

_DEFAULT = ("overall", "head", "mid", "tail")
_EDGE = "λmax / (2 (1 + β) / η)"


def read(request: Request) -> Chart:
    """Read the stability of every run over training.

    Raises:
        InputError: a run lacks the result, a scope, or a radius of SAM where that is asked for.
    """
    shown = request.option("show", ("alignment", "escape"))
    found = histories(request.runs, Stability)
    rows = [
        [_edges(one, request), _alignment(one) if shown == "alignment" else _escape(one, request)]
        for one in found
    ]
    return Chart(
        rows,
        "Edge of stability over training",
        (PAGE, 2.5 * len(rows) + 0.5),
        430 * len(rows),
        key=Key(6),
        note="bars: brackets, proved on one side and 99 % on the other; right panel: ‘top’ and "
        "‘lowest’ are eigenvectors of the whole Hessian",
        title_style={"fontsize": 6.5},
    )


def finding(at: Array, low: Array, high: Array, scope: str, unit: str = "epoch") -> str:
    """Say when a scope's sharpness was first above the edge, by its bracket.

    Args:
        at: (T,) epochs or steps of the checkpoints.
        low: (T,) lower ends of the brackets over the edge.
        high: (T,) upper ends.
        scope: its name.
        unit: of the checkpoints.
    """
    if not np.isfinite(high).any():
        return f"{scope}: no learning rate is known"
    trained = at > 0  # an untrained network says nothing of the training
    of = "checkpoints"
    if trained.any():
        of = "checkpoints" if trained.all() else "trained checkpoints"
        at, low, high = at[trained], low[trained], high[trained]
    over, under = at[low > 1], at[high < 1]
    if len(over) == 0:
        least = "is below the edge" if len(under) == len(at) else "is nowhere proved above it"
        return f"{scope} {least} at all {len(at)} {of}"
    before = under[under < over[0]]
    since = f" (still below at {before[-1]})" if len(before) else ""
    first = f"first at {unit} {over[0]}{since}"
    return f"{scope} above the edge at {len(over)} of {len(at)} {of}, {first}"


def _scopes(one: History[Stability], request: Request) -> tuple[str, ...]:
    known = set.intersection(*({str(s) for s in record.scope} for record in one.records))
    asked = request.scopes or tuple(s for s in _DEFAULT if s in known) or tuple(sorted(known))
    if "classes" in asked:
        asked = tuple(str(s) for s in one.records[-1].scope if str(s).startswith("class/"))
    for scope in asked:
        if scope not in known:
            raise InputError(
                f"'{one.run.path}' has no stability of '{scope}' at every checkpoint, only of "
                f"{', '.join(sorted(known))}"
            )
    return asked


def _column(one: History[Stability], name: str, scope: str) -> Array:
    """Values of a scope over training, (T, …)."""
    found: Array = np.array(
        [getattr(r, name)[r.scope.tolist().index(scope)] for r in one.records], dtype=float
    )
    return found


def _edges(one: History[Stability], request: Request) -> Panel:
    scopes, lines, said = _scopes(one, request), [], []
    looks = zip(scopes, scope_colours(scopes), scope_markers(scopes), strict=True)
    for scope, shade, mark in looks:
        value, ends = _column(one, "edge", scope), _column(one, "edge_bracket", scope)
        error = np.abs(np.stack([value - ends[:, 0], ends[:, 1] - value]))
        name = one.scope_label(scope)
        hover = one.hover("%{y:.3g} of the edge<extra></extra>", f"{name}, ")
        style: Style = {"error": error, "sparse": True, "hover": hover, "width": 0.9}
        lines.append(Line(name, one.at, value, shade, mark, **style))
        said.append(finding(one.at, ends[:, 0], ends[:, 1], name, one.unit))
    sam = np.array([record.sam_threshold / record.threshold for record in one.records])
    if np.isfinite(sam).any():
        own: Style = {"dash": "dash", "width": 0.9, "sparse": True}
        lines.append(Line("SAM's edge", one.at, sam, "#000000", **own))
        if "overall" in scopes:
            above = int((_column(one, "edge_bracket", "overall")[:, 0] > sam)[one.at > 0].sum())
            count = int((one.at > 0).sum())
            said[scopes.index("overall")] += f";\nabove SAM's at {above} of {count}"
    told = [said[scopes.index(s)] for s in ("overall", "tail") if s in scopes] or said[:2]
    y = Axis(_EDGE, scale="log", margin=0.1, round_ticks=True)
    title = "\n".join([one.label, *told])
    return Panel(title, lines, training(one.unit), y, level=1, reweighting=one.reweighting)


def _alignment(one: History[Stability]) -> Panel:
    """Squared cosines with the extreme eigenvectors; a step without a successor is a gap."""
    at = [record.scope.tolist().index("overall") for record in one.records if _has_whole(record)]
    whole = len(at) == len(one.records)
    quantities = {
        "step, top": [float(r.step_top) for r in one.records],
        "step, lowest": [float(r.step_lowest) for r in one.records],
    }
    if whole:
        pairs = list(zip(one.records, at, strict=True))
        quantities |= {
            "gradient, top": [float(r.gradient_top[k]) for r, k in pairs],
            "gradient, lowest": [float(r.gradient_lowest[k]) for r, k in pairs],
        }
    colours = {"top": "#D55E00", "lowest": "#0072B2"}
    lines = []
    for k, (name, values) in enumerate(quantities.items()):
        of, _, end = name.partition(", ")
        style: Style = {"dash": "solid" if of == "step" else "dot", "sparse": True, "width": 0.9}
        lines.append(
            Line(name, one.at, np.array(values), colours[end], marker(k), end=name, **style)
        )
    chance = float(one.records[-1].chance)
    rest = np.full(len(one.at), chance)
    lines.append(Line("chance", one.at, rest, "#7f7f7f", dash="dash", end="chance"))
    y = Axis("squared cosine with an eigenvector", scale="log", margin=0.1, round_ticks=True)
    return Panel(_of_steps(one, chance), lines, training(one.unit), y)


def _has_whole(record: Stability) -> bool:
    return "overall" in record.scope.tolist()


def _of_steps(one: History[Stability], chance: float) -> str:
    """Say how much of the way between checkpoints went along the extreme eigenvectors."""
    steps = np.array([[float(r.step_top), float(r.step_lowest)] for r in one.records])
    known = np.isfinite(steps).all(axis=1)
    if not known.any():
        return "no way to a next checkpoint is known"
    top, low = np.median(steps[known], axis=0)
    return (
        f"cos² of the way to the next checkpoint:\n{top:.2g} with the highest eigenvector, "
        f"{low:.2g} with\nthe lowest (medians; chance {chance:.1g})"
    )


def _escape(one: History[Stability], request: Request) -> Panel:
    scopes, lines = _scopes(one, request), []
    looks = zip(scopes, scope_colours(scopes), scope_markers(scopes), strict=True)
    for scope, shade, mark in looks:
        value, ends = _column(one, "escape", scope), _column(one, "escape_bracket", scope)
        if not np.isfinite(value).any():
            made = remedy(one.run.path, "stability", "all", " --stability.rho 0.05 --overwrite")
            raise InputError(f"no radius of SAM is known of '{one.run.path}'; {made}")
        error = np.abs(np.stack([value - ends[:, 0], ends[:, 1] - value]))
        name = one.scope_label(scope)
        lines.append(Line(name, one.at, value, shade, mark, error=error, sparse=True, key="page"))
    y = Axis("ρ |λmin| / ‖g‖", scale="log", margin=0.1, round_ticks=True)
    return Panel("above 1, SAM is drawn to the saddle", lines, training(one.unit), y, level=1)
