"""Find the logits and penultimate features of any model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from landscape.errors import InputError, Setting, unknown
from landscape.subject.batch import Batch
from landscape.subject.calling import outputs_of


def logits_of(outputs: Any) -> Tensor:
    """Find the logits (B, K) among a model's outputs.

    Args:
        outputs: a tensor; a mapping or object with ``logits``, or with one matrix among its values;
            or a tuple that begins with the logits.

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
        return outputs[0]
    held = f" with {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else ""
    raise InputError(
        f"the model returns a {type(outputs).__name__}{held}, and no logits are found in it; let "
        "it return a tensor (B, K), or a mapping with 'logits'"
    )


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
        Name of the last module called whose weight is (logits, D) and whose input is (B, D).

    Raises:
        InputError: there is none, or the one named is not.
    """
    modules, batch = dict(model.named_modules()), Batch(inputs, None)
    if name is not None and name not in modules:
        raise unknown("module", name, (n for n in modules if n))
    called: list[str] = []
    handles = [
        module.register_forward_hook(_noting(called, n, batch.size))
        for n, module in modules.items()
        if _rows(module) and name in (None, n)
    ]
    try:
        outputs = outputs_of(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    wanted = _width(outputs, num_classes)
    fitting = [n for n in called if _rows(modules[n]) == wanted]
    if not fitting:
        raise InputError(
            f"no linear layer with {wanted} outputs on (samples, features) was called"
            + (f" as '{name}'" if name else ""),
            *(() if name else ("; name it with ", Setting("classifier"))),
        )
    return fitting[-1]


@contextmanager
def captured(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect the first input and the output of a module each time it is called."""
    calls: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, given, output: calls.append((given[0], output)))
    try:
        yield calls
    finally:
        handle.remove()


def _width(outputs: Any, num_classes: int) -> int:
    try:
        logits = logits_of(outputs)
    except InputError:
        return num_classes
    return max(num_classes, logits.shape[1]) if logits.dim() == 2 else num_classes


def _rows(module: nn.Module) -> int:
    """Outputs of a linear layer; 0 for any other module."""
    weight = getattr(module, "weight", None)
    return len(weight) if isinstance(weight, Tensor) and weight.dim() == 2 else 0


def _noting(called: list[str], name: str, samples: int) -> Any:
    def note(_module: nn.Module, given: tuple[Any, ...], _output: Any) -> None:
        first = given[0] if given else None
        if isinstance(first, Tensor) and first.dim() == 2 and len(first) == samples:
            called.append(name)

    return note
