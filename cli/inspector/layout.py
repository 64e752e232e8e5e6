"""The layout of the page, set to a view."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from dash import dcc, html
from flask import has_request_context, request

from cli.inspector.components import aria, panel, panel_body, run_chips
from cli.inspector.jobs import SURFACE_POINTS
from cli.inspector.library import Library
from cli.inspector.panel_catalogue import PANELS
from cli.inspector.panels import cells
from cli.inspector.view import MEASURES, QUANTITIES, SURFACE_VIEWS, WIDE_SCOPES, View
from landscape.results.checkpoint_names import checkpoint_label

Component = Any
TICK = 1200  # milliseconds a checkpoint is shown when playing
POLL = 1000  # milliseconds between looks at the running analysis
BY_EPOCH = "-"  # in the choice of named checkpoints; not a valid name of one
NO_COURSE = {"unit": "", "at": []}  # numbers that the slider goes through, and what they count
_MOST_CLASSES = 1000

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{%title%}</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16'><path d='M1 2c2 11 6 12 14 12' fill='none' stroke='%230072B2' \
stroke-width='2.5' stroke-linecap='round'/></svg>">
{%css%}
<link rel="preload" href="/_dash-layout" as="fetch" crossorigin="anonymous">
<link rel="preload" href="/_dash-dependencies" as="fetch" crossorigin="anonymous">
<script id="drawing" async src="/_dash-component-suites/plotly/package_data/plotly.min.js"></script>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def frame(library: Library) -> Component:
    """Build the page if the browser sends its address; otherwise a callback builds it.

    The address is in the Referer header, which some browsers omit.
    """
    sender = request.referrer if has_request_context() else None
    if not sender:
        url = dcc.Location(id="url", refresh=False)
        return html.Div([url, dcc.Store(id="built"), html.Div(id="page")])
    search = "".join(sender.partition("?")[1:])
    url = dcc.Location(id="url", refresh=False, search=search)
    built = dcc.Store(id="built", data=search)
    return html.Div([url, built, html.Div(page_at(library, search), id="page")])


def page_at(library: Library, search: str) -> Component:
    """Build the page of an address, of which ``search`` is the part from the question mark."""
    view, notes = View.from_query(search)
    names = set(library.names())
    if not names:
        notes.append(f"There are no runs in '{library.root}' yet; 'tailscape train' creates them.")
    gone = [name for name in view.runs if name not in names]
    notes += [f"There is no run '{name[:100]}' in this folder." for name in gone]
    kept = tuple(name for name in view.runs if name in names)
    return page(library, replace(view, runs=kept or library.newest()), notes)


def page(library: Library, view: View, notes: list[str]) -> Component:
    """Build the page of a view, with notes on the invalid values of its address."""
    return html.Div(
        [
            *_stores(view),
            html.Header([html.H1("Tailscape"), html.Span(str(library.root)), _buttons()]),
            html.Div([html.P(note) for note in notes], id="notes", role="status"),
            html.Main(
                [
                    _runs(view),
                    _time(view),
                    _panels(library, view),
                    html.Aside([_controls(library, view), _classes(), _jobs()], id="side"),
                ]
            ),
        ]
    )


def _stores(view: View) -> list[Component]:
    return [
        dcc.Store(id="view", data=view.to_query()),
        dcc.Store(id="chosen", data=list(view.runs)),
        dcc.Store(id="epochs", data=NO_COURSE),
        dcc.Store(id="focus", data=view.focus),
        dcc.Store(id="sort", data={"by": "name", "down": False}),
        dcc.Store(id="leaf", data=0),
        dcc.Store(id="finished", data=0),
        dcc.Store(id="started", data=0),
        dcc.Store(id="linked"),
        dcc.Store(id="themed"),
        dcc.Store(id="addressed"),
        dcc.Store(id="watched"),
        dcc.Interval(id="ticker", interval=TICK, disabled=True),
        dcc.Interval(id="poll", interval=POLL, disabled=True),
    ]


def _buttons() -> Component:
    copied = html.Span(id="copied", role="status")
    controls = html.A("Controls", href="#side", className="to-side")
    theme = html.Button("Dark or light", id="theme")
    share = html.Button("Copy link to this view", id="share")
    return html.Div([controls, theme, share, copied], className="share")


def _runs(view: View) -> Component:
    search = html.Label(
        [
            "Search runs",
            dcc.Input(id="search", type="search", debounce=0.25, placeholder="sam digits 20"),
        ]
    )
    filters = [
        html.Label([word, dcc.Dropdown(id=f"only-{name}", placeholder="all")])
        for name, word in (("data", "Data"), ("verdict", "Tail verdict"))
    ]
    pages = [
        html.Button("Previous", id={"type": "leaf", "by": -1}),
        html.Span(id="leaf-words"),
        html.Button("Next", id={"type": "leaf", "by": 1}),
    ]
    parts = [
        html.Summary([html.H2("Runs"), html.Span(run_chips(view.runs), id="chips")]),
        html.Div([search, *filters], className="bar"),
        html.Div(id="table", className="scroll", tabIndex=0, **aria(label="runs")),
        html.Div(pages, className="bar leaves"),
        html.Div(id="run-note", role="status"),
    ]
    return html.Section(html.Details(parts, open=not view.runs), className="card at-runs")


def _time(view: View) -> Component:
    """Build the bar that stays in sight and selects the checkpoint."""
    slider = html.Label(
        [
            html.Span("Checkpoint", id="epoch-words"),
            dcc.Input(id="epoch", type="range", min=0, max=0, step=1, value=0, debounce=0.15),
        ],
        className="slider",
    )
    play = html.Button("Play", id="play", **aria(label="play through the checkpoints"))
    named = dcc.Dropdown(
        named_choices([view.checkpoint] if view.checkpoint else [], "epoch"),
        view.checkpoint or BY_EPOCH,
        id="named",
        clearable=False,
        searchable=False,
    )
    choice = html.Div(
        _labelled("Which checkpoint", named), id="at-named", hidden=not view.checkpoint
    )
    return html.Section([play, slider, choice], className="card time", **aria(label="Checkpoint"))


def named_choices(names: list[str], unit: str) -> list[dict[str, str]]:
    """List the slider by its unit, or each run's last without one, and the names."""
    named = [{"label": checkpoint_label(name), "value": name} for name in names]
    first = f"by {unit}" if unit else "each model's last"
    return [{"label": first, "value": BY_EPOCH}, *named]


