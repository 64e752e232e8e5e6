"""The one table of methods: a method is a sentence, and this is its vocabulary.

``base[+rule…][@variant]``: the base is a loss and, after a dash, a weighting (``ce``,
``ldam-drw``); rules follow with a plus (``ce-drw+sam``). A rule knows no loss and a loss knows no
rule, so every combination trains. Settings carry their source; implementations are imported when
built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from landscape.errors import InputError, unknown

Value = float | int | str


@dataclass(frozen=True)
class Setting:
    """A constant of a method."""

    value: Value
    source: str
    choices: tuple[str, ...] = ()  # of a setting in words


@dataclass(frozen=True)
class Part:
    """One word of a method's sentence.

    ``variants`` maps a variant's name to the settings in which it differs and a line that says how.
    """

    summary: str
    paper: str
    implementation: str  # module:callable
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
    head: Literal["linear", "cosine"] = "linear"
    variants: Mapping[str, tuple[Mapping[str, Value], str]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def build(self, **given: Any) -> Any:
        """Import the implementation and call it."""
        return self.load()(**given)

    def load(self) -> Callable[..., Any]:
        """Import the implementation."""
        module, _, name = self.implementation.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), name)
        return loaded


_CUI = "Cui et al. 2019"
_LDAM = "Cao et al. 2019"
_KINDS = ("effective", "inverse")
_DRW_START = Setting(0.8, "epoch 160 of 200, released LDAM-DRW code")

LOSSES = {
    "ce": Part(
        "cross-entropy",
        "-",
        "trainers.losses.cross_entropy:cross_entropy",
    ),
    "ldam": Part(
        "label-distribution-aware margins on a cosine classifier",
        _LDAM,
        "trainers.losses.ldam:ldam",
        {
            "max_margin": Setting(0.5, "released LDAM-DRW code"),
            "scale": Setting(30.0, "released LDAM-DRW code"),
        },
        head="cosine",
    ),
    "la": Part(
        "logit adjustment; balanced softmax at tau = 1",
        "Menon et al. 2021",
        "trainers.losses.logit_adjustment:logit_adjustment",
        {"tau": Setting(1.0, "Menon et al. 2021, Sec. 5")},
    ),
    "vs": Part(
        "vector scaling: multiplicative and additive logit adjustment",
        "Kini et al. 2021",
        "trainers.losses.vector_scaling:vector_scaling",
        {
            "gamma": Setting(0.3, "default of the released VS-Loss code"),
            "tau": Setting(1.0, "default of the released VS-Loss code"),
        },
    ),
}

WEIGHTINGS = {
    "": Part("every sample counts alike", "-", "trainers.weighting:no_weights"),
    "cb": Part(
        "class-balanced: effective number of samples",
        _CUI,
        "trainers.weighting:class_weights",
        {
            "start": Setting(0.0, "from the first epoch"),
            "kind": Setting("effective", _CUI, _KINDS),
            "beta": Setting(0.9999, "released LDAM-DRW code"),
        },
    ),
    "drw": Part(
        "deferred re-weighting: class-balanced for the last fifth of training",
        _LDAM,
        "trainers.weighting:class_weights",
        {
            "start": _DRW_START,
            "kind": Setting("effective", "released LDAM-DRW code", _KINDS),
            "beta": Setting(0.9999, "released LDAM-DRW code"),
        },
        variants={
            "paper": (
                {"kind": "inverse"},
                "weights 1/n (Rangwani et al. 2022, Eq. 2) in place of the effective number",
            )
        },
    ),
}

RULES = {
    "sgd": Part("the gradient of the batch loss", "-", "trainers.rules.sgd:SGD"),
    "sam": Part(
        "sharpness-aware minimisation: the gradient at the end of an ascent step of length rho",
        "Foret et al. 2021; with re-weighting, Rangwani et al. 2022",
        "trainers.rules.sam:SAM",
        {
            "rho": Setting(
                0.5, "Rangwani et al. 2022: 0.5 or 0.8 for most; by base and data below"
            ),
            "bn_update": Setting(
                "both",
                "both passes update running statistics: released Saddle-LongTail code",
                ("both", "first"),
            ),
        },
    ),
}

# ρ of SAM in the released Saddle-LongTail commands, by number of classes and base.
SADDLE_RHO = {
    (10, "ce"): 0.1,
    (10, "ce-drw"): 0.5,
    (10, "ldam-drw"): 0.8,
    (100, "ce"): 0.2,
    (100, "ce-drw"): 0.8,
    (100, "ldam-drw"): 0.8,
}


@dataclass(frozen=True)
class Method:
    """A parsed method name."""

    name: str
    base: str
    loss: str
    weighting: str
    rule: str
    variant: str

    @property
    def parts(self) -> dict[str, Part]:
        """The table's entries, by kind."""
        return {
            "loss": LOSSES[self.loss],
            "weighting": WEIGHTINGS[self.weighting],
            "rule": RULES[self.rule],
        }

    def settings(self, overrides: Mapping[str, Value] | None = None) -> dict[str, dict[str, Value]]:
        """Resolve the settings of every part.

        Args:
            overrides: values by setting name; each must belong to a part of this method.

        Returns:
            For each kind of part, its settings with variant and overrides applied.

        Raises:
            InputError: an override names no setting of this method.
        """
        given = dict(overrides or {})
        resolved = {}
        for kind, part in self.parts.items():
            values = {name: setting.value for name, setting in part.settings.items()}
            values |= part.variants.get(self.variant, ({}, ""))[0]
            for name in [n for n in values if n in given]:
                values[name] = _checked(name, part.settings[name], given.pop(name))
            resolved[kind] = values
        if given:
            known = [name for values in resolved.values() for name in values]
            raise unknown(f"setting of method '{self.name}'", next(iter(given)), known)
        return resolved


def parse_method(name: str) -> Method:
    """Parse ``base[+rule][@variant]``.

    Raises:
        InputError: a word is not in the table, or no part has the variant.
    """
    sentence, _, variant = name.partition("@")
    base, *rules = sentence.split("+")
    loss, _, weighting = base.partition("-")
    if loss not in LOSSES or weighting not in WEIGHTINGS or base.endswith("-"):
        raise unknown("method", name, method_names())
    if len(rules) > 1 or any(rule not in RULES for rule in rules):
        raise unknown("rule in method", "+".join(rules), RULES)
    method = Method(name, base, loss, weighting, rules[0] if rules else "sgd", variant)
    variants = {v for part in method.parts.values() for v in part.variants}
    if variant and variant not in variants:
        offered = f"it has {', '.join(sorted(variants))}" if variants else "it has none"
        raise InputError(f"method '{sentence}' has no variant '{variant}'; {offered}")
    return method


def method_names() -> list[str]:
    """List every method without variants."""
    bases = [f"{loss}-{w}" if w else loss for loss in LOSSES for w in WEIGHTINGS]
    return [base if rule == "sgd" else f"{base}+{rule}" for base in bases for rule in RULES]


def _checked(name: str, setting: Setting, given: Value) -> Value:
    if setting.choices:
        if given not in setting.choices:
            raise unknown(f"value of setting '{name}'", str(given), setting.choices)
        return given
    try:
        return type(setting.value)(given)
    except ValueError as error:
        raise InputError(f"setting value '{given}' is not a number") from error
