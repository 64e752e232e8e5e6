"""The table of runs: searched, filtered, sorted, one page at a time."""

import math
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from cli.inspector.components import COLUMNS, ROWS, pressed_button, run_table
from cli.inspector.library import Curvature, Facts, Library

_CURVATURE = {"ratio", "verdict"}


def connect(app: Dash, library: Library) -> None:
    """Add the callbacks of the table of runs to the application."""
    _list(app, library)
    _sort(app)


def _list(app: Dash, library: Library) -> None:
    @app.callback(
        Output("table", "children"),
        Output("leaf", "data"),
        Output("leaf-words", "children"),
        Output("only-data", "options"),
        Output("only-verdict", "options"),
        Input("search", "value"),
        Input("only-data", "value"),
        Input("only-verdict", "value"),
        Input("sort", "data"),
        Input("chosen", "data"),
        Input("finished", "data"),
        Input({"type": "leaf", "by": ALL}, "n_clicks"),
        Input("watched", "data"),
        State("leaf", "data"),
    )
    def table(
        words: str, data: Any, verdict: Any, sort: dict[str, Any], chosen: list[str], *rest: Any
    ) -> tuple[Any, ...]:
        page = current_page(rest[-1])
        known = [library.facts(name) for name in library.names()]
        found = filter_runs(library, known, words or "", data, verdict)
        found = sort_runs(library, found, sort)
        pages = max(-(-len(found) // ROWS), 1)
        page = min(max(page, 0), pages - 1)
        rows = [
            (
                facts,
                library.curvature(facts.name),
                not facts.problem and library.is_being_trained(facts.name),
            )
            for facts in found[page * ROWS : (page + 1) * ROWS]
        ]
        count = f"{len(found)} of {len(known)} runs, page {page + 1} of {pages}"
        sets = sorted({facts.data for facts in known if facts.data})
        verdicts = ["minimum", "weak saddle", "saddle", "undecided"]
        return run_table(rows, chosen, sort), page, count, sets, verdicts


def _sort(app: Dash) -> None:
    @app.callback(
        Output("sort", "data"),
        Input({"type": "sort", "by": ALL}, "n_clicks"),
        State("sort", "data"),
        prevent_initial_call=True,
    )
    def sort(_clicks: Any, before: dict[str, Any]) -> Any:
        button = pressed_button()
        if button is None:
            return no_update
        by = button["by"]
        return {"by": by, "down": before["by"] == by and not before["down"]}


def current_page(page: int) -> int:
    """Turn the page by a button; a changed search, filter or order returns to the first."""
    pressed = ctx.triggered_id
    if ctx.triggered and isinstance(pressed, dict) and pressed.get("type") == "leaf":
        return page + int(pressed["by"])
    kept = {"chosen", "finished", "watched"}
    return page if pressed in kept else 0


def filter_runs(
    library: Library, known: list[Facts], words: str, data: str | None, verdict: str | None
) -> list[Facts]:
    """Select the runs that contain every word and match the filters.

    Args:
        library: read for the filter by verdict only.
        known: all runs.
        words: each must occur somewhere in a row.
        data: name of a data set.
        verdict: of the tail.
    """
    parts = words.lower().split()
    found = [facts for facts in known if data in {None, facts.data}]
    found = [facts for facts in found if all(part in _text(facts) for part in parts)]
    if verdict is None:
        return found
    return [facts for facts in found if library.curvature(facts.name).verdict == verdict]


def sort_runs(library: Library, found: list[Facts], sort: dict[str, Any]) -> list[Facts]:
    """Sort runs; runs without a value come last in either order."""
    by, down = sort["by"], bool(sort["down"])
    if by not in COLUMNS:
        return found
    values = {facts.name: _value(library, facts, by) for facts in found}
    valued = [facts for facts in found if values[facts.name] is not None]
    valued.sort(key=lambda facts: values[facts.name], reverse=down)
    return valued + [facts for facts in found if values[facts.name] is None]


def _value(library: Library, facts: Facts, by: str) -> Any:
    source: Facts | Curvature = library.curvature(facts.name) if by in _CURVATURE else facts
    value = getattr(source, by)
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value


def _text(facts: Facts) -> str:
    seed = "" if facts.seed is None else f"seed {facts.seed}"
    shown = (facts.name, facts.method, facts.data, f"{facts.imbalance:g}", seed)
    return " ".join(shown).lower()
