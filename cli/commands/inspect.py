"""``tailscape inspect``: serve a page over a folder of runs to the browser."""

import contextlib
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import tyro

from cli.console import console
from landscape.errors import InputError

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.serving import BaseWSGIServer


@dataclass(frozen=True)
class Inspect:
    """Inspect runs in the browser; only an analysis started there writes files."""

    runs: tyro.conf.Positional[Path] = Path("runs")
    """The folder that holds the run folders."""
    port: int = 8050
    """Port of the page."""
    host: str = "127.0.0.1"
    """Address to serve at. The default is reachable from this machine only."""
    no_browser: bool = False
    """Only print the address."""

    def run(self) -> None:
        """Execute the command.

        Raises:
            InputError: there is no such folder, the address is taken, or Dash is not installed.
        """
        if not 0 < self.port < 65536:
            raise InputError(f"--port is {self.port}; it must be from 1 to 65535")
        try:
            from cli.inspector.app import create
        except ModuleNotFoundError as error:
            if error.name is None or not error.name.startswith(("dash", "flask")):
                raise
            raise InputError(
                "the inspector needs Dash; install it with pip install 'tailscape[inspect]'"
            ) from error
        from cli.inspector.security import is_loopback

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line per request
        app, jobs = create(self.runs, self.host, self.port)
        server, out = _listening(self.host, self.port, app.server), console()
        shown = f"[{self.host}]" if ":" in self.host else self.host
        address = f"http://{shown}:{self.port}/"
        out.print(f"inspecting {self.runs} at {address} (Ctrl-C ends it)", soft_wrap=True)
        if not is_loopback(self.host):
            out.print("anyone who reaches this address can see the runs and start analyses")
        if not self.no_browser:
            _open_soon(address)
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
            signal.signal(number, signal.default_int_handler)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
        finally:
            jobs.close()


def _listening(host: str, port: int, application: "Flask") -> "BaseWSGIServer":
    from werkzeug.serving import make_server

    try:
        return make_server(host, port, application, threaded=True)
    except (OSError, SystemExit) as error:
        raise InputError(
            f"cannot serve at {host}:{port}; another program may use it: choose another --port"
        ) from error


def _open_soon(address: str) -> None:
    import webbrowser

    timer = Timer(0.5, webbrowser.open, (address,))
    timer.daemon = True
    timer.start()
