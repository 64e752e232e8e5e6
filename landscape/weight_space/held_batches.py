"""Hold in memory the batches that are read, where they fit."""

from collections.abc import Generator, Iterable

from landscape.subject.batch import Batch, tensors

MOST_HELD = 2 * 2**30  # bytes of inputs


def held(batches: Iterable[Batch]) -> Generator[Batch, None, list[Batch] | None]:
    """Yield batches, and return them all once they are read; ``None`` where they do not fit.

    Args:
        batches: as they are read.
    """
    size, found = 0, list[Batch]()
    for batch in batches:
        size += sum(part.nbytes for part in tensors(batch[0]))
        if size <= MOST_HELD:
            found.append(batch)
        else:
            found.clear()
        yield batch
    return found if size <= MOST_HELD else None


def read_whole(batches: Iterable[Batch]) -> list[Batch] | None:
    """Read batches to their end, and return them; ``None`` where they do not fit."""
    reading = held(batches)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            found: list[Batch] | None = end.value
            return found
