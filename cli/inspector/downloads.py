"""Downloads of a panel: its figure for paper or screen, and its data."""

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from flask import Flask, Response, request

from cli.inspector.library import Library
from cli.inspector.panel_catalogue import PANELS, PanelKind
from cli.inspector.panel_figures import figure_request
from cli.inspector.panels import checkpoint_in_view
from cli.inspector.view import View
from figures.output import paper_style, screen_style
from figures.pages.animation import film
from figures.runs.folder import RunResults
from landscape.errors import InputError
from landscape.results.fields import datasets
from landscape.results.result import Result

FORMATS = {
    "pdf": "application/pdf",
    "png": "image/png",
    "html": "text/html",
    "gif": "image/gif",
    "h5": "application/x-hdf5",
    "csv": "text/csv",
}
_DRAWING = threading.Lock()  # matplotlib's figures are not thread-safe


def serve(server: Flask, library: Library) -> None:
    """Add the route ``/download/PANEL.FORMAT?VIEW`` to the server."""

    @server.get("/download/<name>")
    def download(name: str) -> Response:
        panel, _, suffix = name.rpartition(".")
        if panel not in PANELS or suffix not in FORMATS:
            return Response("There is no such download.\n", 404, mimetype="text/plain")
        view, _ = View.from_query(request.query_string.decode("latin-1"))
        try:
            content, suffix = make_download(library, view, panel, suffix)
        except InputError as error:
            return Response(f"{error}\n", 409, mimetype="text/plain")
        headers = {"Content-Disposition": f'attachment; filename="{panel}.{suffix}"'}
        return Response(content, mimetype=FORMATS.get(suffix, "application/zip"), headers=headers)


def make_download(library: Library, view: View, panel: str, suffix: str) -> tuple[bytes, str]:
    """Make a download.

    Args:
        library: the folder of runs.
        view: the view shown.
        panel: a key of :data:`PANELS`.
        suffix: a key of :data:`FORMATS`.

    Returns:
        Its content, and its suffix: several result files come as one zip archive.

    Raises:
        InputError: no run is chosen, or one lacks the result.
    """
    if not view.runs:
        raise InputError("choose a run first")
    if suffix == "h5":
        files = [file for _, _, file in _files(library, view, PANELS[panel])]
        if len(files) == 1:
            return files[0].read_bytes(), "h5"
        return _zipped(library, files), "zip"
    if suffix == "csv":
        return _table(library, view, PANELS[panel]).encode(), "csv"
    return _picture(library, view, panel, suffix), suffix


def _picture(library: Library, view: View, panel: str, suffix: str) -> bytes:
    """Draw all runs together, as ``tailscape figure`` does."""
    kind = PANELS[panel]
    shown = ["" if kind.over_time else checkpoint_in_view(library, view, n) for n in view.runs]
    checkpoint = shown[0] if len(set(shown)) == 1 and shown[0] else "last"
    runs = tuple(
        library.run(name, escaped=suffix == "html", shown=one)
        for name, one in zip(view.runs, shown, strict=True)
    )
    scopes = view.shown_scopes() if kind.scoped else ()
    module, drawing = figure_request(view, panel, runs, checkpoint, scopes)
    if suffix == "gif":
        with _DRAWING:
            return film(PANELS[panel].figure.replace("_", "-"), drawing)
    if suffix == "html":
        page = screen_style(module.read(drawing).page())
        alone = {"showSendToCloud": False, "plotlyServerURL": ""}
        return str(page.to_html(config=alone, include_plotlyjs=True, full_html=True)).encode()
    buffer = io.BytesIO()
    with _DRAWING, paper_style():
        figure = module.read(drawing).fitted()
        figure.savefig(buffer, format=suffix)
        plt.close(figure)
    return buffer.getvalue()


def _files(library: Library, view: View, kind: PanelKind) -> Iterator[tuple[RunResults, str, Path]]:
    """List the sources of a panel: run, checkpoint, file."""
    for name in view.runs:
        run = library.run(name, escaped=False)
        every = run.saved if kind.whole else run.checkpoints
        saved = every(kind.record) if kind.over_time else []
        for checkpoint in saved or [checkpoint_in_view(library, view, name)]:
            yield run, checkpoint, run.file(kind.record, checkpoint)


def _zipped(library: Library, files: list[Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            archive.writestr(file.relative_to(library.root).as_posix(), file.read_bytes())
    return buffer.getvalue()


def _table(library: Library, view: View, kind: PanelKind) -> str:
    """Write each number of the results on one line, with its position on each axis."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["run", "checkpoint", "dataset", "axis_1", "axis_2", "axis_3", "value"])
    for run, checkpoint, _ in _files(library, view, kind):
        record: Result = run.load(kind.record, checkpoint)[0]
        for line in _lines(record):
            writer.writerow([_plain(v) for v in (run.name, checkpoint, *line)])
    return buffer.getvalue()


def _lines(record: Result) -> Iterator[tuple[Any, ...]]:
    stored = datasets(record)
    named = {path: np.asarray(getattr(record, name)) for name, path, _ in stored}
    for name, path, axes in stored:
        values = named[path]
        for place in np.ndindex(values.shape):
            at = [
                f"{axis}={named[axis][k] if axis in named else k}"
                for axis, k in zip(axes, place, strict=True)
            ]
            yield name, *at, *[""] * (3 - len(at)), values[place]


def _plain(value: Any) -> str:
    """Format a value, quoting text that a spreadsheet would read as a formula."""
    if isinstance(value, np.generic):
        value = value.item()
    text = repr(value) if isinstance(value, float) else str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" and text else text
