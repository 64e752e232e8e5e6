"""The tables that a diagnosis prints: by class for spectra, and one for each other analysis."""

from pathlib import Path

import numpy as np
from rich.table import Table

from cli.table_layout import fitted_table
from landscape.analyses.catalogue import find_analysis
from landscape.groups import named_scopes, scope_classes
from landscape.results.accuracy import Accuracy
from landscape.results.load import read_record
from landscape.results.matrix import MatrixSpec
from landscape.results.provenance import Provenance
from landscape.results.result import class_names, columns_of
from landscape.results.spectrum import Spectrum
from landscape.results.table import percent, with_error

_BRACKETS = (
    "λ: bracket of each end; its inner value is proved, its outer one holds with 99 %",
    "* estimated error above the tolerance, or a further eigenvalue is not excluded",
    "† gradient not small: ‖g‖²/(2 λmax) > 5 % of the loss",
)
_RELEASED_CAPTION = "a new augmentation at every product, one probe, no residual: no bound"
_COLUMNS = {  # and the least width of a terminal that has room for each
    "scope": 0,
    "train": 100,
    "used": 140,
    "acc %": 0,
    "loss": 100,
    "‖g‖": 140,
    "λmax": 0,
    "λmin": 0,
    "|λmin/λmax|": 0,
    "λ < 0": 140,
    "trace": 140,
    "verdict": 0,
}
_MOST_NAMED = 12


def class_table(
    run: Path, checkpoint: str, analysis: str = "spectrum", width: int = 80
) -> Table | None:
    """Build the class table of a checkpoint from its result files.

    Args:
        run: run folder.
        checkpoint: name of the checkpoint.
        analysis: the results' folder: ``spectrum``, ``spectrum-ggn`` and so on for another matrix,
            ``spectrum-saddle`` for the released protocol.
        width: of the terminal, in characters; the less important columns need a wide one.

    Returns:
        The table, or ``None`` without a spectrum of this checkpoint.
    """
    path = run / "results" / analysis / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    spectrum, provenance = read_record(path, Spectrum)
    accuracy = run / "results" / "accuracy" / f"{checkpoint}.h5"
    judged = read_record(accuracy, Accuracy) if accuracy.is_file() else None
    shares = {} if judged is None else judged[0].by_scope()
    method = provenance.config["plan"]["method"]
    exact = provenance.analysis == "spectrum"
    scopes = [str(scope) for scope in spectrum.scope]
    names = named_scopes(scopes, class_names(provenance))
    shown = [k for k, least in enumerate(_COLUMNS.values()) if width >= least]
    rows = []
    for s, (scope, name) in enumerate(zip(scopes, names, strict=True)):
        row = [name, *_row(spectrum, s, shares.get(scope))]
        rows.append([row[k] for k in shown])
    title = f"{MatrixSpec.stored(provenance).name}: {method}, {checkpoint} ({run.name})"
    caption = _caption(spectrum) if exact else _RELEASED_CAPTION
    return fitted_table(
        title + ("" if exact else ", released protocol"),
        [name for k, name in enumerate(_COLUMNS) if k in shown],
        rows,
        "; ".join(filter(None, [caption, "" if judged is None else _judged(*judged)])),
        width=width,
        left=("verdict",),
    )


def _judged(record: Accuracy, origin: Provenance) -> str:
    """Say on which data accuracy was judged, if not on the test set."""
    on = record.judged_on(origin)
    return "" if on == "test" else f"accuracy on {on} data"


def _caption(spectrum: Spectrum) -> str:
    """Explain the marks that the table has, and once what would stand on every row."""
    brackets, loose, dagger = _BRACKETS
    marks = [mark for s in range(len(spectrum.scope)) for mark in _marks(spectrum, s)]
    said = [brackets, *([loose] if "*" in marks else [])]
    if "†" in marks:
        said.append(dagger)
    elif _all_steep(spectrum):
        said.append("the gradient is small nowhere: ‖g‖²/(2 λmax) > 5 % of the loss")
    return "; ".join(said)


def _all_steep(spectrum: Spectrum) -> bool:
    return bool((spectrum.verdict != "").all() and not np.any(spectrum.gradient_small))


def _marks(spectrum: Spectrum, s: int) -> str:
    """Mark a bracket that is not as narrow as asked, and a point that is not stationary."""
    released = np.isnan(spectrum.lambda_max_bound[s])
    star = "" if spectrum.converged[s] or released else "*"
    plain = spectrum.gradient_small[s] or not str(spectrum.verdict[s]) or _all_steep(spectrum)
    return star + ("" if plain else "†")


