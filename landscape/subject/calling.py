"""Call models: with inputs of any form, in one precision, and leaving them as they were."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature, signature
from typing import Any

from torch import Tensor, nn

from landscape.global_state import run
from landscape.subject.batch import Batch, tensors
from landscape.subject.parameters import weight_of
from landscape.subject.precise import Precise

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_INTERNAL = frozenset(vars(nn.Module()))  # what PyTorch itself keeps in a module


def outputs_of(model: nn.Module, batch: Batch) -> Any:
    """Call a model with a batch's inputs.

    Mappings are passed by keyword, as far as the model's ``forward`` knows the names; tuples and
    lists as so many arguments, if it takes them; anything else as one.

    Raises:
        InputError: the model raised an error, which is named.
    """
    args, named = _arguments(model, batch[0])
    with as_it_was(model), Precise(weight_of(model).dtype):
        return run(model, *args, named=named, about=batch.described)


def takes_inputs(model: nn.Module, count: int) -> bool:
    """Tell whether a model's ``forward`` takes so many inputs by position, by its signature."""
    try:
        takes = signature(model.forward)
    except (TypeError, ValueError):  # a function without Python's signature
        return True
    return _takes_places(takes, count)


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Take back the attributes of modules that keep tensors of a pass, such as caches.

    What was computed from parameters would be out of date once they are moved. Buffers of modules
    in eval mode are taken back, too: of one that follows the batches there, each pass would start
    from another.
    """
    before = [(vars(module), _kept(vars(module))) for module in model.modules()]
    buffers = list(_of_eval_mode(model))
    try:
        yield
    finally:
        for attributes, kept in before:
            if any(map(tensors, _changed(attributes, kept))):
                _restore(attributes, kept)
        for module, name, own, version, value in buffers:
            if module._buffers.get(name) is not own or own._version != version:
                module._buffers[name] = value  # its graph may need what it has become


def _of_eval_mode(model: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor, int, Tensor]]:
    """Yield buffers of real numbers with their versions and values."""
    for module in model.modules():
        for name, own in () if module.training else module._buffers.items():
            if own is not None and own.is_floating_point() and not own.is_inference():
                yield module, name, own, own._version, own.detach().clone()


def kept_beside(module: nn.Module) -> dict[str, Any]:
    """Return the attributes of a module that hold tensors beside its weights and buffers."""
    return {n: v for n, v in vars(module).items() if n not in _INTERNAL and tensors(v)}


def _kept(attributes: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Attributes of a module, with the content of those that are dictionaries or lists."""
    return {
        name: (value, value.copy() if isinstance(value, (dict, list)) else None)
        for name, value in attributes.items()
        if name not in _INTERNAL
    }


def _changed(attributes: dict[str, Any], kept: Mapping[str, tuple[Any, Any]]) -> list[Any]:
    return [
        value
        for name, value in attributes.items()
        if name not in _INTERNAL
        and (name not in kept or kept[name][0] is not value or _differ(value, kept[name][1]))
    ]


def _differ(value: Any, content: Any) -> bool:
    if content is None or len(value) != len(content):
        return content is not None
    if isinstance(value, dict):
        return any(key not in content or content[key] is not part for key, part in value.items())
    return any(one is not other for one, other in zip(value, content, strict=True))


def _restore(attributes: dict[str, Any], kept: Mapping[str, tuple[Any, Any]]) -> None:
    for name in [n for n in attributes if n not in kept and n not in _INTERNAL]:
        del attributes[name]
    for name, (value, content) in kept.items():
        attributes[name] = value
        if isinstance(value, dict):
            value.clear()
            value.update(content)
        elif isinstance(value, list):
            value[:] = content


def _arguments(model: nn.Module, inputs: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    try:
        takes = signature(model.forward)
    except (TypeError, ValueError):  # a function without Python's signature
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return _by_name(takes, inputs)
    several = isinstance(inputs, (tuple, list)) and not hasattr(inputs, "_fields")
    return (inputs if several and _takes_places(takes, len(inputs)) else (inputs,)), {}


def _by_name(
    takes: Signature, inputs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    names = {n for n, p in takes.parameters.items() if p.kind in _BY_NAME}
    known = {name: value for name, value in inputs.items() if name in names}
    if not known and any(p.kind is Parameter.VAR_KEYWORD for p in takes.parameters.values()):
        known = dict(inputs)
    if known and _binds(takes, known):
        return (), known
    return (tuple(inputs.values()) if len(inputs) == 1 else (inputs,)), {}


def _binds(takes: Signature, named: Mapping[str, Any]) -> bool:
    try:
        takes.bind(**named)
    except TypeError:
        return False
    return True


def _takes_places(takes: Signature, count: int) -> bool:
    """Tell whether so many tensors may be passed: a default other than None is no tensor."""
    places = [p for p in takes.parameters.values() if p.kind in _BY_PLACE]
    needed = [p for p in places if p.default is Parameter.empty]
    tensors = [p for p in places if p.default is Parameter.empty or p.default is None]
    if any(p.kind is Parameter.VAR_POSITIONAL for p in takes.parameters.values()):
        return count >= len(needed)
    return len(needed) <= count <= len(tensors) and places[:count] == tensors[:count]
