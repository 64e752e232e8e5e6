"""One call of the Python interface: its settings checked, its result given an origin."""

import json
import re
import time
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import wraps
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import nn

from landscape.config import DiagnoseConfig
from landscape.errors import InputError, unknown
from landscape.results.provenance import Provenance, external_plan
from landscape.results.result import Result
from landscape.subject.data import data_sha256
from landscape.subject.state_dict import weights_sha256
from landscape.subject.subject import Scope, Selection, Subject, asked_scopes

Progress = Callable[[str], None]
Given = ParamSpec("Given")
Found = TypeVar("Found", bound=Result)
_FLAG = re.compile(r"--(?:[a-z]+\.)?([a-z][a-z-]*)")
_NAMES = ("name", "data_name", "checkpoint")
_EVERYWHERE = ("dtype", "batch_size", "seed")
_CHECKPOINT = "model"  # how a checkpoint is called that is given no name
# what an analysis takes besides its own settings
_COMMON = {
    "spectrum": ("scopes", "split", "samples_per_class", "bn"),
    "surface": ("split", "samples_per_class"),
    "gradients": ("samples_per_class",),
    "features": ("split",),
    "similarity": ("split",),
    "sharpness": ("scopes", "split", "samples_per_class"),
    "accuracy": ("split", "bn"),
}
# settings that name runs and checkpoints; models and data are given themselves
_REPLACED = {
    "surface": ("seeds", "through", "trajectory", "marks"),
    "gradients": ("direction",),
    "features": ("data",),
    "similarity": ("data", "against"),
}
Config = TypeVar("Config")
_NUMBERS: dict[type, type] = {int: Integral, float: Real}


def by_keyword(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Let a function's errors name settings as its keywords, ``--spectrum.trace-probes`` say."""

    @wraps(function)
    def called(*args: Given.args, **keywords: Given.kwargs) -> Found:
        try:
            return function(*args, **keywords)
        except InputError as error:
            message = _FLAG.sub(lambda flag: flag[1].replace("-", "_"), str(error))
            raise InputError(message) from error

    return called


@dataclass(frozen=True)
class Call:
    """An analysis asked of a subject."""

    subject: Subject
    analysis: str
    config: DiagnoseConfig
    names: Mapping[str, str]  # name, data_name and checkpoint, those given
    started: float = field(default_factory=time.perf_counter)

    @staticmethod
    def of(analysis: str, subject: Subject, given: Mapping[str, Any], **more: Any) -> "Call":
        """Check the keywords of a call.

        Args:
            analysis: name of the analysis.
            subject: what is diagnosed.
            given: keywords: its own settings, those it shares with others, and names.
            more: settings of its own that are no keywords.

        Raises:
            InputError: an unknown keyword, or a value out of range.
        """
        kind = get_type_hints(DiagnoseConfig).get(analysis)  # accuracy has no settings of its own
        own = names_of(kind, _REPLACED.get(analysis, ())) if kind else []
        common = [*_COMMON[analysis], *_EVERYWHERE]
        for keyword in given:
            if keyword not in (*own, *common, *_NAMES):
                raise unknown("keyword", keyword, [*own, *common, *_NAMES])
        if next(subject.model.parameters(), None) is None:
            raise InputError("the model has no parameters; there is nothing to diagnose")
        shared = {name: value for name, value in given.items() if name in common}
        shared |= {"analyses": (analysis,), "dtype": _dtype_name(given.get("dtype"), subject)}
        settings = {name: value for name, value in given.items() if name in own}
        if kind:
            shared[analysis] = from_keywords(kind, settings | more)
        config = from_keywords(DiagnoseConfig, shared)
        config.check()
        return Call(subject, analysis, config, {n: given[n] for n in _NAMES if n in given})

    @property
    def dtype(self) -> torch.dtype:
        """Precision to compute in."""
        found: torch.dtype = getattr(torch, self.config.dtype)
        return found

    def scopes(self) -> tuple[Scope, ...]:
        """Scopes asked for; without a choice, those that have samples."""
        return asked_scopes(self.subject, self.config.scopes, self.config.split)

    def everything(self) -> Selection:
        """Samples of all classes that have any, class by class."""
        labels = self.subject.data.labels
        present = tuple(labels[labels >= 0].unique().tolist())
        whole = Scope("overall", present)
        return self.subject.select(whole, self.config.samples_per_class, self.config.seed)

    def over(self, data: Any) -> "Call":
        """Take other data in place of the subject's, unless they are ``None``.

        Raises:
            InputError: they are no labelled data, or their labels not among the classes.
        """
        return self if data is None else self._of(self.subject.model, data)

    def by(self, model: nn.Module) -> "Call":
        """Take another model in place of the subject's, on the same data."""
        return self._of(model, self.subject.data)

    def _of(self, model: nn.Module, data: Any) -> "Call":
        own = self.subject
        names = (own.class_names, own.class_counts, own.classifier)
        return replace(self, subject=Subject(model, data, own.loss, *names))

    def finish(self, record: Found, bn_mode: str | None = None) -> Found:
        """Give a result its origin.

        Args:
            record: what was computed.
            bn_mode: BatchNorm's mode where it is not the call's.
        """
        subject, config = self.subject, self.config
        data = getattr(subject.data, "dataset", subject.data)
        name = str(self.names.get("name", type(subject.model).__name__))
        data_name = str(self.names.get("data_name", type(data).__name__))
        checkpoint = str(self.names.get("checkpoint", _CHECKPOINT))
        provenance = Provenance(
            analysis=self.analysis,
            checkpoint=checkpoint,
            config={
                "run": name if checkpoint == _CHECKPOINT else f"{name}, {checkpoint}",
                "plan": external_plan(name, data_name, subject.class_counts),
                "diagnose": json.loads(json.dumps(asdict(config), default=str)),
                "class_names": list(subject.class_names),
                "class_counts": list(subject.class_counts),
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=config.seed,
            dtype=config.dtype,
            device=next(subject.model.parameters()).device.type,
            torch=str(torch.__version__),
            weights_sha256=weights_sha256(subject.model),
            data_sha256=data_sha256(subject.data),
            bn_mode=bn_mode or config.bn,
            loss=subject.loss.name,
            seconds=time.perf_counter() - self.started,
        )
        return record.with_provenance(provenance)


def names_of(kind: type, but: Collection[str] = ()) -> list[str]:
    """List the fields of a configuration dataclass, but for some."""
    return [item.name for item in fields(kind) if item.name not in but]


def from_keywords(kind: type[Config], given: Mapping[str, Any]) -> Config:
    """Build a configuration from keywords.

    Args:
        kind: a configuration dataclass.
        given: values by the names of its fields; where a field is a tuple, any sequence will do,
            and a string stands for a tuple of itself.

    Raises:
        InputError: a name is not a field's, or a value is of another type or not among a field's
            choices.
    """
    hints = get_type_hints(kind)
    for name in given:
        if name not in hints:
            raise unknown("keyword", name, hints)
    return kind(**{name: _fitted(name, value, hints[name]) for name, value in given.items()})


def _dtype_name(dtype: Any, subject: Subject) -> str:
    """Precision by name; that of the model, but single at least, where none is given."""
    if dtype is None:
        found = next(subject.model.parameters()).dtype
        return "float64" if found == torch.float64 else "float32"
    return str(dtype).removeprefix("torch.")


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
