"""Components of the page: tables, panels, analyses."""

import math
from collections.abc import Sequence
from typing import Any, cast

from dash import ctx, dcc, html

from cli.inspector.downloads import FORMATS
from cli.inspector.jobs import RECIPES, AnalysisJob, checkpoint_argument
from cli.inspector.library import Curvature, Facts, Library
from cli.inspector.panel_catalogue import PANELS
from cli.inspector.panels import Cell, Offer, checkpoint_in_view
from cli.inspector.view import View
from figures.catalogue import FIGURES
from figures.charts.panel import colour
from figures.runs.labels import scope_label
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.checkpoint_names import checkpoint_label
from landscape.results.spectrum import Spectrum

COLUMNS = {
    "name": "run",
    "method": "method",
    "data": "data",
    "imbalance": "imbalance",
    "seed": "seed",
    "epoch": "epoch",
    "accuracy": "test accuracy",
    "ratio": "tail |λmin/λmax|",
    "verdict": "tail verdict",
}
ROWS = 10  # of the table at a time
Component = Any
_GRAPH: Any = {
    "responsive": True,
    "displaylogo": False,
    "showSendToCloud": False,  # newer plotly would offer to upload the chart
    "plotlyServerURL": "",
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "toImage"],
}


def pressed_button() -> dict[str, Any] | None:
    """Read the id of the button that started a callback; None if it has only been added."""
    if not any(item["value"] for item in ctx.triggered):
        return None
    return dict(ctx.triggered_id or {})


def run_chips(runs: Sequence[str]) -> list[Component]:
    """Name the runs in view, each with its colour."""
    return [
        html.Span(name, className="run", style={"--run": colour(k)}) for k, name in enumerate(runs)
    ]


def run_table(
    rows: list[tuple[Facts, Curvature, bool]], chosen: list[str], sort: dict[str, Any]
) -> Component:
    """Build the table of runs, with a button to show each and one to sort by each column."""
    heads = []
    for key, word in COLUMNS.items():
        order = ("descending" if sort["down"] else "ascending") if sort["by"] == key else "none"
        arrow = {"ascending": " ▲", "descending": " ▼", "none": ""}[order]
        button = html.Button(word + arrow, id={"type": "sort", "by": key}, className="plain")
        heads.append(html.Th(button, scope="col", **aria(sort=order)))
    body = [_run_row(facts, curve, busy, facts.name in chosen) for facts, curve, busy in rows]
    return html.Table(
        [html.Thead(html.Tr([html.Th("", scope="col"), *heads])), html.Tbody(body)],
        className="runs",
    )


def _run_row(facts: Facts, curve: Curvature, busy: bool, shown: bool) -> Component:
    button = html.Button(
        "Shown" if shown else "Show",
        id={"type": "choose", "run": facts.name},
        className="on" if shown else "",
        title=f"{'Remove' if shown else 'Show'} {facts.name}",
        **aria(pressed="true" if shown else "false", label=f"show {facts.name}"),
    )
    name: Any = [facts.name, html.Em(" being trained")] if busy else facts.name
    if facts.problem:
        problem = html.Td(facts.problem, colSpan=len(COLUMNS) - 1, className="problem")
        return html.Tr([html.Td(button), html.Th(name, scope="row"), problem])
    scope = "" if curve.scope in {"", "tail"} else f" ({curve.scope})"
    cells = [
        facts.method,
        facts.data,
        f"{facts.imbalance:g}",
        "–" if facts.seed is None else str(facts.seed),
        "–" if facts.epoch is None else str(facts.epoch),
        percent(facts.accuracy),
        "–" if math.isnan(curve.ratio) else f"{curve.ratio:.3g}{scope}",
        curve.verdict or "–",
    ]
    return html.Tr(
        [html.Td(button), html.Th(name, scope="row"), *map(html.Td, cells)],
        className="on" if shown else "",
    )