def graphs_line(run: Path, checkpoint: str, analysis: str = "spectrum") -> str | None:
    """Report whether products kept their graphs; ``None`` without a spectrum.

    Args:
        run: run folder.
        checkpoint: its name.
        analysis: the results' folder; not that of the released protocol, which keeps no graph.
    """
    path = run / "results" / analysis / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    spectrum, provenance = read_record(path, Spectrum)
    budget = provenance.config["diagnose"]["spectrum"]["memory_budget"]
    short = [
        f"{scope} {percent(share, 0)}"
        for scope, share in zip(spectrum.scope, spectrum.graphs_kept, strict=True)
        if share < 1
    ]
    if not short:
        return (
            f"{checkpoint}: graphs kept between products for every scope "
            f"(--spectrum.memory-budget {budget:g} GiB)"
        )
    return (
        f"{checkpoint}: graphs kept in part: {', '.join(short)} of the batches; "
        f"--spectrum.memory-budget above {budget:g} GiB would avoid recomputing the rest"
    )


def accuracy_table(run: Path, checkpoint: str, width: int = 80) -> Table | None:
    """Build the table of a checkpoint's accuracies; ``None`` without a result."""
    path = run / "results" / "accuracy" / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    found, provenance = read_record(path, Accuracy)
    method = provenance.config["plan"]["method"]
    shares = found.by_scope()
    names = named_scopes(tuple(shares), class_names(provenance))
    rows = [[n, _percent(share)] for n, share in zip(names, shares.values(), strict=True)]
    title = f"{method}, {checkpoint} ({run.name}), split '{found.split}'"
    said = ", ".join(filter(None, [_judged(found, provenance), found.further()]))
    return fitted_table(title, ["scope", "acc %"], rows, said, width=width)


def left_out(path: Path) -> str | None:
    """List the requested scopes that a result omits because their classes have no samples.

    Args:
        path: the result file.

    Returns:
        A line; ``None`` if there are none, or if the analysis has no scopes.
    """
    record, provenance = read_record(path)
    rows = getattr(record, "scope", None)
    if rows is None or "scopes" not in find_analysis(provenance.analysis).options:
        return None
    config = provenance.config
    present = {str(name).partition("@")[0] for name in rows}  # a layer's row names both
    asked, split = config["diagnose"]["scopes"], config["diagnose"]["split"]
    names = [n for n in scope_classes(asked, config["class_counts"], split) if n not in present]
    if not names:
        return None
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    shown = ", ".join(named_scopes(names[:_MOST_NAMED], class_names(provenance)))
    return f"omitted because they have no samples: {shown}{more}"


def summary(run: Path, checkpoint: str, analysis: str, width: int = 80) -> Table | None:
    """Build the table of an analysis of a checkpoint; ``None`` without a result.

    Args:
        run: run folder.
        checkpoint: its name.
        analysis: not spectrum or accuracy, which have their own tables.
        width: of the terminal, in characters.
    """
    path = run / "results" / analysis / f"{checkpoint}.h5"
    if not path.is_file():
        return None
    record, provenance = read_record(path)
    columns, note = columns_of(record, class_names(provenance))
    rows = list(zip(*columns.values(), strict=True))
    title = f"{provenance.config['plan']['method']}, {analysis}, {checkpoint} ({run.name})"
    return fitted_table(title, list(columns), rows, note, width=width)


def _percent(share: float | None) -> str:
    return "-" if share is None or np.isnan(share) else f"{100 * share:.1f}"


def _row(spectrum: Spectrum, s: int, share: float | None) -> list[str]:
    high, low = spectrum.end_texts(s)
    marks = _marks(spectrum, s)
    star, dagger = marks.replace("†", ""), " †" if "†" in marks else ""
    directions = spectrum.negative_directions[s]
    return [
        str(spectrum.training_count[s]),
        str(spectrum.samples[s]),
        _percent(share),
        f"{spectrum.loss[s]:.3g}",
        f"{spectrum.grad_norm[s]:.2g}",
        high + star,
        low + star,
        f"{spectrum.nonconvexity[s]:.3g}",
        "–" if np.isnan(directions) else f"≥ {int(directions)}",
        with_error(spectrum.trace[s], spectrum.trace_sem[s]),
        f"{str(spectrum.verdict[s]) or '–'}{dagger}",
    ]
