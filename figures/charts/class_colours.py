"""Order and colour classes and groups from head to tail."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from landscape.results.fields import Array

MOST_NAMED = 20  # classes; more are told by a colour scale
_ENDS = (0.03, 0.67)  # of the scale; beyond it, colours fade on white paper
_WHOLE = "#7f7f7f"  # of all classes together
_GROUPS = ("head", "mid", "tail")


def head_to_tail(counts: Array) -> list[int]:
    """Order classes by their training samples (K,), most first."""
    return [int(c) for c in np.argsort(-counts, kind="stable")]


def class_colours(classes: int) -> list[str]:
    """Choose colours from dark blue (head) to orange (tail), told apart in grey."""
    return [to_hex(colormaps["plasma"](x)) for x in np.linspace(*_ENDS, classes)]


def scope_colours(scopes: Sequence[str]) -> list[str]:
    """Choose colours of scopes: a group has the same in every figure, all together are grey."""
    groups = dict(zip(_GROUPS, class_colours(len(_GROUPS)), strict=True)) | {"overall": _WHOLE}
    others = [scope for scope in scopes if scope not in groups]
    found = groups | dict(zip(others, class_colours(len(others)), strict=True))
    return [found[scope] for scope in scopes]
