"""Give every reader of foreign input what nobody would write: python -m tests.fuzz COUNT.

An input is refused in a sentence or taken; it never ends in a traceback, writes outside of its
folder, or runs code that it brings. Seeds are the numbers 0, 1, …, so that a failure repeats.
"""

import contextlib
import io
import json
import os
import pickle
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image

from cli.inspector.library import Library
from cli.inspector.view import View
from cli.main import main
from cli.sweeps.file import read_sweep
from landscape.errors import InputError
from landscape.results.load import load
from landscape.subject.weights_file import read_weights, stored_counts
from tests.faults.scenes import DIAGNOSE, TRAIN
from trainers.data.filelist import open_filelist
from trainers.data.image_file import read_image
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint

ODD = [
    *("", " ", "-", "--", "=", "0", "-1", "1e999", "nan", "inf", "-inf", "99999999999999999999"),
    *("\0", "\x1b[2J", "é", "\u202e", "../../x", "/etc/passwd", "~", "a" * 300, "%s%n", "{}"),
    *("None", "true", "[]", '"', "'", "`id`", "$(id)", "a,b", "1,2,3", "*", "runs/../..", "class/"),
]
COMMANDS = {
    "train": "method epochs lr batch-size data imbalance recipe settings rho out seed model",
    "diagnose": "analyses scopes checkpoints samples-per-class eval seed surface.points dtype",
    "sweep": "jobs engine unit-gpus slurm address retries",
    "figure": "checkpoint scopes options out",
    "show": "verify",
    "list": "",
    "report": "out",
    "crosscheck": "scopes seed",
}
TOML = (
    '[train]\nmethod = "ce"\nepochs = 2\nlr = 0.1\n[grid]\nseed = [0, 1]\n[[run]]\nname = "a"\n'
    'settings.rho = 0.5\n[diagnose]\nanalyses = ["accuracy"]\n[[figure]]\nkind = "accuracy"\n'
)
Target = Callable[[random.Random], None]


class Canary:
    """A pickle that leaves a file where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("executed",)


def mutated(draw: random.Random, content: bytes) -> bytes:
    """Flip, cut, repeat, insert and replace some bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(6):
            case 0:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del data[at : at + draw.choice((1, 3, 64))]
            case 2:
                data[at:at] = data[at : at + draw.choice((1, 8, 200))]
            case 3:
                data[at:at] = draw.choice(ODD).encode("utf-8", "surrogatepass")
            case 4:
                data = data[:at]
            case 5:
                data[at : at + 4] = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
    return bytes(data)


def odd_value(draw: random.Random, depth: int = 2) -> object:
    """A value that JSON can hold, of any kind."""
    plain = [None, True, -1, 0, 2**70, 1e308, float("nan"), *ODD]
    if depth and draw.random() < 0.3:
        inner = [odd_value(draw, depth - 1) for _ in range(draw.randrange(3))]
        return inner if draw.random() < 0.5 else {str(v)[:20]: v for v in inner}
    return draw.choice(plain)


def odd_json(draw: random.Random, content: dict[str, object]) -> str:
    """Replace, remove or add values somewhere in a nest."""
    found = json.loads(json.dumps(content))
    places = [found]
    for value in places:
        places += [
            v for v in (value.values() if isinstance(value, dict) else ()) if isinstance(v, dict)
        ]
    for _ in range(draw.choice((1, 2, 5))):
        place = draw.choice(places)
        name = draw.choice([*place, "extra"])
        if draw.random() < 0.3:
            place.pop(name, None)
        else:
            place[name] = odd_value(draw)
    return json.dumps(found if draw.random() < 0.95 else odd_value(draw))


def command_line(draw: random.Random) -> None:
    command = draw.choice(list(COMMANDS))
    words = [command, *draw.sample(["run", "table.toml", *ODD], draw.randrange(2))]
    for option in (
        draw.sample(
            COMMANDS[command].split(), min(draw.randrange(3), 1 + COMMANDS[command].count(" "))
        )
        if COMMANDS[command]
        else ()
    ):
        words += [f"--{option}", draw.choice([*ODD, "ce+sam", "2", "tail"])]
    if command in ("train", "diagnose", "sweep"):
        words.append("--dry-run")
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    assert code in (0, 2), (words, code)


def toml(draw: random.Random) -> None:
    Path("fuzzed.toml").write_bytes(mutated(draw, TOML.encode()))
    sweep = read_sweep(Path("fuzzed.toml"))
    for run in sweep.runs:
        inside = (Path.cwd() / sweep.out).resolve()
        assert run.config.out is not None
        assert run.config.out.resolve().parent == inside, run.name


def lists(draw: random.Random) -> None:
    text = b"a.png 0\nb.png 1\na.png 1\n"
    Path("lists/my_train.txt").write_bytes(mutated(draw, text))
    Path("lists/my_test.txt").write_bytes(text)
    open_filelist(Path("lists"), Path("images"), torch.device("cpu"))


def json_list(draw: random.Random) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 0}],
        "categories": [{"id": 0, "name": "cat"}],
    }
    part = draw.choice(list(content))
    content[part][0][draw.choice([*content[part][0], "x"])] = odd_value(draw)
    text = json.dumps(content) if draw.random() < 0.7 else odd_json(draw, content)
    for name in ("train", "val"):
        Path(f"json/{name}.json").write_text(text)
    open_filelist(Path("json"), Path("images"), torch.device("cpu"))


