"""Values of options, read as the command line reads them, and checked without running anything."""

import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

from cli.arguments import _nested, argument_registry
from cli.commands.diagnose import Diagnose, Options
from cli.sources.external_config import ExternalConfig
from cli.units.engine import EngineConfig
from landscape.groups import split_classes
from tests.fuzzing.draws import ODD
from trainers.config import TrainConfig
from trainers.data.catalogue import only_classes
from trainers.resolve import default_out, imbalance_of, resolve, subset_seed_of
from trainers.training import prepare

USUAL = ("ce+sam", "2", "tail", "0.5", "class/3", "overall", "1e-3", "0,5", "rho=0.1", "x", "a=b")
NUMBERS = ("-1", "0", "1", "7", "1000", "1e-320", "1e308", "-0.0", "nan", "inf", "9" * 20)
OF_DATA = {"data", "data_root", "imbalance", "subset_seed", "image_size", "workers", "device"}
Words = Mapping[str, PrimitiveConstructorSpec[Any]]


@dataclass(frozen=True)
class Settings:
    """Settings of a command, and what checks them before it runs."""

    base: Any
    check: Callable[[Any, set[str]], object]


def values(draw: random.Random) -> None:
    """Read and check one to three options."""
    settings = SETTINGS[draw.randrange(len(SETTINGS))]
    options = _options(type(settings.base))
    chosen = draw.sample(list(options), draw.choice((1, 1, 2, 3)))
    found = settings.base
    for option in chosen:
        try:
            value = _value(draw, options[option])
        except ValueError:
            return  # which the command line turns into a sentence
        found = _changed(found, option.replace("-", "_").split("."), value)
    settings.check(found, {option.replace("-", "_") for option in chosen})


def _value(draw: random.Random, spec: PrimitiveConstructorSpec[Any]) -> object:
    """Read odd words; mostly such as can be read, since those go further.

    Raises:
        ValueError: they cannot.
    """
    for tried in range(5):
        words = [_word(draw, spec) for _ in range(2 if spec.nargs == "*" else int(spec.nargs))]
        with contextlib.suppress(*[] if tried == 4 else [ValueError]):
            if spec.choices is not None and not set(words) <= set(spec.choices):
                raise ValueError(words)
            return spec.instance_from_str(words)
    raise AssertionError


def _word(draw: random.Random, spec: PrimitiveConstructorSpec[Any]) -> str:
    if spec.choices is not None and draw.random() < 0.7:
        return draw.choice(sorted(spec.choices))
    word = draw.choice([*ODD, *USUAL, *NUMBERS])
    return word.replace("\0", "")  # which main refuses in every word


@cache
def _options(kind: type) -> Words:
    """List how each option of settings is read."""
    registry = argument_registry()
    with registry:
        return {
            name: registry.get_primitive_spec(PrimitiveTypeInfo.make(option.hint, set()))
            for name, option in _nested(kind, "")
        }


def _changed(settings: Any, path: list[str], value: object) -> Any:
    if len(path) > 1:
        value = _changed(getattr(settings, path[0]), path[1:], value)
    return replace(settings, **{path[0]: value})


@cache
def _usual_data() -> Any:
    return prepare(TrainConfig(device="cpu"))[1]


def _check_training(config: TrainConfig, named: set[str]) -> None:
    """Check what training checks before its first step, with data opened where they are named."""
    imbalance_of(config), subset_seed_of(config), default_out(config)
    if named & OF_DATA:
        prepare(replace(config, download=False))
        return
    data = _usual_data()
    split_classes(data.class_counts, config.split)
    data = only_classes(data, config.classes, config.split)
    resolve(config, len(data.class_names))


def _check_diagnosis(options: Options, _: set[str]) -> None:
    Diagnose(options=options)._check()


SETTINGS = (
    Settings(TrainConfig(device="cpu"), _check_training),
    Settings(Options(), _check_diagnosis),
    Settings(ExternalConfig(), lambda config, _: config.check()),
    Settings(EngineConfig(), lambda config, _: config.check()),
)
assert all(is_dataclass(one.base) and fields(one.base) for one in SETTINGS)
