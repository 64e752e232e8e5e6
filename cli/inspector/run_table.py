"""The table of runs: searched, filtered, sorted, a leaf at a time."""

import math
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from cli.inspector.components import COLUMNS, ROWS, run_table
from cli.inspector.library import Curvature, Facts, Library

_CURVATURE = {"ratio", "verdict"}


def connect(app: Dash, library: Library) -> None:
    """Add the callbacks.

    Args:
        app: the application.
        library: the folder of runs.
    """
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
        leaf = turned(rest[-1])
        known = [library.facts(name) for name in library.names()]
        found = select(library, known, words or "", data, verdict)
        found = arranged(library, found, sort)
        leaves = max(-(-len(found) // ROWS), 1)
        leaf = min(max(leaf, 0), leaves - 1)
        rows = [
            (
                facts,
                library.curvature(facts.name),
                not facts.problem and library.is_written(facts.name),
            )
            for facts in found[leaf * ROWS : (leaf + 1) * ROWS]
        ]
        said = f"{len(found)} of {len(known)} runs, page {leaf + 1} of {leaves}"
        sets = sorted({facts.data for facts in known if facts.data})
        verdicts = ["minimum", "weak saddle", "saddle", "undecided"]
        return run_table(rows, chosen, sort), leaf, said, sets, verdicts


def _sort(app: Dash) -> None:
    @app.callback(
        Output("sort", "data"),
        Input({"type": "sort", "by": ALL}, "n_clicks"),
        State("sort", "data"),
        prevent_initial_call=True,
    )
    def sort(_clicks: Any, before: dict[str, Any]) -> Any:
        if not any(item["value"] for item in ctx.triggered):
            return no_update
        by = dict(ctx.triggered_id or {})["by"]
        return {"by": by, "down": before["by"] == by and not before["down"]}


def turned(leaf: int) -> int:
    """Turn the leaf when a button says so; any other change of the table keeps to it."""
    pressed = ctx.triggered_id
    if ctx.triggered and isinstance(pressed, dict) and pressed.get("type") == "leaf":
        return leaf + int(pressed["by"])
    kept = {"chosen", "finished", "watched"}
    return leaf if pressed in kept else 0


def select(
    library: Library, known: list[Facts], words: str, data: str | None, verdict: str | None
) -> list[Facts]:
    """Keep the runs that hold every word, and match the filters.

    Args:
        library: read for the verdict's filter only.
        known: all runs.
        words: each of which a row must hold somewhere.
        data: name of a data set.
        verdict: of the tail.
    """
    parts = words.lower().split()
    found = [facts for facts in known if data in {None, facts.data}]
    found = [facts for facts in found if all(part in _text(facts) for part in parts)]
    if verdict is None:
        return found
    return [facts for facts in found if library.curvature(facts.name).verdict == verdict]


def arranged(library: Library, found: list[Facts], sort: dict[str, Any]) -> list[Facts]:
    """Sort runs; those without a value come last either way."""
    by, down = sort["by"], bool(sort["down"])
    if by not in COLUMNS:
        return found
    values = {facts.name: _value(library, facts, by) for facts in found}
    there = [facts for facts in found if values[facts.name] is not None]
    there.sort(key=lambda facts: values[facts.name], reverse=down)
    return there + [facts for facts in found if values[facts.name] is None]


def _value(library: Library, facts: Facts, by: str) -> Any:
    source: Facts | Curvature = library.curvature(facts.name) if by in _CURVATURE else facts
    value = getattr(source, by)
    return None if value == "" or (isinstance(value, float) and math.isnan(value)) else value


def _text(facts: Facts) -> str:
    seed = "" if facts.seed is None else f"seed {facts.seed}"
    shown = (facts.name, facts.method, facts.data, f"{facts.imbalance:g}", seed)
    return " ".join(shown).lower()
