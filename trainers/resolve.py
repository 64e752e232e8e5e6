"""The resolution of a training run's configuration: by the defaults of its data, recipe and method.

No tensor library is imported here.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from landscape.errors import InputError, unknown
from trainers.config import Plan, TrainConfig
from trainers.data.catalogue import source_of
from trainers.data.statistics import Normalisation
from trainers.methods.grammar import Method, parse_method
from trainers.methods.part import NOT_NEGATIVE, POSITIVE, Value
from trainers.models.catalogue import check_model
from trainers.models.clip_files import clip_folder, is_clip, vision_shape
from trainers.recipes import LARGE_SETS, RECIPES, Recipe

_PROMPT = "a photo of a {}."  # released LIFT code
_SADDLE_CHECKPOINTS = (10, 50, 160, 170, 190, 200)


def resolve(config: TrainConfig, num_classes: int) -> Plan:
    """Resolve a configuration by the defaults of its data, recipe and method.

    Args:
        config: as given.
        num_classes: of the opened data.

    Raises:
        InputError: an unknown name, or a value out of range.
    """
    method = parse_method(config.method)
    name = _recipe_name(config, method, num_classes)
    recipe = _recipe(name, config, method, num_classes)
    plan = Plan(
        method=config.method,
        data=config.data,
        imbalance=imbalance_of(config),
        imbalance_type=config.imbalance_type,
        image_size=config.image_size,
        split=config.split,
        model=_model(config, method, RECIPES[name].model),
        recipe=recipe,
        settings=method.settings(_overrides(config, method), _data_keys(config, num_classes)),
        checkpoints=(),
        eval_every=config.eval_every,
        seed=config.seed,
        checkpoint_steps=config.checkpoint_steps,
        classes=config.classes,
        precision=config.precision,
        states=tuple(sorted(set(config.states))),
        subset_seed=subset_seed_of(config),
        normalisation=config.normalisation or _normalisation(config, name),
        pretrained=None if config.pretrained is None else str(config.pretrained),
        **_clip(config, method),
    )
    checkpoints = config.checkpoints
    if checkpoints is None:
        checkpoints = tuple(round(e * recipe.epochs / 200) for e in _SADDLE_CHECKPOINTS)
    for flag, epochs in (("--checkpoints", checkpoints), ("--states", config.states)):
        if any(not 0 <= epoch <= plan.epochs for epoch in epochs):
            raise InputError(f"{flag} {epochs} leave the {plan.epochs} epochs of the run")
    return replace(plan, checkpoints=tuple(sorted({0, recipe.epochs, plan.epochs, *checkpoints})))


def imbalance_of(config: TrainConfig) -> float:
    """Return the imbalance factor of the configuration, or of the data."""
    return source_of(config.data).imbalance if config.imbalance is None else config.imbalance


def subset_seed_of(config: TrainConfig) -> int:
    """Return the subset's seed of the configuration, or of the method.

    Raises:
        InputError: it is no seed.
    """
    seed = config.subset_seed
    if seed is None:
        return parse_method(config.method).subset_seed
    if not 0 <= seed < 2**32:
        raise InputError(f"--subset-seed is {seed}; a seed is at least 0 and below 2^32")
    return seed


def _normalisation(config: TrainConfig, recipe: str) -> Normalisation | None:
    if config.data == "cifar100" and recipe == "c":
        return "cifar100"
    if config.model is not None and is_clip(config.model) and config.data != "digits":
        return "clip"
    return RECIPES[recipe].normalisation


def default_out(config: TrainConfig) -> Path:
    """Name the run folder after the data, imbalance, method and seed."""
    imbalance = imbalance_of(config)
    data = Path(config.data.partition(":")[2]).name or config.data
    only = "".join(f"-only-{scope.replace('/', '')}" for scope in config.classes)
    return Path("runs") / f"{data}-{imbalance:g}-{config.method}{only}-seed{config.seed}"


def _model(config: TrainConfig, method: Method, usual: str | None) -> str:
    """Return the network asked for, or that of the recipe, the data or a system's code."""
    source = source_of(config.data)
    model = config.model or usual or source.model
    if method.model and source.model == "resnet32" and not (config.model or usual):
        model = method.model
    check_model(model)
    return model


