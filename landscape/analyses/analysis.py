"""Orchestrate an analysis: check its settings, time it, attach its provenance."""

import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, wraps
from inspect import BoundArguments, Signature, signature
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import torch

from landscape.analyses.notebook import notebook_progress
from landscape.config import DiagnoseConfig
from landscape.errors import InputError, unknown
from landscape.global_state import controlled_state
from landscape.results.provenance import Provenance, RunOrigin, external_plan
from landscape.results.result import Result
from landscape.subject.data import data_sha256
from landscape.subject.evaluation_copy import unwrapped
from landscape.subject.parameters import check_weights, weight_of
from landscape.subject.state_dict import weights_sha256
from landscape.subject.subject import DEFAULT_CHECKPOINT, Subject

Precision = torch.dtype | Literal["float32", "float64"] | None
Progress = Callable[[str], None]
Parameters = ParamSpec("Parameters")
Found = TypeVar("Found", bound=Result)
Config = TypeVar("Config")
Complete = Callable[[Any, Mapping[str, Any]], Any]  # settings, arguments -> settings
_NUMBERS: dict[type, type] = {int: Integral, float: Real}
_OPTIONS = {item.name for item in fields(DiagnoseConfig)}


def analysis(
    name: str, complete: Complete | None = None
) -> Callable[[Callable[Parameters, Found]], Callable[Parameters, Found]]:
    """Decorate a function of a subject, settings and options as an analysis.

    Its options are checked as those of the command line are, and its record gets a provenance, as
    do the unfinished records that it hands to an argument ``keep``.

    Args:
        name: of the analysis, as files give it.
        complete: gives the settings to be stored where other arguments decide some of them.
    """

    def decorate(function: Callable[Parameters, Found]) -> Callable[Parameters, Found]:
        shape = signature(function)

        @wraps(function)
        def called(*args: Parameters.args, **keywords: Parameters.kwargs) -> Found:
            bound = _bound(function.__name__, shape, args, keywords)
            with controlled_state(), notebook_progress(name) as shown:
                call = Call.of(name, bound.arguments, complete)
                bound.arguments.update(call.arguments)
                if bound.arguments.get("progress", shown) is None:
                    bound.arguments["progress"] = shown
                return call.finished(function(*bound.args, **bound.kwargs))

        return called

    return decorate


def _bound(
    name: str, shape: Signature, args: tuple[Any, ...], keywords: dict[str, Any]
) -> BoundArguments:
    """Bind a call; keywords that name settings are taken as changes of these.

    Raises:
        TypeError: a keyword is neither an argument nor a setting.
    """
    default = shape.parameters["settings"].default if "settings" in shape.parameters else None
    known = {item.name for item in fields(default)} if default is not None else set()
    own = {k: v for k, v in keywords.items() if k not in shape.parameters and k in known}
    for keyword in keywords.keys() - own.keys() - shape.parameters.keys():
        raise TypeError(str(unknown(f"argument of {name}", keyword, [*shape.parameters, *known])))
    bound = shape.bind(*args, **{k: v for k, v in keywords.items() if k not in own})
    bound.apply_defaults()
    if own:
        bound.arguments["settings"] = replace(bound.arguments["settings"], **own)
    return bound


def precision(dtype: Precision, subject: Subject) -> torch.dtype:
    """Resolve a precision; by default the model's, single precision at least."""
    if dtype is None:
        own = weight_of(subject.model).dtype
        return torch.float64 if own == torch.float64 else torch.float32
    found: torch.dtype = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype)
    return found


