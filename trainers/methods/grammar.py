"""The one table of methods: a method is a sentence, and this is its grammar.

``base[+regulariser][+rule][@variant]``. The base is a loss and, after dashes, a weighting, a
sampler, an augmentation, a batch transform and a way of staging, each at most once, in any order
(``ce``, ``ldam-drw``, ``ce-mixup``); a base that names no loss trains ``ce`` (``crt-mixup``). A
rule knows no loss and a loss knows no rule, so combinations train, but for pairs of which one
excludes the other. A system of a paper has a name of its own (``cc-sam``, ``plot``) that stands for
a sentence. Settings carry their source; implementations are imported when built.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from landscape.errors import InputError, unknown
from trainers.methods.base import (
    AUGMENTATIONS,
    LOSSES,
    SAMPLERS,
    STAGES,
    TRANSFORMS,
    WEIGHTINGS,
)
from trainers.methods.part import Part, Value
from trainers.methods.regularisers import REGULARISERS
from trainers.methods.rules import RULES
from trainers.methods.systems import SYSTEMS, System

KINDS: Mapping[str, Mapping[str, Part]] = {
    "loss": LOSSES,
    "weighting": WEIGHTINGS,
    "sampler": SAMPLERS,
    "augmentation": AUGMENTATIONS,
    "transform": TRANSFORMS,
    "stages": STAGES,
    "regulariser": REGULARISERS,
    "rule": RULES,
}
_IN_BASE = ("weighting", "sampler", "augmentation", "transform", "stages")
_WITHOUT_SETTINGS = ("augmentation",)

# ρ of SAM in the released Saddle-LongTail commands, by number of classes and base, and the one of
# which its schedules are multiples: 0.05 to 0.6 by steps, 0.05 to 0.8 along the line, on any base.
_SADDLE_RHO = {
    "10": {"ce": 0.1, "ce-drw": 0.5, "ldam-drw": 0.8},
    "100": {"ce": 0.2, "ce-drw": 0.8, "ldam-drw": 0.8},
}
_SCHEDULED_RHO = {"step": 0.1, "step-large": 0.1, "step-inat": 0.1, "linear": 0.8}


@dataclass(frozen=True)
class Method:
    """Hold a parsed method name."""

    name: str
    sentence: str  # with a system's name written out
    words: Mapping[str, str]  # kind -> word
    variant: str
    system: System | None

    @property
    def base(self) -> str:
        """Return the sentence up to the first plus."""
        return self.sentence.partition("+")[0]

    @property
    def parts(self) -> dict[str, Part]:
        """Return the table's entries, by kind."""
        return {kind: KINDS[kind][word] for kind, word in self.words.items()}

    @property
    def system_name(self) -> str:
        """Return the name of the system, or an empty word."""
        return next((name for name, system in SYSTEMS.items() if system is self.system), "")

    @property
    def recipe(self) -> str:
        """Return the recipe of the system's or the loss's CIFAR runs, if it has one of its own."""
        return self.system.recipe if self.system else self.parts["loss"].recipe

    @property
    def model(self) -> str | None:
        """Return the network of a system's released code."""
        return self.system.model if self.system and self.variant == "released" else None

    @property
    def batch_size(self) -> int | None:
        """Return the batch size of a system's released code, where it is not the recipe's."""
        return self.system.batch_size if self.system and self.variant == "released" else None

    @property
    def subset_seed(self) -> int:
        """Return the seed of the long-tailed subset: 0, or that of a system's released code."""
        return self.system.subset_seed if self.system and self.variant == "released" else 0

    @property
    def system_settings(self) -> Mapping[str, Value]:
        """Return the settings of a system's released code that its words do not hold."""
        return self.system.settings if self.system and self.variant == "released" else {}

    def settings(
        self, overrides: Mapping[str, Value] | None = None, data: tuple[str, ...] = ()
    ) -> dict[str, dict[str, Value]]:
        """Resolve the settings of every part.

        Args:
            overrides: values by setting name; ``rule.gamma`` names the part's kind too.
            data: keys of the published settings that hold for the data, such as ``10``.

        Returns:
            For each kind of part, its settings with variant, data and overrides applied.

        Raises:
            InputError: an override names no setting of this method or one of two parts, is out of
                range, or has no effect beside the others.
        """
        parts = {k: part for k, part in self.parts.items() if k not in _WITHOUT_SETTINGS}
        resolved = {k: part.resolved(self.variant, data) for k, part in parts.items()}
        elsewhere = [part.elsewhere.get(self.variant, {}) for part in parts.values()]
        for title, value in (item for values in elsewhere for item in values.items()):
            kind, _, name = title.partition(".")
            if name in resolved[kind]:
                resolved[kind][name] = value
        for title, value in self.system_settings.items():
            kind, name = self._owner(title)
            resolved[kind][name] = value
        given = {self._owner(title): value for title, value in (overrides or {}).items()}
        for (kind, name), value in given.items():
            resolved[kind][name] = self.parts[kind].settings[name].read(name, value)
        radius = self._published_radius(data, resolved["rule"])
        if radius is not None and ("rule", "rho") not in given:
            resolved["rule"]["rho"] = radius
        for kind, name in given:
            self._refuse_without_effect(kind, name, resolved[kind])
        return resolved

    def published_for(self) -> list[tuple[str, ...]]:
        """List the data for which settings may be published, as :meth:`settings` takes them."""
        found = {"digits", *_SADDLE_RHO}
        for key in (key for part in self.parts.values() for key in part.by_data):
            data, _, variant = key.partition("@")
            if variant in ("", self.variant):
                found.add(data)
        order = sorted(found, key=lambda data: (data[0] == "c", _numbers(data)))
        return [_keys(data) for data in order]

    def _owner(self, title: str) -> tuple[str, str]:
        """Find the part and the name of a setting written as ``gamma`` or ``rule.gamma``."""
        kind, dot, name = title.rpartition(".")
        settings = {k: part.settings for k, part in self.parts.items()}
        owners = [k for k in settings if name in settings[k] and (not dot or k == kind)]
        if not owners:
            known = [n for values in settings.values() for n in values]
            raise unknown(f"setting of method '{self.name}'", title, known)
        if len(owners) > 1:
            choices = " or ".join(f"{k}.{name}" for k in owners)
            raise InputError(f"setting '{name}' belongs to two parts; say {choices}")
        return owners[0], name

    def _published_radius(self, data: tuple[str, ...], rule: Mapping[str, Value]) -> float | None:
        """Return SAM's radius in the released Saddle-LongTail commands and code, if any."""
        if self.words["rule"] != "sam" or {"digits", "clip"} & set(data):
            return None
        if rule["schedule"] != "constant":
            return _SCHEDULED_RHO[str(rule["schedule"])]
        return next((_SADDLE_RHO[k].get(self.base) for k in data if k in _SADDLE_RHO), None)

    def _refuse_without_effect(self, kind: str, name: str, resolved: Mapping[str, Value]) -> None:
        needed = self.parts[kind].settings[name].only_with
        if needed is None or resolved[needed[0]] == needed[1]:
            return
        other, value = needed
        raise InputError(
            f"'{name}' has no effect on '{self.name}', whose {other} is {resolved[other]}: add "
            f"{other}={value} to --settings, or leave '{name}' out"
        )