def _clip(config: TrainConfig, method: Method) -> dict[str, Any]:
    """Return the values of a plan that only a CLIP model has."""
    if config.model is None or not is_clip(config.model):
        given = {"--tuning": config.tuning, "--prompt": config.prompt}
        for flag in (flag for flag, value in given.items() if value is not None):
            raise InputError(f"{flag} is for a CLIP model (--model clip:FOLDER); leave it out")
        return {}
    if config.pretrained is not None:
        raise InputError("--pretrained is for networks of torchvision; clip: names its own weights")
    for kind, word in {"transform": "m2m", "sampler": "bilateral"}.items():
        if method.words[kind] == word:
            raise InputError(f"{word} builds a second network, of random weights; leave it out")
    prompt = config.prompt or _PROMPT
    if "{}" not in prompt:
        raise InputError(f"--prompt '{prompt}' has no {{}}, which the name of a class replaces")
    folder = clip_folder(config.model, download=config.download)
    tuning = config.tuning or "adapter"
    return {"vision": vision_shape(folder), "tuning": tuning, "prompt": prompt}


def _recipe_name(config: TrainConfig, method: Method, num_classes: int) -> str:
    if config.recipe != "auto":
        if config.recipe not in RECIPES:
            raise unknown("recipe", config.recipe, RECIPES)
        return config.recipe
    if config.model is not None and is_clip(config.model):
        return "clip-full" if config.tuning == "full" else "clip"
    default = source_of(config.data).recipe
    large, whose = LARGE_SETS.get(num_classes, ("", ""))
    if config.data.startswith("filelist:") and large:
        contrasted = "gkp-gsa" if method.words["loss"] == "bcl" else ""
        names = (method.system_name, method.words["rule"], contrasted, whose)
        return next(f"{n}-{large}" for n in names if f"{n}-{large}" in RECIPES)
    return (method.recipe or default) if default == "a" else default


def _recipe(name: str, config: TrainConfig, method: Method, num_classes: int) -> Recipe:
    preset = RECIPES[name].recipe
    if method.system and method.batch_size and name == method.system.recipe:
        preset = replace(preset, batch_size=method.batch_size)
    if name == "b" and num_classes == 100:
        preset = replace(preset, weight_decay=1e-3)
    if name == "saddle-inat" and method.words["loss"] == "ldam":
        preset = replace(preset, weight_decay=1e-4)
    return _overridden(preset, config)


def _overridden(recipe: Recipe, config: TrainConfig) -> Recipe:
    for name in ("epochs", "batch_size", "lr", "weight_decay", "eval_every"):
        value, flag = getattr(config, name), f"--{name.replace('_', '-')}"
        allowed = NOT_NEGATIVE if name == "weight_decay" else POSITIVE
        if value is not None and value not in allowed:
            raise InputError(f"{flag} {value} is out of range: it has to be finite and {allowed}")
    if config.epochs is not None:
        recipe = recipe.scaled(config.epochs)
    given = {n: getattr(config, n) for n in ("batch_size", "lr", "weight_decay")}
    return replace(recipe, **{n: v for n, v in given.items() if v is not None})


def _data_keys(config: TrainConfig, num_classes: int) -> tuple[str, ...]:
    found: tuple[str, ...] = (str(num_classes), f"{num_classes}/{imbalance_of(config):g}")
    if config.data == "digits":
        found = ("digits",)
    if config.model is not None and is_clip(config.model):
        found = (*found, "clip", f"clip-{num_classes}")
    return found


def _overrides(config: TrainConfig, method: Method) -> dict[str, Value]:
    overrides: dict[str, Value] = {}
    for pair in config.settings:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--settings '{pair}' is not of the form name=value")
        overrides[name] = value
    if config.rho is None:
        return overrides
    if "rho" not in method.parts["rule"].settings:
        raise InputError(
            f"--rho is the radius of a sharpness-aware rule, and '{method.name}' has none; use "
            f"--method {method.base}+sam, or leave --rho out"
        )
    given = {"rho", "rule.rho"} & set(overrides)
    if given:
        raise InputError(f"the radius is given twice, by --rho and by --settings {given.pop()}")
    return overrides | {"rho": config.rho}
