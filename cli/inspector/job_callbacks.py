"""Callbacks of the analyses: start, watch and cancel."""

from typing import Any

from dash import ALL, Dash, Input, Output, State, no_update

from cli.inspector.components import job_list, pressed_button
from cli.inspector.jobs import JobQueue
from cli.inspector.library import Library
from landscape.errors import InputError

_START_BUTTONS = {"type": "start"} | dict.fromkeys(
    ("panel", "row", "again", "run", "recipe", "at"), ALL
)


def connect(app: Dash, library: Library, jobs: JobQueue) -> None:
    """Add the callbacks of the analyses to the application."""

    @app.callback(
        Output("started", "data"),
        Output("job-note", "children"),
        Input(_START_BUTTONS, "n_clicks"),
        Input({"type": "cancel", "job": ALL}, "n_clicks"),
        State("points", "value"),
        State("started", "data"),
        prevent_initial_call=True,
    )
    def change(_starts: Any, _cancels: Any, points: int, count: int) -> tuple[Any, Any]:
        button = pressed_button()
        if button is None:
            return no_update, no_update
        try:
            _change(library, jobs, button, points)
        except InputError as error:
            return count + 1, str(error)
        return count + 1, ""

    @app.callback(
        Output("jobs", "children"),
        Output("poll", "disabled"),
        Output("finished", "data"),
        Input("poll", "n_intervals"),
        Input("started", "data"),
        State("finished", "data"),
    )
    def watch(_ticks: Any, _started: Any, seen: int) -> tuple[Any, bool, Any]:
        finished, listed = jobs.count_finished(), jobs.newest_first()
        running = any(job.is_open for job in listed)
        return job_list(listed), not running, finished if finished != seen else no_update


def _change(library: Library, jobs: JobQueue, button: dict[str, Any], points: int) -> None:
    """Start or cancel the analysis of a button; every name in it is looked up.

    Raises:
        InputError: a name does not exist, or is that of an external model.
    """
    if button.get("type") == "cancel":
        jobs.cancel(int(button["job"]))
        return
    run, at = str(button.get("run")), str(button.get("at"))
    path, known = library.path(run), library.checkpoints(run)
    if library.external_command(run) is not None:
        raise InputError(
            f"'{run}' is an external model; its analyses are not started from this page, because "
            "they run code that its folder names: type the command that the panel shows"
        )
    wanted = at.split(",")
    if at != "all" and not set(wanted) <= set(known):
        raise InputError(f"'{run}' has no checkpoint '{at[:60]}'")
    recipe, again = str(button.get("recipe")), button.get("again") is True
    jobs.start(run, path, recipe, wanted, points=points, again=again)
