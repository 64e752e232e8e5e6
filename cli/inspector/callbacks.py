"""Callbacks of the view: controls set the view, the view sets the panels and the address."""

from contextlib import suppress
from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, no_update

from cli.inspector import layout, run_table
from cli.inspector.components import class_table, panel, panel_body, pressed_button, run_chips
from cli.inspector.library import Library
from cli.inspector.panels import cells
from cli.inspector.view import MOST_RUNS, View
from landscape.errors import InputError
from landscape.results.checkpoint_names import (
    checkpoint_label,
    counted,
    course,
    is_name,
    number_of,
    ordered,
    unit_of,
)

_GRAPHS = {"type": "graph", "panel": ALL, "row": ALL, "run": ALL}


def connect(app: Dash, library: Library) -> None:
    """Add the callbacks of the view to the application."""
    _build_page(app, library)
    _choose_runs(app)
    _name_runs(app)
    _list_checkpoints(app, library)
    _update_view(app)
    _draw_panels(app, library)
    _follow_class(app, library)
    _connect_browser(app)
    run_table.connect(app, library)


def _build_page(app: Dash, library: Library) -> None:
    @app.callback(Output("page", "children"), Input("url", "search"), State("built", "data"))
    def build(search: str | None, built: str | None) -> Any:
        return no_update if built == (search or "") else layout.page_at(library, search or "")


def _choose_runs(app: Dash) -> None:
    @app.callback(
        Output("chosen", "data"),
        Output("run-note", "children"),
        Input({"type": "choose", "run": ALL}, "n_clicks"),
        State("chosen", "data"),
        prevent_initial_call=True,
    )
    def choose(_clicks: Any, chosen: list[str]) -> tuple[Any, Any]:
        button = pressed_button()
        if button is None:
            return no_update, no_update
        name = button["run"]
        if name in chosen:
            return [other for other in chosen if other != name], ""
        if len(chosen) == MOST_RUNS:
            return no_update, f"At most {MOST_RUNS} runs fit side by side; remove one first."
        return [*chosen, name], ""


def _name_runs(app: Dash) -> None:
    @app.callback(Output("chips", "children"), Input("chosen", "data"), prevent_initial_call=True)
    def chips(chosen: list[str]) -> Any:
        return run_chips(chosen)


def _list_checkpoints(app: Dash, library: Library) -> None:
    @app.callback(
        Output("epochs", "data"),
        Output("epoch", "max"),
        Output("epoch", "value"),
        Output("named", "options"),
        Output("named", "value"),
        Output("at-named", "hidden"),
        Output("scopes", "options"),
        Input("chosen", "data"),
        Input("finished", "data"),
        State("view", "data"),
    )
    def list_checkpoints(chosen: list[str], _finished: Any, query: str) -> tuple[Any, ...]:
        view, _ = View.from_query(query)
        known = _checkpoint_names(library, chosen)
        courses = {name for names in known for name in course(names)}
        wanted = {view.epoch} if view.epoch is not None and chosen else set()
        numbers = sorted(wanted | set(map(number_of, courses)))
        last = max(len(numbers) - 1, 0)
        at = numbers.index(view.epoch) if view.epoch in numbers else last
        own = {view.checkpoint} if chosen and is_name(view.checkpoint) else set()
        named = sorted(ordered(own.union(*known) - courses), key=lambda name: bool(counted(name)))
        value = view.checkpoint if view.checkpoint in named else layout.BY_EPOCH
        scopes = layout.scope_choices(library, View(runs=tuple(chosen), scopes=view.scopes))
        unit = " or ".join(sorted(set(map(unit_of, courses))))
        options = layout.named_choices(named, unit)
        shown = {"unit": unit, "at": numbers}
        return shown, last, at, options, value, not named, scopes


def _checkpoint_names(library: Library, runs: list[str]) -> list[list[str]]:
    """List the names of the checkpoints of each run; a removed run has none."""
    found = []
    for name in runs:
        with suppress(InputError):
            found.append(library.checkpoints(name))
    return found


