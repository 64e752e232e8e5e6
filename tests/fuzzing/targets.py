"""Readers of foreign input, each given one input that is drawn at random."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from cli.commands.figure import Figure
from cli.commands.list import List
from cli.commands.show import Show
from cli.inspector.library import Library
from cli.inspector.view import View
from cli.main import main
from cli.sweeps.file import read_sweep
from landscape.errors import InputError
from landscape.results.load import load
from landscape.subject.weights_file import read_weights, stored_counts
from tests.fuzzing.draws import ODD, mutated, odd_json, odd_value
from tests.fuzzing.seeds import CHECKPOINTS, CLIENT, IMAGES, RESULT
from tests.fuzzing.values import values
from trainers.data.filelist import open_filelist
from trainers.data.image_file import read_image
from trainers.runs.checkpoint import load_checkpoint

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
READERS = {
    "show": Show(Path("damaged")),
    "list": List("runs", Path()),
    "figure": Figure("training", (Path("damaged"),)),
}
Target = Callable[[random.Random], None]


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


def run(draw: random.Random, words: str, command: Show | List | Figure) -> None:
    """Run a command; one time in fifty from its words, whose reading takes ten times as long."""
    if draw.random() < 0.02:
        assert main(words.split()) in (0, 2)
        return
    with contextlib.suppress(OSError):  # is told in a sentence, as main does
        command.run()


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
    words = draw.choice(["show damaged", "list runs .", "figure training damaged"])
    run(draw, words, READERS[words.partition(" ")[0]])
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
    if draw.random() < 0.1:
        run(draw, f"show {path}", Show(path))


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


TARGETS: dict[str, tuple[Target, int]] = {  # and how many of a thousand inputs
    "command lines": (command_line, 3),
    "values of options": (values, 282),
    "TOML": (toml, 60),
    "file lists": (lists, 130),
    "JSON lists": (json_list, 130),
    "run JSON": (run_json, 20),
    "images": (images, 150),
    "checkpoints": (checkpoints, 90),
    "HDF5": (hdf5, 15),
    "inspector": (requests, 120),
}