def class_table(library: Library, view: View) -> Component:
    """Build the table of the first run's classes, with each run's accuracy and verdict."""
    try:
        config = library.config(view.runs[0])
        counts = [int(n) for n in config["class_counts"]]
        labels = [scope_label(f"class/{c}", config) for c in range(len(counts))]
    except (InputError, KeyError, IndexError, TypeError, ValueError) as error:
        return html.P(f"The classes cannot be listed: {error}", className="sentence")
    results = [_class_results(library, view, name) for name in view.runs]
    heads: list[Any] = ["class", "samples", *run_chips(view.runs)]
    every = _class_button("All classes", None, view.focus is None)
    body = [html.Tr([html.Td(every, colSpan=len(heads))])]
    for c, (label, count) in enumerate(zip(labels, counts, strict=True)):
        button = _class_button(label, c, view.focus == c)
        cells = [html.Td([html.Div(word) for word in run.get(c, ("–", "–"))]) for run in results]
        row = [html.Th(button, scope="row"), html.Td(str(count)), *cells]
        body.append(html.Tr(row, className="on" if view.focus == c else ""))
    head = html.Thead(html.Tr([html.Th(word, scope="col") for word in heads]))
    return html.Table([head, html.Tbody(body)], className="classes")


def _class_button(label: str, number: int | None, pressed: bool) -> Component:
    return html.Button(
        label,
        id={"type": "class", "number": -1 if number is None else number},
        className="on" if pressed else "",
        **aria(pressed="true" if pressed else "false"),
    )


def _class_results(library: Library, view: View, name: str) -> dict[int, tuple[str, str]]:
    """Read the accuracy and verdict of each class of a run."""
    try:
        checkpoint = checkpoint_in_view(library, view, name)
        run = library.run(name, escaped=False)
    except InputError:
        return {}
    accuracy, spectrum = run.find(Accuracy, checkpoint), run.find(Spectrum, checkpoint)
    shares = {} if accuracy is None else accuracy.by_scope()
    verdicts: dict[str, str] = {}
    if spectrum is not None:
        rows = zip(spectrum.scope, spectrum.verdict, spectrum.nonconvexity, strict=True)
        verdicts = {str(scope): f"{verdict} ({ratio:.2g})" for scope, verdict, ratio in rows}
    known = [s for s in {*shares, *verdicts} if s.startswith("class/")]
    return {
        int(s.removeprefix("class/")): (percent(shares.get(s, math.nan)), verdicts.get(s, "–"))
        for s in known
    }


def panel(name: str, body: list[Component] | None = None, drawn: Any = None) -> Component:
    """Build the frame of a panel.

    Args:
        name: of the panel.
        body: its cells; by default they are drawn later, while it is in sight.
        drawn: state that the body shows: the view's query, and the number of ended analyses.
    """
    kind = PANELS[name]
    waiting = html.P("Drawing…", className="quiet", style={"height": f"{kind.height}px"})
    parts = [
        html.H2(kind.title, id=f"heading-{name}"),
        html.Div(body or waiting, id={"type": "body", "panel": name}),
        dcc.Store(id={"type": "seen", "panel": name}, data=False),
        dcc.Store(id={"type": "drawn", "panel": name}, data=drawn),
    ]
    marks = {**aria(labelledby=f"heading-{name}"), "data-panel": name}
    return html.Section(parts, className="panel", **marks)


def panel_body(name: str, rows: list[list[Cell]], view: View) -> list[Component]:
    """Lay out the cells of a panel, and its downloads."""
    found: list[Component] = []
    for r, row in enumerate(rows):
        cells = [_panel_cell(name, r, c, cell) for c, cell in enumerate(row)]
        wide = "wide" if len(view.runs) > 1 else ""
        found.append(html.Div(cells, className=f"row of-{min(len(cells), 4)} {wide}"))
    if any(cell.figure is not None for row in rows for cell in row):
        links = [
            html.A(
                {"h5": "HDF5", "gif": "animation"}.get(suffix, suffix.upper()),
                href=f"/download/{name}.{suffix}{view.to_query()}",
                target="_blank",
                **aria(label=f"download {PANELS[name].title} as {suffix}"),
            )
            for suffix in FORMATS
            if suffix != "gif" or FIGURES[PANELS[name].figure.replace("_", "-")].animates
        ]
        found.append(html.P(["Download: ", *links], className="links"))
    return found


