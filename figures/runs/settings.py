"""Compare the settings of runs, and join the runs that differ only in their seed."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from figures.runs.folder import RunResults
from figures.runs.labels import method_label, run_names
from figures.runs.markup import page_texts
from landscape.results import InputError, unknown
from landscape.results.load import load_provenance
from landscape.results.provenance import Provenance
from landscape.results.run_folder import no_run

Settings = Mapping[str, Any]
Item = TypeVar("Item")
_NOT_COMPARED = {"seed", "checkpoints", "checkpoint_steps", "eval_every", "reweighting_epoch"}
# settings that a recipe stretches along with its epochs
_FOLLOWERS = {"recipe.epochs": {"recipe.warmup_epochs", "recipe.milestones"}}


def run_config(run: RunResults) -> dict[str, Any]:
    """Read the ``config.json`` of a run; empty where there are results only.

    Raises:
        InputError: it is not JSON.
    """
    path = run.path / "config.json"
    if not path.is_file():
        return {}
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"'{path}' is not valid JSON ({error})") from error
    return page_texts(found) if run.escaped else found


def stored_plan(run: RunResults) -> dict[str, Any]:
    """Read the plan a run was trained by, from its folder or from one of its results.

    Raises:
        InputError: there is neither.
    """
    stored = run_config(run).get("plan")
    if stored is not None:
        return dict(stored)
    results = sorted((run.path / "results").glob("*/[!.]*.h5"))
    if not results:
        raise no_run(run.path)
    return dict(load_provenance(results[0]).config["plan"])


def run_metrics(run: RunResults) -> list[dict[str, Any]]:
    """Read the ``metrics.jsonl`` of a run, one entry an epoch; empty where there is none.

    Raises:
        InputError: a line is not JSON.
    """
    path = run.path / "metrics.jsonl"
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise InputError(f"'{path}' is not one JSON object a line ({error})") from error


def flat_settings(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a stored plan.

    Args:
        plan: as in ``config.json`` and in the provenance of results.

    Returns:
        Values by name: ``imbalance``, ``recipe.lr``, and the method's own by the kind of their
        part, ``rule.rho``.
    """
    nested = {"recipe": plan.get("recipe", {}), **plan.get("settings", {})}
    found = {name: value for name, value in plan.items() if not isinstance(value, Mapping)}
    for part, values in nested.items():
        found |= {f"{part}.{name}": value for name, value in values.items()}
    return found


def setting_named(word: str, known: Iterable[str]) -> str:
    """Find a setting by its full name or by the part after the dot.

    Args:
        word: such as ``rho`` or ``rule.rho``.
        known: full names.

    Raises:
        InputError: there is none, or the word belongs to two parts.
    """
    names = list(dict.fromkeys(known))
    found = [word] if word in names else [n for n in names if short_name(n) == word]
    if not found:
        raise unknown("setting", word, {short_name(name) for name in names})
    if len(found) > 1:
        raise InputError(f"setting '{word}' belongs to two parts; say {' or '.join(found)}")
    return found[0]


def short_name(name: str) -> str:
    """Drop the part from a setting's name."""
    return name.rpartition(".")[2]


def differing(found: Sequence[Settings], but: Collection[str] = ()) -> list[str]:
    """List the settings in which runs differ.

    Args:
        found: flat settings of each run.
        but: names to leave out, with the settings that follow from them.

    Returns:
        Full names; neither the seed nor the epochs that are kept or judged.
    """
    names = dict.fromkeys(name for settings in found for name in settings)
    differ = [n for n in names if len({_key(settings.get(n)) for settings in found}) > 1]
    ignored = _NOT_COMPARED | {*but} | _followers([*but, *differ])
    return [n for n in differ if n not in ignored]


def alike(
    items: Iterable[Item], settings: Callable[[Item], Settings], but: Collection[str] = ()
) -> list[list[Item]]:
    """Group runs that agree on every setting but the seed.

    Args:
        items: runs, or their results.
        settings: from an item to its flat settings.
        but: further settings that may differ, with the settings that follow from them.

    Returns:
        Groups in order of their first item.
    """
    ignored = _NOT_COMPARED | {*but} | _followers(but)
    groups: dict[str, list[Item]] = {}
    for item in items:
        own = sorted((n, _key(v)) for n, v in settings(item).items() if n not in ignored)
        groups.setdefault(repr(own), []).append(item)
    return list(groups.values())


