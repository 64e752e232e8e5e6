"""Find the logits and penultimate features of any model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting, unknown
from landscape.subject.batch import Batch, tensors
from landscape.subject.calling import outputs_of


def logits_of(outputs: Any, num_classes: int | None = None) -> Tensor:
    """Find the logits (B, K) among a model's outputs.

    Args:
        outputs: a tensor; a mapping or object with ``logits``, or with one matrix among its values;
            or a tuple that begins with the logits.
        num_classes: K, where it is known; the first entry of a tuple is no logits then if another
            one alone has K columns.

    Raises:
        InputError: none of these.
    """
    if isinstance(outputs, Tensor):
        return outputs
    named = outputs.get("logits") if isinstance(outputs, Mapping) else None
    named = getattr(outputs, "logits", None) if named is None else named
    if isinstance(named, Tensor):
        return named
    if isinstance(outputs, Mapping):
        matrices = [v for v in outputs.values() if isinstance(v, Tensor) and v.dim() == 2]
        if len(matrices) == 1:
            return matrices[0]
    if isinstance(outputs, (tuple, list)) and outputs and isinstance(outputs[0], Tensor):
        _check_first(outputs, num_classes)
        return outputs[0]
    held = f" with {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else ""
    raise InputError(
        f"the model returns a {type(outputs).__name__}{held}, and no logits are found in it; let "
        "it return a tensor (B, K), or a mapping with 'logits'"
    )


def _check_first(outputs: Sequence[Any], num_classes: int | None) -> None:
    """Check that no later entry of a tuple looks more like the logits than the first."""
    fitting = [place for place, part in enumerate(outputs) if _is_matrix(part, num_classes)]
    if fitting and fitting[0] > 0:
        raise InputError(
            f"the model returns a {type(outputs).__name__} that begins with "
            f"{tuple(outputs[0].shape)}, and its entry {fitting[0]} has the columns of the "
            f"{num_classes} classes; let the model return the logits first, or a mapping with "
            "'logits'"
        )


def _is_matrix(part: Any, columns: int | None) -> bool:
    return isinstance(part, Tensor) and part.dim() == 2 and part.shape[1] == columns


def check_labels(labels: Tensor, logits: Tensor, batch: Batch) -> None:
    """Check that there is a logit for every label.

    Args:
        labels: (B,).
        logits: (B, C).
        batch: whose samples are named.

    Raises:
        InputError: a label is beyond the logits.
    """
    classes = logits.shape[1]
    beyond = (labels >= classes).nonzero()
    if len(beyond):
        place = int(beyond[0])
        raise InputError(
            f"the label of sample {batch.number(place)} is {int(labels[place])}, and the model "
            f"gives {classes} logits, for the classes 0 to {classes - 1}; give the model of these "
            "data"
        )


def find_classifier(
    model: nn.Module, inputs: Any, num_classes: int, name: str | None = None
) -> str:
    """Name the module that maps penultimate features (B, D) to the logits.

    Args:
        model: in eval mode; run once.
        inputs: of some samples.
        num_classes: K; a model may give more logits than there are classes.
        name: take this one.

    Returns:
        Name of the module whose weight is (logits, D), whose input is (B, D) and whose output is
        the logits; or else goes into them; or else, where autograd does not tell, is called at
        all. The last one called of several.

    Raises:
        InputError: there is none, or the one named is not.
    """
    modules, batch = dict(model.named_modules()), Batch(inputs, None)
    if name is not None and name not in modules:
        raise unknown("module", name, (n for n in modules if n))
    called: list[tuple[str, Tensor]] = []
    handles = [
        module.register_forward_hook(_noting(called, n, batch.size))
        for n, module in modules.items()
        if _rows(module) and name in (None, n)
    ]
    try:
        with torch.enable_grad():
            outputs = outputs_of(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    logits = _logits(outputs, num_classes)
    wanted = max([num_classes, *(part.shape[1] for part in logits)])
    fitting = [(n, output) for n, output in called if _rows(modules[n]) == wanted]
    fitting = fitting if name else _giving(fitting, logits)
    if not fitting:
        raise InputError(
            f"no linear layer with {wanted} outputs on (samples, features) was called"
            + (f" as '{name}'" if name else ""),
            *(() if name else ("; name it with ", Setting("classifier"))),
        )
    return fitting[-1][0]


def _giving(called: list[tuple[str, Tensor]], logits: Sequence[Tensor]) -> list[tuple[str, Tensor]]:
    """Keep the layers whose output the logits are, or are computed from; all if untraceable."""
    for test in (_same, _goes_into):
        found = [pair for pair in called if any(test(pair[1], part) for part in logits)]
        if found:
            return found
    traced = all(part.requires_grad for part in (*logits, *(output for _, output in called)))
    return [] if logits and traced else called


def _logits(outputs: Any, num_classes: int) -> list[Tensor]:
    """The logits among outputs; all matrices of K columns where they cannot be told."""
    try:
        found = logits_of(outputs, num_classes)
    except InputError:
        return [part for part in tensors(outputs) if _is_matrix(part, num_classes)]
    return [found] if found.dim() == 2 else []


def _same(output: Tensor, logits: Tensor) -> bool:
    return output.shape == logits.shape and output.data_ptr() == logits.data_ptr()


def _goes_into(output: Tensor, logits: Tensor) -> bool:
    """Tell whether logits were computed from an output, by the graph of autograd."""
    waiting, seen = [logits.grad_fn], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return output.grad_fn in seen


@contextmanager
def captured(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect the first input and the output of a module each time it is called."""
    calls: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, given, output: calls.append((given[0], output)))
    try:
        yield calls
    finally:
        handle.remove()


def _rows(module: nn.Module) -> int:
    """Outputs of a linear layer; 0 for any other module."""
    weight = getattr(module, "weight", None)
    return len(weight) if isinstance(weight, Tensor) and weight.dim() == 2 else 0


def _noting(called: list[tuple[str, Tensor]], name: str, samples: int) -> Any:
    def note(_module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        first = given[0] if given else None
        if (
            isinstance(output, Tensor)
            and isinstance(first, Tensor)
            and first.dim() == 2
            and len(first) == samples
        ):
            called.append((name, output))

    return note