def _panel_cell(panel_name: str, row: int, column: int, cell: Cell) -> Component:
    style = {"className": "run", "style": {"--run": cell.colour}} if cell.colour else {}
    parts: list[Component] = [html.H3(cell.heading, **cast(Any, style))] if cell.heading else []
    if cell.caption:
        parts.append(html.P(cell.caption, className="quiet"))
    if cell.figure is not None:
        graph = {"type": "graph", "panel": panel_name, "row": row, "run": column}
        height = {"height": f"{cell.figure.layout.height}px"}
        parts.append(dcc.Graph(id=graph, figure=cell.figure, config=_GRAPH, style=height))
    if cell.sentence:
        parts.append(html.P(cell.sentence, className="sentence"))
    if cell.offer is not None:
        if cell.offer.command is None:
            parts.append(_offer_button(panel_name, row, cell.offer))
        else:
            parts.append(_offer_command(cell.offer))
    return html.Div(parts, className="place")


def _offer_command(offer: Offer) -> Component:
    """Show the command to type: to start it here would run code that a file in the folder names."""
    reason = "This is an external model, so its analyses are not started from this page. "
    flags = list(RECIPES[offer.recipe])
    if offer.checkpoints:
        flags += ["--checkpoints", checkpoint_argument(offer.checkpoints)]
    if offer.again and "--overwrite" not in flags:
        flags.append("--overwrite")
    if offer.command:
        return html.P([f"{reason}Type ", html.Code(" ".join([offer.command, *flags]))])
    reason += "Repeat the command that created this folder, with "
    return html.P([reason, html.Code(" ".join(flags))])


def _offer_button(panel_name: str, row: int, offer: Offer) -> Component:
    label = f"Compute {offer.recipe} of {_checkpoint_labels(offer.checkpoints)}"
    label += ", overwriting the existing result" if offer.again else ""
    place = {"type": "start", "panel": panel_name, "row": row, "again": offer.again}
    job = {"run": offer.run, "recipe": offer.recipe, "at": ",".join(offer.checkpoints)}
    return html.Button(label, id={**place, **job})


def _checkpoint_labels(checkpoints: tuple[str, ...]) -> str:
    """Write the names of checkpoints for readers."""
    if checkpoints == ("all",):
        return "all checkpoints"
    return ", ".join(map(checkpoint_label, checkpoints))


def job_list(jobs: list[AnalysisJob]) -> list[Component]:
    """List the analyses started from this page, the newest first."""
    found = []
    for job in jobs:
        state = f"{job.recipe} of {job.run}, {_checkpoint_labels(job.checkpoints)}: "
        state += job.state + (f", {job.seconds:.0f} s" if job.seconds else "")
        state += f", about {left} left" if (left := job.left()) else ""
        parts: list[Component] = [html.Span(state, className=f"state {job.state}")]
        if job.is_open:
            parts.append(
                html.Button(
                    "Cancel",
                    id={"type": "cancel", "job": job.number},
                    **aria(label=f"cancel {job.recipe} of {job.run}"),
                )
            )
        if line := job.last_line():
            parts.append(html.Code(line))
        found.append(html.Li(parts))
    return found


def aria(**attributes: str) -> dict[str, Any]:
    """Build the attributes for assistive technology: ``aria(label=...)``."""
    return {f"aria-{name}": word for name, word in attributes.items()}


def percent(share: float) -> str:
    """Format a share in per cent."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"
