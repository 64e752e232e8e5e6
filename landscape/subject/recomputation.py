"""Compute checkpointed layers in a backward pass as they were computed in the forward pass.

:func:`torch.utils.checkpoint.checkpoint` calls a layer once more while its graph is differentiated,
outside of the mode in which the model was called; what is computed otherwise there is refused by it
or, where as many tensors are saved, differentiated wrongly.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch.utils import checkpoint as checkpointing

Context = AbstractContextManager[Any]


@contextmanager
def recomputed_in(context: Callable[[], Context]) -> Iterator[None]:
    """Let layers that are checkpointed inside be called again in a context.

    Those with a ``context_fn`` of their own keep it.

    Args:
        context: makes one, for each checkpointed call.
    """

    def contexts() -> tuple[Context, Context]:
        return nullcontext(), context()

    former = checkpointing.noop_context_fn
    _set_default(contexts)
    try:
        yield
    finally:
        _set_default(former)


def _set_default(contexts: Callable[[], tuple[Context, Context]]) -> None:
    """Replace what ``context_fn`` is by default, and what PyTorch compares it with."""
    checkpointing.noop_context_fn = contexts
    defaults = inspect.unwrap(checkpointing.checkpoint).__kwdefaults__
    defaults["context_fn"] = contexts
