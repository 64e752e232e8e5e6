"""Callbacks of the analyses: start one, watch it, cancel it."""

from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from cli.inspector.components import job_list
from cli.inspector.jobs import Jobs
from cli.inspector.library import Library
from landscape.errors import InputError


def connect(app: Dash, library: Library, jobs: Jobs) -> None:
    """Add the callbacks.

    Args:
        app: the application.
        library: the folder of runs.
        jobs: the queue.
    """

    @app.callback(
        Output("started", "data"),
        Output("job-note", "children"),
        Input(_start_buttons(), "n_clicks"),
        Input({"type": "cancel", "job": ALL}, "n_clicks"),
        State("points", "value"),
        State("started", "data"),
        prevent_initial_call=True,
    )
    def change(_starts: Any, _cancels: Any, points: int, count: int) -> tuple[Any, Any]:
        if not any(item["value"] for item in ctx.triggered):
            return no_update, no_update
        try:
            said = _change(library, jobs, dict(ctx.triggered_id or {}), points)
        except InputError as error:
            said = str(error)
        return count + 1, said

    @app.callback(
        Output("jobs", "children"),
        Output("poll", "disabled"),
        Output("finished", "data"),
        Input("poll", "n_intervals"),
        Input("started", "data"),
        State("finished", "data"),
    )
    def watch(_ticks: Any, _started: Any, seen: int) -> tuple[Any, bool, Any]:
        finished, listed = jobs.finished(), jobs.listed()
        running = any(job.is_open for job in listed)
        return job_list(listed), not running, finished if finished != seen else no_update


def _start_buttons() -> dict[str, Any]:
    names = ("panel", "row", "again", "run", "recipe", "at")
    return {"type": "start", **dict.fromkeys(names, ALL)}


def _change(library: Library, jobs: Jobs, pressed: dict[str, Any], points: int) -> str:
    """Carry out a button; everything it names is looked up.

    Raises:
        InputError: it names what does not exist, or a model trained elsewhere.
    """
    if pressed.get("type") == "cancel":
        jobs.cancel(int(pressed["job"]))
        return ""
    run, at = str(pressed.get("run")), str(pressed.get("at"))
    path, known = library.path(run), library.checkpoints(run)
    if library.outside_command(run) is not None:
        raise InputError(
            f"'{run}' was trained elsewhere; its analyses are not started from this page, because "
            "they run code that its folder names: type the command that the panel shows"
        )
    wanted = at.split(",")
    if at != "all" and not set(wanted) <= set(known):
        raise InputError(f"'{run}' has no checkpoint '{at[:60]}'")
    recipe, again = str(pressed.get("recipe")), pressed.get("again") is True
    jobs.start(run, path, recipe, wanted, points=points, again=again)
    return ""
