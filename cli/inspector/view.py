"""What a page shows, as one frozen value that the page's address spells out in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qs, urlencode

from cli.inspector.checkpoint_names import is_name
from landscape.groups import GROUPS

SurfaceView = Literal["contour", "3d"]
Quantity = Literal["loss", "accuracy"]

PANELS = {
    "spectrum": "Spectrum",
    "surface": "Surface",
    "accuracy": "Accuracy",
    "confusion": "Confusion",
    "conflicts": "Gradient conflicts",
    "nonconvexity": "|λmin/λmax| over training",
    "gradient-similarity": "Gradient similarity over training",
    "feature-quality": "Feature quality over training",
    "cca": "Head-tail similarity over training",
    "similarity": "Similarity of classes",
    "embedding": "Embedding",
}
MEASURES = ("cca", "svcca", "pwcca", "cka")
SURFACE_VIEWS = ("contour", "3d")
QUANTITIES = ("loss", "accuracy")
WIDE_SCOPES = ("overall", *GROUPS)
MOST_RUNS = 4
MOST_SCOPES = 8
_MOST_CLASSES = 100_000
_DEFAULT_PANELS = ("spectrum", "surface", "accuracy", "confusion", "conflicts", "nonconvexity")


@dataclass(frozen=True)
class View:
    """What is shown; the defaults are left out of the address."""

    runs: tuple[str, ...] = ()
    """Names of run folders, relative to the folder inspected."""
    epoch: int | None = None
    """Epoch of the checkpoint shown. Default: each run's last."""
    checkpoint: str = ""
    """Name of a checkpoint, such as best, shown in place of an epoch's."""
    scopes: tuple[str, ...] = ("overall",)
    """Scopes of spectra and surfaces: overall, head, mid, tail, class/3."""
    focus: int | None = None
    """Class that every panel follows."""
    panels: tuple[str, ...] = _DEFAULT_PANELS
    """Panels, by name."""
    surface: SurfaceView = "contour"
    """Contours or a relief."""
    quantity: Quantity = "loss"
    """What surfaces show."""
    path: bool = True
    """Draw the path of the checkpoints on surfaces of the loss."""
    measure: str = "cca"
    """Which similarity of representations."""

    def shown_scopes(self) -> tuple[str, ...]:
        """The scopes, and the class that panels follow."""
        followed = () if self.focus is None else (f"class/{self.focus}",)
        return tuple(dict.fromkeys((*self.scopes, *followed)))

    def to_query(self) -> str:
        """Spell the view out as a query string, empty for the default view."""
        default, pairs = View(), []
        for name in ("runs", "scopes", "panels"):
            values = getattr(self, name)
            if values != getattr(default, name):
                pairs += [(name, value) for value in values] or [(name, "")]
        for name in ("epoch", "checkpoint", "focus", "surface", "quantity", "measure"):
            value = getattr(self, name)
            if value != getattr(default, name):
                pairs.append((name, str(value)))
        if not self.path:
            pairs.append(("path", "no"))
        return f"?{urlencode(pairs)}" if pairs else ""

    @staticmethod
    def from_query(query: str) -> tuple["View", list[str]]:
        """Read a view from a query string; what cannot be used is left out and named.

        Args:
            query: with or without its question mark.

        Returns:
            The view, and a sentence on each value that was left out.
        """
        try:
            given = parse_qs(query.removeprefix("?"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            return View(), ["The address has too many fields; the default view is shown."]
        notes: list[str] = []
        default = View()
        runs = tuple(dict.fromkeys(name for name in given.get("runs", []) if name))
        if len(runs) > MOST_RUNS:
            notes.append(f"At most {MOST_RUNS} runs are shown side by side; the first are.")
        view = View(
            runs=runs[:MOST_RUNS],
            epoch=_number(given, "epoch", notes),
            checkpoint=_checkpoint(given, notes),
            scopes=_scopes(given, notes) or default.scopes,
            focus=_number(given, "focus", notes),
            panels=_several(given, "panels", tuple(PANELS), default.panels, notes),
            surface=cast(SurfaceView, _one(given, "surface", SURFACE_VIEWS, notes)),
            quantity=cast(Quantity, _one(given, "quantity", QUANTITIES, notes)),
            path=given.get("path", ["yes"])[0] != "no",
            measure=_one(given, "measure", MEASURES, notes),
        )
        return view, notes


def _checkpoint(given: dict[str, list[str]], notes: list[str]) -> str:
    name = given.get("checkpoint", [""])[0]
    if not name or is_name(name):
        return name
    notes.append(f"The address asks for checkpoint '{name[:20]}', which is no name of one.")
    return ""


def is_scope(name: str) -> bool:
    """Tell whether a name is one of overall, head, mid, tail or class/N."""
    kind, _, number = name.partition("/")
    is_class = kind == "class" and number.isascii() and number.isdigit() and len(number) < 6
    return name in WIDE_SCOPES or is_class


def _scopes(given: dict[str, list[str]], notes: list[str]) -> tuple[str, ...]:
    asked = [name for name in dict.fromkeys(given.get("scopes", [])) if name]
    known = [name for name in asked if is_scope(name)]
    if len(known) < len(asked):
        notes.append("The address names scopes that do not exist; they are left out.")
    return tuple(known[:MOST_SCOPES])


def _several(
    given: dict[str, list[str]],
    name: str,
    known: Sequence[str],
    default: tuple[str, ...],
    notes: list[str],
) -> tuple[str, ...]:
    if name not in given:
        return default
    asked = [value for value in given[name] if value]
    if not set(asked) <= set(known):
        notes.append(f"The address names {name} that do not exist; they are left out.")
    return tuple(value for value in known if value in asked)


def _one(given: dict[str, list[str]], name: str, known: Sequence[str], notes: list[str]) -> str:
    value = given.get(name, [known[0]])[0]
    if value in known:
        return value
    notes.append(f"The address asks for an unknown {name}; '{known[0]}' is shown.")
    return known[0]


def _number(given: dict[str, list[str]], name: str, notes: list[str]) -> int | None:
    if name not in given:
        return None
    text = given[name][0]
    if text.isascii() and text.isdigit() and int(text[:9]) < _MOST_CLASSES:
        return int(text)
    notes.append(f"The address asks for {name} '{text[:20]}', which is no number; it is left out.")
    return None
