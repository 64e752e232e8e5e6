"""Say how a result that a run lacks is made: by a command that can be run as it stands."""

import json
import shlex
from pathlib import Path

from landscape.analyses.catalogue import ANALYSES, RELEASED_SPECTRUM
from landscape.errors import unknown
from landscape.results.checkpoint_names import ordered, short, spelled

_OTHERWISE = {
    "recording": "it is written while a model is trained, by landscape.Recorder",
    "eigenpairs": "it is written by landscape.operator(…).eigenpairs(…)",
}


def remedy(run: Path, analysis: str, checkpoint: str = "", flags: str = "") -> str:
    """Write what makes a result that a run lacks.

    Args:
        run: its folder.
        analysis: name of the analysis, or of a folder of results such as ``surface-pca``.
        checkpoint: as a person names it, or ``all``; empty for the last.
        flags: further ones of the command, each after a space.

    Raises:
        InputError: there is no such analysis.
    """
    name = analysis if analysis in ANALYSES else analysis.partition("-")[0]
    if analysis == RELEASED_SPECTRUM.name:
        flags = f" --protocol saddle{flags}"
    if name in _OTHERWISE:
        return _OTHERWISE[name]
    if name not in ANALYSES:
        raise unknown("analysis", analysis, ANALYSES)
    opened = _diagnosis(run)
    weights = opened[opened.index("--weights") + 1 :][:1] if "--weights" in opened else []
    in_folder = any(not Path(word).is_file() for word in weights)  # whose names are not known
    words = [*opened, "--analyses", name]
    if checkpoint not in ("", "all", "last"):
        known = checkpoints_of(run)
        found = spelled(checkpoint, known)
        if known and found not in known and not in_folder:
            listed = ", ".join(map(short, ordered(known)))
            return f"nor has it such a checkpoint; there are {listed}"
        checkpoint = short(found)
    words += ["--checkpoints", checkpoint] if checkpoint else []
    return f"run: {shlex.join(words)}{flags}"


def checkpoints_of(run: Path) -> set[str]:
    """Name the checkpoints that a run keeps, and those it has results of."""
    saved = {path.stem for path in (run / "checkpoints").glob("[!.]*.pt")} - {"last"}
    stored = {path.stem for path in (run / "results").glob("*/[!.]*.h5")}
    kept = {name for name in saved if not name.startswith("state_")}
    # what is gone cannot be diagnosed again; a model of one's own is kept elsewhere
    return kept or stored


def _diagnosis(run: Path) -> list[str]:
    """Write the words that diagnose a run; of a model of one's own, those that it was opened by."""
    try:
        stored = json.loads((run / "config.json").read_text(encoding="utf-8")).get("outside")
        words = shlex.split(stored["command"])
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        words = []
    return words if words[:2] == ["tailscape", "diagnose"] else ["tailscape", "diagnose", str(run)]
