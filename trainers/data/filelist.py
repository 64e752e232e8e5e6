"""Image lists of the large long-tailed sets, read lazily.

ImageNet-LT and Places-LT (Liu et al. 2019): text files of ``relative/path label`` lines;
iNaturalist 2018: JSON with ``images`` and ``annotations``. Such sets are long-tailed already.
"""

import json
from pathlib import Path

import torch

from landscape.errors import InputError
from trainers.data.images import FileImages

Listing = list[tuple[str, int]]


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
            ``val``), ``.txt`` or ``.json``.
        images: folder to which the listed paths are relative; default: ``lists``.
        device: where batches are put.
        image_size: side of the inputs in pixels; default 224.
        workers: decoding processes.

    Raises:
        InputError: a list is missing or malformed, or an image of it is not there.
    """
    root = images or lists
    train, names = _read(_find(lists, "train"))
    test, _ = _read(_find(lists, "test", "val"))
    classes = max(label for _, label in train + test) + 1
    names = names or {}

    def split(listing: Listing) -> FileImages:
        names = tuple(name for name, _ in listing)
        for path in (root / names[0], root / names[-1]):
            if not path.is_file():
                raise InputError(f"no image '{path}'; give the images' folder with --data-root")
        labels = torch.tensor([label for _, label in listing])
        return FileImages(root, names, labels, image_size or 224, device, workers)

    return split(train), split(test), tuple(names.get(c, str(c)) for c in range(classes))


def _find(folder: Path, *words: str) -> Path:
    if not folder.is_dir():
        raise InputError(f"no folder '{folder}' of file lists")
    files = sorted(p for p in folder.iterdir() if p.suffix in {".txt", ".json"})
    for word in words:
        found = [p for p in files if word in p.name.lower()]
        if len(found) > 1:
            raise InputError(f"several '{word}' lists in '{folder}': {[p.name for p in found]}")
        if found:
            return found[0]
    raise InputError(f"no .txt or .json list with '{words[0]}' in its name in '{folder}'")


def _read(path: Path) -> tuple[Listing, dict[int, str] | None]:
    try:
        listing, names = _read_json(path) if path.suffix == ".json" else (_read_text(path), None)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' is not a list of 'path label' lines or an iNaturalist JSON ({error})"
        ) from error
    if not listing:
        raise InputError(f"'{path}' lists no image")
    name, least = min(listing, key=lambda pair: pair[1])
    if least < 0:
        raise InputError(
            f"'{path}' gives '{name}' the class {least}; classes are numbered from 0: correct or "
            "remove the line"
        )
    return listing, names


def _read_text(path: Path) -> Listing:
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.rsplit(maxsplit=1) for line in lines if line.strip()]
    return [(name, int(label)) for name, label in pairs]


def _read_json(path: Path) -> tuple[Listing, dict[int, str] | None]:
    content = json.loads(path.read_text(encoding="utf-8"))
    files = {image["id"]: image["file_name"] for image in content["images"]}
    listing = [(files[a["image_id"]], int(a["category_id"])) for a in content["annotations"]]
    categories = content.get("categories")
    return listing, {c["id"]: str(c["name"]) for c in categories} if categories else None