def run_json(draw: random.Random) -> None:
    shutil.copy("config.json", "damaged/config.json")
    if draw.random() < 0.7:
        text = odd_json(draw, json.loads(Path("config.json").read_text()))
        Path("damaged/config.json").write_text(text)
    lines = mutated(
        draw, b'{"epoch": 1, "seconds": 2.0, "train_loss": 1.5, "test_accuracy": 0.5}\n'
    )
    Path("damaged/metrics.jsonl").write_bytes(lines)
    command = draw.choice(["show damaged", "list runs .", "figure training damaged"])
    assert main(command.split()) in (0, 2)
    Library.open(Path()).facts("damaged")


def images(draw: random.Random) -> None:
    name, content = draw.choice(IMAGES)
    Path(name).write_bytes(mutated(draw, content))
    read_image(Path(name))


def checkpoints(draw: random.Random) -> None:
    path = Path("fuzzed.pt")
    path.write_bytes(mutated(draw, draw.choice(CHECKPOINTS)))
    for read in (load_checkpoint, stored_counts, read_weights):
        with contextlib.suppress(InputError):
            read(path)


def hdf5(draw: random.Random) -> None:
    path = Path("fuzzed.h5")
    path.write_bytes(draw.choice(RESULT))
    with h5py.File(path, "a") as file:
        for _ in range(draw.choice((1, 2, 5))):
            name = draw.choice([*file.attrs, *file])
            value = draw.choice(
                [*ODD[:-1], 1, 1.5, np.zeros(3), odd_json(draw, {"plan": {"method": "ce"}})]
            )
            value = value.replace("\0", "0") if isinstance(value, str) else value
            if name in file.attrs:
                file.attrs[name] = value
            elif name in file and draw.random() < 0.5:
                del file[name]
            elif name in file:
                del file[name]
                file.create_dataset(name, data=value)
    str(load(path))
    assert main(["show", str(path)]) in (0, 2)


def requests(draw: random.Random) -> None:
    client = CLIENT[0]
    paths = ["/", "/_dash-layout", "/download/spectrum.pdf", "/_dash-update-component", "/assets/x"]
    path = draw.choice(paths) + draw.choice(
        ["", "/../..", "?run=" + draw.choice(ODD), "?checkpoint=" + draw.choice(ODD)]
    )
    body = odd_json(draw, {"output": "a.b", "inputs": [], "changedPropIds": [], "state": []})
    with contextlib.suppress(ValueError, UnicodeError):  # what no client can send
        answer = client.open(
            path,
            method=draw.choice(("GET", "POST", "PUT")),
            data=body,
            content_type="application/json",
        )
        assert answer.status_code < 500 or b"Traceback" not in answer.data, (
            path,
            answer.data[:500],
        )
    View.from_query(mutated(draw, b"run=a&checkpoint=last&scopes=tail").decode("latin-1"))


TARGETS: dict[str, Target] = {
    "command line": command_line,
    "TOML": toml,
    "file lists": lists,
    "JSON lists": json_list,
    "run JSON": run_json,
    "images": images,
    "checkpoints": checkpoints,
    "HDF5": hdf5,
    "inspector": requests,
}
IMAGES: list[tuple[str, bytes]] = []
CHECKPOINTS: list[bytes] = []
RESULT: list[bytes] = []
CLIENT: list[object] = []


@contextlib.contextmanager
def prepared() -> Iterator[Path]:
    """Make what the targets change, in a folder of its own, which is the present one inside."""
    former, outside = Path.cwd(), Path(tempfile.mkdtemp(prefix="tailscape-fuzz-"))
    place = outside / "inside"
    for name in ("lists", "json", "images", "damaged"):
        (place / name).mkdir(parents=True)
    os.chdir(place)
    try:
        with _silent():
            _make()
        yield place
    finally:
        os.chdir(former)
        shutil.rmtree(outside)


def _make() -> None:
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


def fuzzed(name: str, seeds: range, seconds: float = float("inf")) -> int:
    """Give a target its inputs, until the time is over; return how many it got.

    Raises:
        AssertionError: an input ended otherwise than it should; the message names its seed.
    """
    outside, until = _listed(Path.cwd().parent), time.monotonic() + seconds
    done = 0
    for seed in seeds:
        try:
            with _silent():
                TARGETS[name](random.Random(f"{name} {seed}"))
        except InputError:
            pass
        except Exception as error:
            said = traceback.format_exc()
            raise AssertionError(f"{name}, seed {seed}: {said}") from error
        assert not Path("executed").exists(), f"{name}, seed {seed}: code was run"
        done += 1
        if time.monotonic() > until:
            break
    assert _listed(Path.cwd().parent) == outside, f"{name} wrote outside"
    return done


def _listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    nothing = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        warnings.simplefilter("ignore")
        yield


if __name__ == "__main__":
    with prepared():
        for target in TARGETS:
            print(f"{target}: {fuzzed(target, range(int(sys.argv[1]))):,} inputs", flush=True)