@dataclass(frozen=True)
class Call:
    """A call of an analysis, its arguments checked."""

    analysis: str
    subject: Subject  # on the data judged
    config: DiagnoseConfig
    arguments: dict[str, Any]
    bn_mode: str
    started: float = field(default_factory=time.perf_counter)

    @staticmethod
    def of(name: str, given: Mapping[str, Any], complete: Complete | None) -> "Call":
        """Check the arguments of a call.

        Raises:
            InputError: a value is out of range or of another type.
        """
        subject: Subject = given["subject"]
        if not isinstance(subject, Subject):
            raise InputError(
                f"a {type(subject).__name__} is given; give landscape.Subject(model, data)"
            )
        options = {option: value for option, value in given.items() if option in _OPTIONS}
        dtype = given["dtype"] or precision(None, subject)
        options["dtype"] = str(dtype).removeprefix("torch.")
        if "settings" in given:
            own = given["settings"]
            options[name] = own if complete is None else complete(own, given)
        analyses = (name.partition("-")[0],)
        config = _config(name, options | {"analyses": analyses})
        config.check()
        checked = {o: getattr(config, o) for o in options if o in given}
        own = config.settings_of(name)
        if own is not None:
            checked["settings"] = own
        judged = subject
        if given.get("data") is not None:
            judged = subject.on(given["data"])
            checked["data"] = judged.data
        check_weights(unwrapped(judged.model))
        bn_mode = getattr(own, "bn_mode", "") or config.bn
        call = Call(name, judged, config, checked, bn_mode)
        keep = given.get("keep")
        if keep is not None:
            checked["keep"] = lambda record: keep(call.finished(record))
        return call

    def finished(self, record: Found) -> Found:
        """Attach the provenance to a record."""
        seconds = time.perf_counter() - self.started
        return record.with_provenance(replace(self.provenance, seconds=seconds))

    @cached_property
    def provenance(self) -> Provenance:
        """Origin of the call's record; hashes are computed once."""
        subject, config, origin = self.subject, self.config, self.origin
        return Provenance(
            analysis=self.analysis,
            checkpoint=subject.checkpoint,
            config={
                "run": origin.run,
                "plan": origin.plan,
                "diagnose": config.plain(),
                "class_names": list(subject.class_names),
                "class_counts": list(subject.class_counts),
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=config.seed,
            dtype=config.dtype,
            device=weight_of(subject.model).device.type,
            torch=str(torch.__version__),
            weights_sha256=weights_sha256(subject.model),
            data_sha256=origin.data_sha256,
            bn_mode=self.bn_mode,
            loss=subject.loss.name,
            seconds=0.0,
        )

    @property
    def origin(self) -> RunOrigin:
        """Origin of the subject; of a model that is of no run, its names."""
        subject = self.subject
        if subject.origin is not None:
            return subject.origin
        data = getattr(subject.data, "dataset", subject.data)
        name = subject.name or type(subject.model).__name__
        at = "" if subject.checkpoint == DEFAULT_CHECKPOINT else f", {subject.checkpoint}"
        plan = external_plan(name, subject.data_name or type(data).__name__, subject.class_counts)
        return RunOrigin(f"{name}{at}", plan, data_sha256(subject.data))


def _config(name: str, options: Mapping[str, Any]) -> DiagnoseConfig:
    """Build the configuration of a call; settings of another package's analysis stand apart."""
    own = {} if name in _OPTIONS else {k: v for k, v in options.items() if k == name}
    config = fitted(DiagnoseConfig, {k: v for k, v in options.items() if k not in own})
    added = tuple((k, fitted(type(settings), vars(settings))) for k, settings in own.items())
    return replace(config, added=added)


def fitted(kind: type[Config], given: Mapping[str, Any]) -> Config:
    """Build a configuration, its values checked.

    Args:
        kind: a configuration dataclass.
        given: values by the names of its fields; where a field is a tuple, any sequence will do,
            and a string stands for a tuple of itself.

    Raises:
        InputError: a value is of another type or not among a field's choices.
    """
    hints = get_type_hints(kind)
    return kind(**{name: _fitted(name, value, hints[name]) for name, value in given.items()})


def _fitted(name: str, value: Any, wanted: Any) -> Any:
    if get_origin(wanted) in (Union, types.UnionType):
        if value is None:
            return None
        (wanted,) = (part for part in get_args(wanted) if part is not type(None))
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise unknown(name, str(value), map(str, get_args(wanted)))
        return value
    if get_origin(wanted) is tuple:
        return _fitted_tuple(name, value, get_args(wanted))
    if not isinstance(value, _NUMBERS.get(wanted, wanted)):
        raise InputError(
            f"{name} is {value!r}, of type {type(value).__name__}; it must be of type "
            f"{wanted.__name__}"
        )
    if isinstance(wanted, type) and is_dataclass(wanted):
        return fitted(wanted, vars(value))
    return wanted(value) if wanted in _NUMBERS else value


def _fitted_tuple(name: str, value: Any, ends: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check each of several values; a text stands for one, not for its letters."""
    try:
        values = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise InputError(f"{name} is {value!r}; it must be a sequence") from None
    if Ellipsis not in ends and len(values) != len(ends):
        raise InputError(f"{name} is {value!r}; it must be {len(ends)} values")
    return tuple(_fitted(name, one, ends[0]) for one in values)