def _classes() -> Component:
    hint = "Click a class here, in a heat map or on a curve, and every panel follows it."
    table = html.Div(id="class-table", className="scroll", tabIndex=0, **aria(label="classes"))
    return html.Section(
        [html.H2("Classes"), html.P(hint, className="quiet"), table], className="card at-classes"
    )


def _controls(library: Library, view: View) -> Component:
    path = [{"label": "on surfaces", "value": "path"}]
    similarity = dcc.Dropdown(list(MEASURES), view.measure, id="measure", clearable=False)
    scopes = dcc.Dropdown(
        scope_choices(library, view), list(view.scopes), id="scopes", multi=True, clearable=False
    )
    options = [
        _labelled("Scopes of spectra and surfaces", scopes, "grow"),
        _radio("Surface as", "surface", SURFACE_VIEWS, view.surface),
        _radio("of the", "quantity", QUANTITIES, view.quantity),
        _labelled("Path of checkpoints", dcc.Checklist(path, ["path"] * view.path, id="path")),
        _labelled("Similarity by", similarity),
    ]
    panels = [{"label": kind.title, "value": name} for name, kind in PANELS.items()]
    return html.Section(
        [
            html.H2("View"),
            html.Div(options, className="bar"),
            _labelled("Panels", dcc.Checklist(panels, list(view.panels), id="panels", inline=True)),
        ],
        className="card at-view",
    )


def _jobs() -> Component:
    points = dcc.Dropdown(
        [{"label": f"{n} × {n} points", "value": n} for n in SURFACE_POINTS],
        25,
        id="points",
        clearable=False,
    )
    return html.Section(
        [
            html.H2("Analyses"),
            html.P(
                "A panel without a result offers to compute it with 'tailscape diagnose' on this "
                "machine, one analysis at a time.",
                className="quiet",
            ),
            _labelled("Grid of new surfaces", points),
            html.Ul(id="jobs", className="jobs"),
            html.Div(id="job-note", role="status"),
        ],
        className="card at-jobs",
    )


def _panels(library: Library, view: View) -> Component:
    """Build the panels; the first is drawn with the page, the others when they are in sight."""
    built = [panel(name) for name in view.panels]
    if view.runs and view.panels:
        first = view.panels[0]
        body = panel_body(first, cells(library, view, first), view)
        built[0] = panel(first, body, [view.to_query(), 0])
    return html.Div(built, id="board", className="board")


def scope_choices(library: Library, view: View) -> list[str]:
    """List the groups, and the classes of the runs in view."""
    counts = [0]
    for name in view.runs:
        with suppress(ValueError, KeyError, TypeError):
            counts.append(len(library.config(name)["class_counts"]))
    classes = [f"class/{c}" for c in range(min(max(counts), _MOST_CLASSES))]
    return list(dict.fromkeys([*WIDE_SCOPES, *classes, *view.scopes]))


def _radio(label: str, name: str, choices: tuple[str, ...], value: str) -> Component:
    return _labelled(label, dcc.RadioItems(list(choices), value, id=name, inline=True))


def _labelled(label: str, control: Component, size: str = "") -> Component:
    """Group the parts of a control under its label."""
    return html.Div(
        [html.Span(label, className="label"), control],
        className=f"group {size}",
        role="group",
        **aria(label=label),
    )
