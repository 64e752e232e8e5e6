"""Take back a folder of results that was made for a diagnosis which computed nothing."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def removed_if_empty(folder: Path | None) -> Iterator[None]:
    """Remove what is made of a folder inside the context, if it fails and leaves no result.

    Args:
        folder: of results; ``None``, or one that there is already with results, is left alone.
    """
    config = None if folder is None else folder / "config.json"
    if folder is None or config is None or config.exists():
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        if not any(folder.glob("results/*/*.h5")):
            _remove(folder, config, made)
        raise


def _remove(folder: Path, config: Path, made: list[Path]) -> None:
    """Remove the configuration and the folders that are empty, unless others hold something."""
    results = folder / "results"
    with suppress(OSError):
        for path in results.glob("*/"):
            path.rmdir()
        if results.exists():
            results.rmdir()
        config.unlink(missing_ok=True)
        for path in made:
            path.rmdir()
