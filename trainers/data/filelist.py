"""Image lists of the large long-tailed sets, read lazily.

ImageNet-LT and Places-LT (Liu et al. 2019): text files of ``relative/path label`` lines;
iNaturalist 2018: JSON with ``images`` and ``annotations``. Such sets are long-tailed already.
"""

import json
from pathlib import Path
from typing import Any

import torch

from landscape.errors import InputError
from trainers.data.images import FileImages

Listing = list[tuple[str, int]]
_MOST_CLASSES = 10_000_000  # a number beyond is a slip, and would take arrays of its size


def open_filelist(
    lists: Path,
    images: Path | None,
    device: torch.device,
    *,
    image_size: int | None = None,
    workers: int = 0,
) -> tuple[FileImages, FileImages, tuple[str, ...]]:
    """Load the training and test sets named by two lists, and the class names.

    Args:
        lists: folder with one list whose name contains ``train`` and one with ``test`` (or
            ``val``, where the former has no labels), ``.txt`` or ``.json``; or the first of them.
            ``class_names.txt`` beside text lists names the classes.
        images: folder to which the listed paths are relative; default: ``lists``.
        device: where batches are put.
        image_size: side of the inputs in pixels; default 224.
        workers: decoding processes.

    Raises:
        InputError: a list is missing or malformed, or an image of it is not there.
    """
    root = images or (lists.parent if lists.is_file() else lists)
    folder = lists.parent if lists.is_file() else lists
    train, names = _read(lists if lists.is_file() else _find(folder, "train"))
    test, _ = _read(_find(folder, "test", "val"))
    classes = max(label for _, label in train + test) + 1
    least, other = (min(label for _, label in listing) for listing in (train, test))
    if least > 0:
        of = "the classes" if other == least else "the training labels"
        but = "" if other == least else f", those of the test set at {other}"
        raise InputError(
            f"{of} in '{folder}' begin at {least}{but}; they are numbered from 0: subtract {least} "
            f"from every {'label' if other == least else 'training label'}, or give class 0 samples"
        )
    names = names or _named(folder / "class_names.txt", classes)

    def split(listing: Listing) -> FileImages:
        names = tuple(name for name, _ in listing)
        _check_present(root, names)
        labels = torch.tensor([label for _, label in listing])
        return FileImages(root, names, labels, image_size or 224, device, workers)

    return split(train), split(test), tuple(names.get(c, str(c)) for c in range(classes))


def _named(path: Path, classes: int) -> dict[int, str]:
    """Read a name a line; none where there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    found = [line.strip() for line in lines if line.strip()]
    if len(found) != classes or len(set(found)) != classes:
        raise InputError(
            f"'{path}' has {len(set(found)):,} different names in {len(found):,} lines, and the "
            f"lists have {classes:,} classes; give one name a line, in the classes' order"
        )
    return dict(enumerate(found))


def _find(folder: Path, *words: str) -> Path:
    if not folder.is_dir():
        raise InputError(f"no folder '{folder}' of file lists")
    files = sorted(p for p in folder.iterdir() if p.suffix in {".txt", ".json"})
    for word in words:
        found = [p for p in files if word in p.name.lower() and _has_labels(p)]
        if len(found) > 1:
            raise InputError(f"several '{word}' lists in '{folder}': {[p.name for p in found]}")
        if found:
            return found[0]
    raise InputError(f"no .txt or .json list with '{words[0]}' in its name in '{folder}'")


def _check_present(root: Path, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not _is_there(root / name)]
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(names):,} listed images are missing in '{root}', the first "
            f"is '{missing[0]}'; give the images' folder with --data-root, or correct the list"
        )


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or none at all
        return False


def _has_labels(path: Path) -> bool:
    """Tell whether a list has labels; the published test set of iNaturalist has none."""
    return path.suffix != ".json" or "annotations" in _json(path)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"'{path}' is not JSON in UTF-8 ({error})") from error
    if not isinstance(found, dict) or "images" not in found:
        raise InputError(f"'{path}' has no 'images'; expected iNaturalist's images and annotations")
    return found


def _read(path: Path) -> tuple[Listing, dict[int, str] | None]:
    try:
        listing, names = _read_json(path) if path.suffix == ".json" else (_read_text(path), None)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is not a list of 'path label' lines or an iNaturalist JSON ({error})"
        ) from error
    if not listing:
        raise InputError(f"'{path}' lists no image")
    name, least = min(listing, key=lambda pair: pair[1])
    other, most = max(listing, key=lambda pair: pair[1])
    if most > _MOST_CLASSES:
        raise InputError(f"'{path}' gives '{other}' the class {most}; correct or remove the line")
    if least < 0:
        raise InputError(
            f"'{path}' gives '{name}' the class {least}; classes are numbered from 0: correct or "
            "remove the line"
        )
    return listing, names


def _read_text(path: Path) -> Listing:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        words = line.rsplit(maxsplit=1)
        if not words:
            continue
        if len(words) < 2 or not words[1].removeprefix("-").isdecimal():
            raise InputError(
                f"line {number} of '{path}' is '{line.strip()[:60]}'; expected the path of an "
                "image, a blank and the number of its class"
            )
        found.append((words[0], int(words[1])))
    return found


def _read_json(path: Path) -> tuple[Listing, dict[int, str] | None]:
    content = _json(path)
    files = {image["id"]: image["file_name"] for image in content["images"]}
    if not all(isinstance(name, str) for name in files.values()):
        raise InputError(f"'{path}' has a 'file_name' that is no text")
    listing = [(files[a["image_id"]], int(a["category_id"])) for a in content["annotations"]]
    categories = content.get("categories")
    return listing, {c["id"]: str(c["name"]) for c in categories} if categories else None
