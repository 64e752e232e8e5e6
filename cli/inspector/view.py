"""The view: the selection that a page shows, written out in full in the page's address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import parse_qs, urlencode

from cli.inspector.panel_catalogue import PANELS
from landscape.groups import GROUPS
from landscape.results.checkpoint_names import is_name

SurfaceView = Literal["contour", "3d"]
Quantity = Literal["loss", "objective", "accuracy"]

MEASURES = ("cca", "svcca", "pwcca", "cka")
SURFACE_VIEWS = ("contour", "3d")
QUANTITIES = ("loss", "objective", "accuracy")
WIDE_SCOPES = ("overall", *GROUPS)
MOST_RUNS = 4
MOST_SCOPES = 8
_MOST_CLASSES = 100_000
_MOST_STEPS = 1_000_000_000
_DEFAULT_PANELS = ("spectrum", "surface", "accuracy", "confusion", "conflicts", "nonconvexity")


@dataclass(frozen=True)
class View:
    """The selection that a page shows; the address omits defaults."""

    runs: tuple[str, ...] = ()
    """Names of run folders, relative to the inspected folder."""
    epoch: int | None = None
    """Epoch, or step, of the checkpoint shown. Default: each run's last."""
    checkpoint: str = ""
    """Name of a checkpoint, such as best, shown in place of an epoch's."""
    scopes: tuple[str, ...] = ("overall",)
    """Scopes of spectra and surfaces: overall, head, mid, tail, class/3."""
    focus: int | None = None
    """Class that every panel follows."""
    panels: tuple[str, ...] = _DEFAULT_PANELS
    """Panels, by name."""
    surface: SurfaceView = "contour"
    """Contours or a 3D surface."""
    quantity: Quantity = "loss"
    """Quantity of surfaces."""
    path: bool = True
    """Draw the path of the checkpoints on surfaces of the loss."""
    measure: str = "cca"
    """Similarity of representations."""

    def followed_scope(self) -> tuple[str, ...]:
        """Return the scope of the class that panels follow; empty without one."""
        return () if self.focus is None else (f"class/{self.focus}",)

    def shown_scopes(self) -> tuple[str, ...]:
        """List the scopes, and the class that panels follow."""
        return tuple(dict.fromkeys((*self.scopes, *self.followed_scope())))

    def to_query(self) -> str:
        """Write the view as a query string, empty for the default view."""
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
        """Read a view from a query string; invalid values are omitted and reported.

        Args:
            query: with or without its question mark.

        Returns:
            The view, and a sentence on each value that was omitted.
        """
        try:
            given = parse_qs(query.removeprefix("?"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            return View(), ["The address has too many fields; the default view is shown."]
        notes: list[str] = []
        default = View()
        runs = tuple(dict.fromkeys(name for name in given.get("runs", []) if name))
        if len(runs) > MOST_RUNS:
            notes.append(
                f"At most {MOST_RUNS} runs fit side by side; the first {MOST_RUNS} are shown."
            )
        view = View(
            runs=runs[:MOST_RUNS],
            epoch=_read_number(given, "epoch", notes),
            checkpoint=_read_checkpoint(given, notes),
            scopes=_read_scopes(given, notes) or default.scopes,
            focus=_read_number(given, "focus", notes),
            panels=_read_several(given, "panels", tuple(PANELS), default.panels, notes),
            surface=cast(SurfaceView, _read_choice(given, "surface", SURFACE_VIEWS, notes)),
            quantity=cast(Quantity, _read_choice(given, "quantity", QUANTITIES, notes)),
            path=given.get("path", ["yes"])[0] != "no",
            measure=_read_choice(given, "measure", MEASURES, notes),
        )
        return view, notes


def _read_checkpoint(given: dict[str, list[str]], notes: list[str]) -> str:
    name = given.get("checkpoint", [""])[0]
    if not name or is_name(name):
        return name
    notes.append(f"The address names checkpoint '{name[:20]}', which is not a valid name.")
    return ""


def is_scope(name: str) -> bool:
    """Tell whether a name is one of overall, head, mid, tail or class/N."""
    kind, _, number = name.partition("/")
    is_class = kind == "class" and number.isascii() and number.isdigit() and len(number) < 6
    return name in WIDE_SCOPES or is_class


def _read_scopes(given: dict[str, list[str]], notes: list[str]) -> tuple[str, ...]:
    asked = [name for name in dict.fromkeys(given.get("scopes", [])) if name]
    known = [name for name in asked if is_scope(name)]
    _note_unknown([name for name in asked if name not in known], "scopes", notes)
    return tuple(known[:MOST_SCOPES])


def _read_several(
    given: dict[str, list[str]],
    name: str,
    known: Sequence[str],
    default: tuple[str, ...],
    notes: list[str],
) -> tuple[str, ...]:
    if name not in given:
        return default
    asked = [value for value in given[name] if value]
    _note_unknown([value for value in asked if value not in known], name, notes)
    return tuple(value for value in known if value in asked)


def _note_unknown(unknown: list[str], name: str, notes: list[str]) -> None:
    if unknown:
        quoted = ", ".join(f"'{value[:20]}'" for value in unknown[:3])
        notes.append(f"The address names {name} that do not exist, such as {quoted}; omitted.")


def _read_choice(
    given: dict[str, list[str]], name: str, known: Sequence[str], notes: list[str]
) -> str:
    value = given.get(name, [known[0]])[0]
    if value in known:
        return value
    notes.append(f"The address names an unknown {name}; '{known[0]}' is shown.")
    return known[0]


def _read_number(given: dict[str, list[str]], name: str, notes: list[str]) -> int | None:
    if name not in given:
        return None
    text = given[name][0]
    most = _MOST_CLASSES if name == "focus" else _MOST_STEPS
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < most:
        return int(text)
    notes.append(f"The address names {name} '{text[:20]}', which is not a number; it is omitted.")
    return None
