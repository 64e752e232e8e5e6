"""The server: one page, its callbacks, its downloads, and its guard against foreign requests."""

from functools import partial
from pathlib import Path
from threading import Thread

from dash import Dash

from cli.inspector import callbacks, downloads, job_callbacks, layout
from cli.inspector.jobs import JobQueue
from cli.inspector.library import Library
from cli.inspector.panel_figures import import_figures
from cli.inspector.security import allowed_hosts, guard


def create(runs: Path, host: str = "127.0.0.1", port: int = 8050) -> tuple[Dash, JobQueue]:
    """Build the application.

    Args:
        runs: the folder of runs; nothing outside it is read.
        host: the address to serve at.
        port: the port to serve at.

    Returns:
        The application, and its queue of analyses; close the queue at the end.

    Raises:
        InputError: there is no such folder.
    """
    library, jobs = Library.open(runs), JobQueue()
    app = Dash(
        "tailscape",
        assets_folder=str(Path(__file__).parent / "assets"),
        title="Tailscape inspector",
        update_title="",
        suppress_callback_exceptions=True,
        serve_locally=True,
        index_string=layout.INDEX,
    )
    app.layout = partial(layout.frame, library)
    callbacks.connect(app, library)
    job_callbacks.connect(app, library, jobs)
    guard(app.server, allowed_hosts(host, port))
    downloads.serve(app.server, library)
    Thread(target=import_figures, daemon=True).start()
    return app, jobs