def seeds_joined(items: Iterable[Item], origin: Callable[[Item], Provenance]) -> list[list[Item]]:
    """Group runs that differ only in their seed; one of unknown seed stands alone.

    Args:
        items: runs, or their results.
        origin: from an item to its provenance.

    Returns:
        Groups in order of their first item.

    Raises:
        InputError: the same run is given twice.
    """
    groups: list[list[tuple[int, Item]]] = []
    for group in alike(enumerate(items), lambda one: flat_settings(origin(one[1]).config["plan"])):
        _check_distinct(origin(item) for _, item in group)
        known = [one for one in group if _seed(origin(one[1])) is not None]
        groups += [known] if known else []
        groups += [[one] for one in group if _seed(origin(one[1])) is None]
    groups.sort(key=lambda group: group[0][0])
    return [[item for _, item in group] for group in groups]


def check_distinct_seeds(origins: Iterable[Provenance]) -> None:
    """Check that runs are different seeds of one setting, so that they may be averaged.

    Args:
        origins: of runs that agree on every setting.

    Raises:
        InputError: two have one seed, or one has none that is known.
    """
    found = list(origins)
    _check_distinct(found)
    if len(found) > 1 and any(_seed(one) is None for one in found):
        names = ", ".join(f"'{one.config['run']}'" for one in found)
        raise InputError(
            f"runs {names} agree on every setting, and their seeds are not known, so they cannot "
            "be averaged as seeds; give one of them"
        )


def _check_distinct(origins: Iterable[Provenance]) -> None:
    """Check that seeds differ, or weights on the same data where no seed is known."""
    seen: dict[Any, str] = {}
    for origin in origins:
        seed, run = _seed(origin), str(origin.config["run"])
        judged = (origin.weights_sha256, origin.data_sha256, origin.bn_mode)
        which = judged if seed is None else seed
        if which in seen:
            same = "have the same weights" if seed is None else f"on the seed {seed}"
            raise InputError(
                f"runs '{seen[which]}' and '{run}' agree on every setting and {same}; give one of "
                "them"
            )
        seen[which] = run


def _seed(origin: Provenance) -> int | None:
    """Return the seed of the training; unknown of an external model."""
    seed: int | None = origin.config["plan"]["seed"]
    return seed


def setting_labels(found: Sequence[Settings], but: Collection[str] = ()) -> list[str]:
    """Name settings by their method, and by the others that differ where methods repeat.

    Args:
        found: flat settings, one a label.
        but: settings that do not tell them apart, such as the one on an axis.
    """
    labels = []
    for settings in found:
        same = [other for other in found if other["method"] == settings["method"]]
        extra = [f"{short_name(n)} {settings.get(n)}" for n in differing(same, but)]
        labels.append(", ".join([str(settings["method"]), *extra]))
    return labels


def told_apart(
    labels: Sequence[str], provenances: Sequence[Provenance], runs: Sequence[RunResults]
) -> list[str]:
    """Add the folder to labels that repeat."""
    names = run_names(provenances, runs)
    return [
        label if list(labels).count(label) == 1 else f"{label} ({name})"
        for label, name in zip(labels, names, strict=True)
    ]


def seed_note(counts: Collection[int]) -> str:
    """Say how many seeds stand behind points; nothing for one each."""
    if max(counts) == 1:
        return ""
    low, high = min(counts), max(counts)
    return f" ({high} seeds)" if low == high else f" ({low} to {high} seeds)"


def data_label(origin: Provenance) -> str:
    """Name a run's data and imbalance."""
    plan = origin.config["plan"]
    imbalance = plan.get("imbalance", 1)
    name = str(plan.get("data", "data")).rpartition("/")[2]
    return name if imbalance == 1 else f"{name}, imbalance {imbalance:g}"


def check_same_data(origins: Sequence[Provenance], compared: str) -> None:
    """Check that runs are on the same data.

    Args:
        origins: of the runs.
        compared: such as ``gains``.

    Raises:
        InputError: data, imbalance or network differ.
    """
    for name in ("data", "imbalance", "model"):
        plans = [(origin.config["plan"].get(name), origin) for origin in origins]
        if len({_key(value) for value, _ in plans}) > 1:
            named = {_key(value): f"{value} ({method_label(origin)})" for value, origin in plans}
            labels = ", ".join(named.values())
            raise InputError(f"{compared} do not compare over different {name}: {labels}")


def _followers(names: Iterable[str]) -> set[str]:
    return {follower for name in names for follower in _FOLLOWERS.get(name, set())}


def _key(value: Any) -> str:
    """Tell values apart; 100 and 100.0 are one."""
    return repr(float(value) if type(value) is int else value)
