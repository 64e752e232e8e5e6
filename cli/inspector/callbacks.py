"""Callbacks of the view: controls make the view, the view makes the panels and the address."""

from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, ctx, no_update

from cli.inspector import layout, table
from cli.inspector.library import Library
from cli.inspector.panels import cells
from cli.inspector.pieces import class_table, panel, panel_body
from cli.inspector.state import MOST_RUNS, View

_GRAPHS = {"type": "graph", "panel": ALL, "row": ALL, "run": ALL}


def connect(app: Dash, library: Library) -> None:
    """Add the callbacks.

    Args:
        app: the application.
        library: the folder of runs.
    """
    _open(app, library)
    _choose(app, library)
    _see(app)
    _show(app, library)
    _client(app)
    table.connect(app, library)


def _open(app: Dash, library: Library) -> None:
    @app.callback(Output("page", "children"), Input("url", "search"))
    def build(search: str | None) -> Any:
        view, notes = View.from_query(search or "")
        names = set(library.names())
        if not names:
            notes.append(
                f"There are no runs in '{library.root}' yet; 'tailscape train' makes them."
            )
        gone = [name for name in view.runs if name not in names]
        notes += [f"There is no run '{name[:100]}' in this folder." for name in gone]
        kept = tuple(name for name in view.runs if name in names)
        return layout.page(library, View(**{**vars(view), "runs": kept}), notes)


def _choose(app: Dash, library: Library) -> None:
    @app.callback(
        Output("chosen", "data"),
        Output("run-note", "children"),
        Input({"type": "choose", "run": ALL}, "n_clicks"),
        State("chosen", "data"),
        prevent_initial_call=True,
    )
    def choose(_clicks: Any, chosen: list[str]) -> tuple[Any, Any]:
        if not any(item["value"] for item in ctx.triggered):
            return no_update, no_update
        name = dict(ctx.triggered_id or {})["run"]
        if name in chosen:
            return [other for other in chosen if other != name], ""
        if len(chosen) == MOST_RUNS:
            return no_update, f"At most {MOST_RUNS} runs fit side by side; take one away first."
        return [*chosen, name], ""

    @app.callback(
        Output("epochs", "data"),
        Output("epoch", "max"),
        Output("epoch", "value"),
        Output("scopes", "options"),
        Input("chosen", "data"),
        Input("finished", "data"),
        State("view", "data"),
    )
    def reach(chosen: list[str], _finished: Any, query: str) -> tuple[Any, ...]:
        view, _ = View.from_query(query)
        epochs = set()
        for name in chosen:
            try:
                epochs |= {int(n.removeprefix("epoch_")) for n in library.checkpoints(name)}
            except ValueError:
                continue
        known = sorted(epochs | ({view.epoch} if view.epoch is not None and chosen else set()))
        at = len(known) - 1 if view.epoch is None else known.index(view.epoch) if known else 0
        scopes = layout.scope_choices(library, View(runs=tuple(chosen), scopes=view.scopes))
        return known, max(len(known) - 1, 0), max(at, 0), scopes


def _see(app: Dash) -> None:
    @app.callback(
        Output("view", "data"),
        Output("epoch-words", "children"),
        Input("epochs", "data"),
        Input("epoch", "value"),
        Input("scopes", "value"),
        Input("focus", "data"),
        Input("panels", "value"),
        Input("surface", "value"),
        Input("quantity", "value"),
        Input("path", "value"),
        Input("measure", "value"),
        State("chosen", "data"),
        State("view", "data"),
    )
    def see(epochs: list[int], at: Any, scopes: Any, *rest: Any) -> tuple[Any, str]:
        focus, panels, surface, quantity, path, measure, chosen, before = rest
        index = min(int(at or 0), len(epochs) - 1)
        is_last = index >= len(epochs) - 1
        view = View(
            runs=tuple(chosen),
            epoch=None if is_last else epochs[index],
            scopes=tuple(scopes or ()) or ("overall",),
            focus=focus,
            panels=tuple(panels or ()),
            surface=surface,
            quantity=quantity,
            path=bool(path),
            measure=measure,
        )
        query = View.from_query(view.to_query())[0].to_query()
        words = f"Checkpoint: epoch {epochs[index]}" if epochs else "Checkpoint"
        words += " (each run's last)" if epochs and is_last else ""
        return query if query != before else no_update, words


def _show(app: Dash, library: Library) -> None:
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
    )
    def body(query: str, finished: int, seen: bool, drawn: Any, own: dict[str, str]) -> Any:
        wanted = [query, finished]
        if not seen or drawn == wanted:
            return no_update, no_update
        view, _ = View.from_query(query)
        if not view.runs:
            return "Choose a run first.", wanted
        return panel_body(own["panel"], cells(library, view, own["panel"]), view), wanted

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
        if not any(item["value"] for item in ctx.triggered):
            return no_update
        number = dict(ctx.triggered_id or {})["number"]
        return None if number < 0 else number


def _client(app: Dash) -> None:
    """What the browser does by itself; the functions stand in assets/inspector.js."""

    def run(name: str, *wires: Any, **options: Any) -> None:
        app.clientside_callback(ClientsideFunction("inspector", name), *wires, **options)

    later = {"prevent_initial_call": True}
    run("watch", Output("watched", "data"), Input("board", "children"))
    run("address", Output("addressed", "data"), Input("view", "data"))
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
