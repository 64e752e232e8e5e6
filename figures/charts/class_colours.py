"""Order and colour classes from head to tail."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from landscape.results.fields import Array

MOST_NAMED = 20  # classes; more are told by a colour scale


def head_to_tail(counts: Array) -> list[int]:
    """Order classes by their training samples (K,), most first."""
    return [int(c) for c in np.argsort(-counts, kind="stable")]


def class_colours(classes: int) -> list[str]:
    """Choose colours from dark (head) to light (tail), told apart in grey."""
    return [to_hex(colormaps["viridis"](x)) for x in np.linspace(0, 0.9, classes)]