def _update_view(app: Dash) -> None:
    @app.callback(
        Output("view", "data"),
        Output("epoch-words", "children"),
        Output("epoch", "disabled"),
        Output("play", "disabled"),
        Input("epochs", "data"),
        *(Input(name, "value") for name in ("epoch", "named", "scopes")),
        Input("focus", "data"),
        *(Input(name, "value") for name in ("panels", "surface", "quantity", "path", "measure")),
        State("chosen", "data"),
        State("view", "data"),
    )
    def update_view(
        slider: dict[str, Any], at: Any, named: Any, scopes: Any, *rest: Any
    ) -> tuple[Any, ...]:
        focus, panels, surface, quantity, path, measure, chosen, before = rest
        numbers = slider["at"]
        index = min(int(at or 0), len(numbers) - 1)
        is_last = index >= len(numbers) - 1
        view = View(
            runs=tuple(chosen),
            epoch=None if is_last else numbers[index],
            checkpoint="" if named == layout.BY_EPOCH else str(named or ""),
            scopes=tuple(scopes or ()) or ("overall",),
            focus=focus,
            panels=tuple(panels or ()),
            surface=surface,
            quantity=quantity,
            path=bool(path),
            measure=measure,
        )
        view, _ = View.from_query(view.to_query())
        query, fixed = view.to_query(), bool(view.checkpoint) or len(numbers) < 2
        heading = _checkpoint_heading(view, numbers, slider["unit"])
        return query if query != before else no_update, heading, fixed, fixed


def _checkpoint_heading(view: View, numbers: list[int], unit: str) -> str:
    if view.checkpoint:
        return f"Checkpoint: {checkpoint_label(view.checkpoint)}"
    if not numbers:
        return "Checkpoint"
    if view.epoch is None:
        return f"Checkpoint: {unit} {numbers[-1]} (each run's last)"
    return f"Checkpoint: {unit} {view.epoch}"


def _draw_panels(app: Dash, library: Library) -> None:
    @app.callback(Output("board", "children"), Input("panels", "value"), prevent_initial_call=True)
    def board(panels: list[str]) -> Any:
        view, _ = View.from_query(View(panels=tuple(panels or ())).to_query())
        return [panel(name) for name in view.panels]

    @app.callback(
        Output({"type": "body", "panel": MATCH}, "children"),
        Output({"type": "drawn", "panel": MATCH}, "data"),
        Input("view", "data"),
        Input("finished", "data"),
        Input({"type": "seen", "panel": MATCH}, "data"),
        State({"type": "drawn", "panel": MATCH}, "data"),
        State({"type": "body", "panel": MATCH}, "id"),
        prevent_initial_call=True,
    )
    def body(query: str, finished: int, seen: bool, drawn: Any, own: dict[str, str]) -> Any:
        wanted = [query, finished]
        if not seen or drawn == wanted:
            return no_update, no_update
        view, _ = View.from_query(query)
        if not view.runs:
            return "Choose a run first.", wanted
        return panel_body(own["panel"], cells(library, view, own["panel"]), view), wanted


def _follow_class(app: Dash, library: Library) -> None:
    @app.callback(
        Output("class-table", "children"), Input("view", "data"), Input("finished", "data")
    )
    def classes(query: str, _finished: Any) -> Any:
        view, _ = View.from_query(query)
        return class_table(library, view) if view.runs else "Choose a run first."

    @app.callback(
        Output("focus", "data"),
        Input({"type": "class", "number": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def follow(_clicks: Any) -> Any:
        button = pressed_button()
        if button is None:
            return no_update
        return None if button["number"] < 0 else button["number"]


def _connect_browser(app: Dash) -> None:
    """Add the callbacks that run in the browser; their functions are in assets/inspector.js."""

    def run(name: str, *wires: Any, **options: Any) -> None:
        app.clientside_callback(ClientsideFunction("inspector", name), *wires, **options)

    later = {"prevent_initial_call": True}
    run("watch", Output("watched", "data"), Input("board", "children"))
    run("address", Output("addressed", "data"), Input("view", "data"))
    run("theme", Output("themed", "data"), Input("theme", "n_clicks"))
    run("copy", Output("copied", "children"), Input("share", "n_clicks"), **later)
    run("link", Output("linked", "data"), Input(_GRAPHS, "relayoutData"), **later)
    run(
        "pick",
        Output("focus", "data", allow_duplicate=True),
        Input(_GRAPHS, "clickData"),
        State(_GRAPHS, "figure"),
        **later,
    )
    run(
        "play",
        Output("ticker", "disabled"),
        Output("play", "children"),
        Input("play", "n_clicks"),
        State("ticker", "disabled"),
        **later,
    )
    run(
        "tick",
        Output("epoch", "value", allow_duplicate=True),
        Input("ticker", "n_intervals"),
        State("epoch", "value"),
        State("epoch", "max"),
        **later,
    )
