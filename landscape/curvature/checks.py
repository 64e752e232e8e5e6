"""Check on a few samples, before any long work, that there is one matrix and a path to it.

Data drawn anew, a random loss or one coupled to its batch have no matrix. Autograd has no path
through code under ``no_grad``, ``detach`` or an ``argmax``, and a copied model may still read the
original through a function that closes over it: both would give numbers without a word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from landscape.errors import InputError, Setting
from landscape.subject.batch import Batch, tensors
from landscape.subject.calling import kept_beside
from landscape.subject.loss import Loss
from landscape.subject.parameters import weight_of

_ALLOW = ("Switch that off, or go on with ", Setting("spectrum.allow_nondeterministic"))
_CAUSES = (
    "code under torch.no_grad or inference_mode, .detach(), .item() or NumPy in the forward pass, "
    "a count such as the 0-1 loss, or reentrant checkpointing of an input without gradient"
)


@contextmanager
def differentiated(times: str = "twice") -> Iterator[None]:
    """Say in a sentence what autograd cannot do with a loss.

    Args:
        times: how often it is differentiated.

    Raises:
        InputError: the code inside raised an error of autograd's.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the loss cannot be differentiated {times} ({type(error).__name__}: {first})"
        ) from error


def check_same_batches(first: Batch, second: Batch) -> None:
    """Compare two readings of the same samples.

    Raises:
        InputError: they differ.
    """
    for a, b in zip(tensors(tuple(first)), tensors(tuple(second)), strict=True):
        if a.shape != b.shape or not ((a == b) | (a != a)).all():  # NaN is like itself
            raise InputError(
                "the same samples came out differently the second time: the data are drawn anew, "
                "by shuffling or augmentation. ",
                *_ALLOW,
            )


def check_deterministic(product: Callable[[], Tensor]) -> None:
    """Compare two products of the same vector and samples, each through a graph of its own.

    Raises:
        InputError: they differ by more than rounding.
    """
    first, second = product(), product()
    apart = float((first - second).abs().max())
    allowed = 100 * torch.finfo(torch.float32).eps * float(first.abs().max())
    if apart > allowed:
        raise InputError(
            f"the same product came out differently the second time (by {apart:.2g}, where "
            f"rounding explains {allowed:.2g}): the model or the loss is random, as dropout is. ",
            *_ALLOW,
        )


def check_follows_parameters(model: nn.Module, fresh: nn.Module, loss: Loss, batch: Batch) -> None:
    """Move the parameters of a copy that was used, and compare with a fresh copy's losses.

    Args:
        model: the evaluation copy, after a pass.
        fresh: another one, changed here.
        loss: per-sample loss.
        batch: a few samples.

    Raises:
        InputError: they differ: it keeps what it computed from its parameters.
    """
    _forget(fresh, loss, batch)
    former = [p.detach().clone() for p in model.parameters()]
    moved = [_moved(value, seed) for seed, value in enumerate(former)]
    _set_parameters(fresh, moved)
    _set_parameters(model, moved)
    try:
        used, new, again = (loss.values(m, batch)[0] for m in (model, fresh, fresh))
    finally:
        _set_parameters(model, former)
    allowed = 1e4 * torch.finfo(weight_of(model).dtype).eps * (1 + new.abs())
    random = ((new - again).abs() > allowed).any()
    if ((used - new).abs() > allowed).any() and not random:
        raise InputError(
            "the model does not follow its parameters: it reads what it computed from them in an "
            "earlier pass, as from a cache of eval mode. Give a model that has made no pass, or "
            "compute that anew in each"
        )


def _forget(model: nn.Module, loss: Loss, batch: Batch) -> None:
    """Empty what modules keep beside weights and buffers, where the model computes it anew."""
    for module in model.modules():
        for name, value in kept_beside(module).items():
            empty = type(value)() if isinstance(value, (dict, list)) else None
            setattr(module, name, empty)
            try:
                loss.values(model, batch)
            except InputError:
                setattr(module, name, value)


def _moved(value: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if not value.is_floating_point():
        return value
    noise = torch.randn(value.shape, generator=generator).to(value)
    return value + 0.01 * (value.abs() + value.abs().mean()) * noise


def _set_parameters(model: nn.Module, values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)


def check_gradient_path(
    model: nn.Module, loss: Loss, batch: Batch, original: nn.Module, named: Mapping[str, Tensor]
) -> None:
    """Check that the loss has a gradient wherever it depends on a parameter of the copy.

    Args:
        model: the evaluation copy.
        loss: per-sample loss.
        batch: a few samples.
        original: the user's model, whose parameters must not be part of the loss.
        named: parameters of the copy that are differentiated by.

    Raises:
        InputError: the loss has no gradient, lacks some, or reads the original's parameters.
    """
    trainable = [p for p in original.parameters() if p.requires_grad]
    asked = [(p, p.requires_grad) for p in model.parameters()]
    for parameter, theirs in zip(model.parameters(), original.parameters(), strict=False):
        parameter.requires_grad_(theirs.requires_grad)
    try:
        total = loss.per_sample(model, batch).sum()
    finally:
        for parameter, flag in asked:
            parameter.requires_grad_(flag)
    if not total.requires_grad:
        if not trainable:
            return
        raise InputError(f"the loss has no gradient with respect to any parameter: {_CAUSES}")
    check_leaves(total, original)
    _check_unreached(model, loss, batch, named)


def check_leaves(total: Tensor, original: nn.Module) -> None:
    """Check that no parameter of the user's model is part of a copy's loss.

    Raises:
        InputError: one is: a function closes over the model.
    """
    named = dict(original.named_parameters())  # held, so that no other object gets their ids
    theirs = {id(parameter): name for name, parameter in named.items()}
    seen, waiting = set[object](), [total.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) in theirs:
            raise InputError(
                f"the loss reads the original's parameter '{theirs[id(leaf)]}' and not the copy's: "
                "a function, a hook or model.forward closes over the model. Make it a method, or "
                "read the parameter from the module that is passed in"
            )
        waiting.extend(following for following, _ in node.next_functions)


def _check_unreached(
    model: nn.Module, loss: Loss, batch: Batch, named: Mapping[str, Tensor]
) -> None:
    """Move the parameters without a gradient, and see that the loss stays."""
    total = loss.per_sample(model, batch).sum()
    found: list[Tensor | None] = [None] * len(named)
    if total.requires_grad:
        with differentiated("once"):
            found = list(torch.autograd.grad(total, list(named.values()), allow_unused=True))
    unreached = [n for n, g in zip(named, found, strict=True) if g is None]
    if not unreached:
        return
    former = {name: named[name].detach().clone() for name in unreached}
    before, _ = loss.values(model, batch)
    with torch.no_grad():
        for seed, (name, value) in enumerate(former.items()):
            named[name].copy_(_moved(value, seed))
    after, _ = loss.values(model, batch)
    with torch.no_grad():
        for name, value in former.items():
            named[name].copy_(value)
    eps = torch.finfo(next(iter(named.values())).dtype).eps
    if float((after - before).abs().max()) > 1e3 * eps * (1 + float(before.abs().max())):
        raise InputError(
            f"the loss depends on {_listed(unreached)} and has no gradient with respect to it: "
            f"{_CAUSES}"
        )


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names[:3]]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(quoted) + more
