"""What targets start from: images, checkpoints, a run with its results, the inspector's client."""

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cli.main import main
from tests.faults.scenes import DIAGNOSE, TRAIN
from trainers.runs.checkpoint import save_checkpoint

IMAGES: list[tuple[str, bytes]] = []
CHECKPOINTS: list[bytes] = []
RESULT: list[bytes] = []
CLIENT: list[object] = []


class Canary:
    """A pickle that leaves a file where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("executed",)


def make() -> None:
    """Write the files that targets change, and a run, into the present folder."""
    picture = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    for suffix in ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm"):
        buffer = io.BytesIO()
        picture.save(buffer, suffix)
        IMAGES.append((f"fuzzed.{suffix}", buffer.getvalue()))
    for name in "ab":
        picture.save(f"images/{name}.png")
    save_checkpoint({"model": {"w": torch.ones(3)}, "epoch": 1, "architecture": {}}, Path("a.pt"))
    sealed = Path("a.pt").read_bytes()
    old = io.BytesIO()
    torch.save({"state_dict": {"w": torch.ones(3)}}, old, _use_new_zipfile_serialization=False)
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"model": Canary()}))
        file.writestr("archive/version", "3")
    CHECKPOINTS.extend([sealed, sealed[: sealed.rindex(b"\ntailscape")], old.getvalue()])
    CHECKPOINTS.extend([evil.getvalue(), pickle.dumps(Canary())])
    main([*TRAIN.split()])
    main([*DIAGNOSE.split()])
    RESULT.extend(path.read_bytes() for path in sorted(Path("run").rglob("*.h5")))
    shutil.copy("run/config.json", "config.json")
    from cli.inspector.app import create

    app, _ = create(Path(), "127.0.0.1", 8050)
    CLIENT.append(app.server.test_client())
