"""Head, mid and tail: the ways the field splits classes into groups.

Group figures of different papers are not comparable because their splits differ, so a split always
travels with its name. Class 0 is the head of a long-tailed subset made by the usual formula.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from landscape.errors import InputError, Setting, unknown

SplitName = Literal["saddle", "count", "focal"]
Groups = dict[str, tuple[int, ...]]

GROUPS = ("head", "mid", "tail")
_SADDLE_SIZES = {10: (3, 4), 100: (36, 35)}
_FOCAL_BOUNDS = {10: (200, 1000), 100: (20, 100)}


def split_classes(counts: Sequence[int], split: SplitName | None = None) -> tuple[str, Groups]:
    """Split classes into head, mid and tail.

    >>> split_classes((300, 50, 5), "count")
    ('count', {'head': (0,), 'mid': (1,), 'tail': (2,)})

    Args:
        counts: training samples of each class, in label order (K,).
        split: ``saddle``: by index, 3/4/3 of 10 classes and 36/35/29 of 100 (Rangwani et al.
            2022, after MiSLAS), and in these proportions otherwise; ``count``: more than 100,
            20 to 100, fewer than 20 training samples (Liu et al. 2019); ``focal``: bounds of
            1000 and 200 samples (CIFAR-10-LT) or 100 and 20 (Li et al. 2025). ``None`` takes
            ``saddle`` where counts never grow with the label, ``count`` otherwise.

    Returns:
        The split's name and the classes of ``head``, ``mid`` and ``tail``; a group may be empty.

    Raises:
        InputError: ``saddle`` is asked for but classes are not ordered from head to tail.
    """
    ordered = all(a >= b for a, b in pairwise(counts))
    name = split or ("saddle" if ordered else "count")
    if name == "saddle":
        if not ordered:
            raise InputError(
                "split 'saddle' goes by class index, but these classes are not ordered from "
                "head to tail; use ",
                Setting("split"),
                " count",
            )
        return name, _by_index(len(counts))
    low, high = _FOCAL_BOUNDS.get(len(counts), (20, 100)) if name == "focal" else (20, 100)
    return name, _by_count(counts, low, high)


def scope_classes(
    names: Sequence[str], counts: Sequence[int], split: SplitName | None = None
) -> Groups:
    """Resolve scope names to their classes.

    Args:
        names: ``overall``, ``head``, ``mid``, ``tail``, ``class/3``; ``classes`` stands for each.
        counts: training samples of each class (K,).
        split: rule of the groups.

    Returns:
        Classes by scope, in the order asked for; empty groups are left out.

    Raises:
        InputError: a name is not known, or no class is left.
    """
    classes = {f"class/{c}": (c,) for c in range(len(counts))}
    known = {"overall": tuple(range(len(counts))), **split_classes(counts, split)[1], **classes}
    found: Groups = {}
    for name in names:
        for one in classes if name == "classes" else [name]:
            if one not in known:
                raise unknown("scope", one, [*known, "classes"])
            if known[one]:
                found[one] = known[one]
    if not found:
        name = split_classes(counts, split)[0]
        raise InputError(f"by split '{name}' no class is in {', '.join(names)}; ask for another")
    return found


def numbered_scopes(names: Sequence[str], class_names: Sequence[str]) -> tuple[str, ...]:
    """Write the scopes of classes by their numbers: ``class/cat`` is ``class/3``.

    A number is always the index of a class, whatever the classes are called.

    Args:
        names: of scopes; those that are no class by its name stay.
        class_names: K.

    Raises:
        InputError: a number is no index, and a class is called so.
    """
    places = {f"class/{n}": c for c, n in enumerate(class_names) if not _is_number(n)}
    for name in names:
        number = name.removeprefix("class/")
        if number != name and number in class_names and _is_beyond(number, len(class_names)):
            raise InputError(
                f"{name} is the class of index {number}, and the classes are 0 to "
                f"{len(class_names) - 1}; the one called '{number}' is "
                f"class/{list(class_names).index(number)}"
            )
    return tuple(f"class/{places[name]}" if name in places else name for name in names)


def named_scopes(names: Sequence[str], class_names: Sequence[str]) -> tuple[str, ...]:
    """Write the scopes of classes by their names: ``class/3`` is ``class/cat``.

    >>> named_scopes(("tail", "class/1", "class/1@fc"), ("dog", "cat"))
    ('tail', 'class/cat', 'class/cat@fc')

    Args:
        names: of scopes, of a layer too; those without a name that can be asked for stay.
        class_names: K.
    """
    times = Counter(class_names)
    shown = {
        f"class/{c}": f"class/{name}"
        for c, name in enumerate(class_names)
        if times[name] == 1 and not _is_number(name) and not {",", "@"} & set(name)
    }
    parts = (name.partition("@") for name in names)
    return tuple(shown.get(scope, scope) + at + layer for scope, at, layer in parts)


def _is_number(name: str) -> bool:
    """Tell whether a name is written as an index is; 03 is not."""
    return name.isascii() and name.isdecimal() and str(int(name)) == name


def _is_beyond(name: str, classes: int) -> bool:
    return _is_number(name) and int(name) >= classes


def _by_index(classes: int) -> Groups:
    head, mid = _SADDLE_SIZES.get(classes, (round(0.36 * classes), round(0.35 * classes)))
    return {
        "head": tuple(range(head)),
        "mid": tuple(range(head, head + mid)),
        "tail": tuple(range(head + mid, classes)),
    }


def _by_count(counts: Sequence[int], low: int, high: int) -> Groups:
    return {
        "head": tuple(c for c, n in enumerate(counts) if n > high),
        "mid": tuple(c for c, n in enumerate(counts) if low <= n <= high),
        "tail": tuple(c for c, n in enumerate(counts) if n < low),
    }