def parse_method(name: str) -> Method:
    """Parse ``base[+regulariser][+rule][@variant]``, with a system's name for the base or all.

    Raises:
        InputError: a word is not in the table, stands twice or beside one that excludes it, or no
            part has the variant.
    """
    title, _, variant = name.partition("@")
    first, plus, rest = title.partition("+")
    system = SYSTEMS.get(first)
    sentence = title
    if system is not None:
        released = system.released if variant == "released" else None
        sentence = (released or system.sentence) + plus + rest
    base, *rules = sentence.split("+")
    words = _base_words(base, name) | _rule_words(rules)
    method = Method(name, sentence, words, variant, system)
    _refuse_together(method)
    variants = {v for part in method.parts.values() for v in part.variants}
    if variants:
        variants.add("paper")  # what holds without a variant, where no part has one of that name
    if variant and variant not in variants:
        offered = f"it has {', '.join(sorted(variants))}" if variants else "it has none"
        raise InputError(f"method '{title}' has no variant '{variant}'; {offered}")
    return method


def _refuse_together(method: Method) -> None:
    """Refuse an augmentation of compared views, and pairs of batches beside pairs of images."""
    if method.words["augmentation"] and method.parts["loss"].views > 1:
        raise InputError(
            f"'{method.name}': the first of the views that {method.words['loss']} compares is "
            f"augmented so already; leave {method.words['augmentation']} out"
        )
    other = method.words["transform"]
    if method.parts["loss"].views > 1:
        other = method.words["loss"]
    if method.words["sampler"] == "bilateral" and other:
        raise InputError(
            f"'{method.name}' pairs batches (bilateral) and images ({other}); leave one out"
        )


def _numbers(data: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", data)]


def _keys(data: str) -> tuple[str, ...]:
    """Return a key of published settings with those that hold beside it, such as 10 and 10/50."""
    first, _, classes = data.partition("-")
    if classes:
        return (classes, first, data)
    return tuple(dict.fromkeys((data.partition("/")[0], data)))


def method_names() -> list[str]:
    """List every loss and weighting with every rule, without variants, and the systems."""
    bases = [f"{loss}-{w}" if w else loss for loss in LOSSES for w in WEIGHTINGS]
    rules = [base if rule == "sgd" else f"{base}+{rule}" for base in bases for rule in RULES]
    return [*rules, *SYSTEMS]


def _base_words(base: str, name: str) -> dict[str, str]:
    found = {"loss": "ce"} | dict.fromkeys(_IN_BASE, "")
    words = base.split("-")
    if words[0] in LOSSES:
        found["loss"] = words.pop(0)
    elif words[0] in WEIGHTINGS or words[0] in SAMPLERS:
        raise unknown("method", name, method_names())
    for word in words:
        kinds = [kind for kind in _IN_BASE if word and word in KINDS[kind]]
        if not kinds:
            raise unknown("method", name, method_names())
        if found[kinds[0]]:
            raise InputError(
                f"method '{name}' has two words of one kind, '{found[kinds[0]]}' and '{word}'"
            )
        found[kinds[0]] = word
    return found


def _rule_words(words: list[str]) -> dict[str, str]:
    found = {"regulariser": "", "rule": "sgd"}
    for kind in found:
        table = KINDS[kind]
        if words and words[0] and words[0] in table:
            found[kind] = words[0]
            words = words[1:]
    if words:
        known = [*REGULARISERS, *RULES]
        if words[0] in known:
            raise InputError(
                f"'+{words[0]}' does not follow there: a method has one regulariser and then one "
                "rule, as in bcl+gkp+gsa"
            )
        raise unknown("rule in method", words[0], [word for word in known if word])
    return found
