"""A model of one's own as a source of checkpoints, and the folder its results go to."""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cli.sources.checkpoint_files import checkpoint_files
from cli.sources.external_config import OutsideConfig
from cli.sources.external_data import Opened, open_outside
from cli.sources.external_model import build, loss_named, num_classes_of
from cli.sources.source import Follow, checkpoint_name
from landscape.errors import InputError
from landscape.results.atomic import atomic_write
from landscape.results.provenance import RunOrigin, outside_plan
from landscape.subject.data import LabelledData
from landscape.subject.state_dict import Loaded, load_state, read_state
from landscape.subject.subject import Subject
from trainers.runs.folder import RunFolder, environment

_MOST_LISTED = 12


@dataclass(frozen=True, eq=False)
class OutsideSource:
    """A model of one's own, its checkpoints and its data."""

    config: OutsideConfig
    data: Opened
    device: torch.device
    files: dict[str, Path]
    loaded: dict[str, Loaded] = field(default_factory=dict)  # filled as files are read

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """K names; numbers where the data give none."""
        asked = num_classes_of(self.config.model_arguments)
        classes = max(self.data.classes, len(self.config.class_counts), asked)
        names = self.data.class_names
        return (*names, *map(str, range(len(names), classes)))

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Training samples of each class (K,)."""
        counted = torch.bincount(self.data.train.labels, minlength=len(self.class_names))
        return self.config.class_counts or tuple(counted.tolist())

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What results and the folder say of it."""
        return {
            "plan": outside_plan(self.config.label, str(self.config.data), self.class_counts),
            "class_names": list(self.class_names),
            "class_counts": list(self.class_counts),
            "data_sha256": self.data.fingerprint(),
            "data_root": None,
        }

    @property
    def train(self) -> LabelledData:
        """Training samples."""
        return self.data.train

    @property
    def test(self) -> LabelledData:
        """The test set, or the data given where there is but one."""
        return self.data.train if self.data.test is None else self.data.test

    @property
    def batch_size(self) -> int | None:
        """Unknown."""
        return None

    def checkpoint_names(self) -> list[str]:
        """Names of the epochs in order; all names where none tells an epoch."""
        epochs = [name for name in self.files if name.startswith("epoch_")]
        return epochs or list(self.files)

    def subject(self, checkpoint: str, logit_scale: float | None) -> Subject:
        """Open a checkpoint.

        Raises:
            InputError: it does not fit the model, or a logit scale is asked for.
        """
        if logit_scale is not None:
            raise InputError(
                "--logit-scale is for runs of tailscape train, whose scale is known; give a --loss "
                "that scales the logits"
            )
        out = self.config.out or Path()
        return Subject(
            self.model(checkpoint).to(self.device).eval(),
            self.data.train,
            loss_named(self.config.loss),
            self.class_names,
            self.class_counts,
            self.config.classifier,
            checkpoint=checkpoint,
            origin=RunOrigin(out.resolve().name, self.facts["plan"], self.facts["data_sha256"]),
        )

    def model(self, checkpoint: str) -> nn.Module:
        """Build the model with a checkpoint's weights, on the CPU."""
        return self._with_weights(self.files[checkpoint], checkpoint)

    def remarks(self) -> list[str]:
        """Say how files were named and read, and what the data lack."""
        lines = [f"checkpoint {name}: {path}" for name, path in self.files.items()]
        if len(lines) > _MOST_LISTED:
            lines = [lines[0], f"… {len(lines) - 2} more", lines[-1]]
        for name, found in self.loaded.items():
            if found.prefix:
                lines.append(f"{name}: names taken without '{found.prefix}'")
            if found.ignored:
                lines.append(f"{name}: left aside {', '.join(found.ignored[:5])}")
        if self.data.test is None:
            lines.append("no test set: accuracy and features are of the data given")
        return lines

    def load_other(self, word: str) -> nn.Module:
        """Build the model with the weights of a checkpoint's name, or of a file."""
        name = checkpoint_name(word)
        if name in self.files:
            return self.model(name)
        return self._with_weights(Path(word), word)

    def redrawn(self, seed: int) -> LabelledData:
        """Refuse: how training augmented is not known."""
        raise InputError(
            f"the released protocol (seed {seed}) draws the training's augmentation anew, which is "
            "known only of runs of tailscape train"
        )

    def rule_direction(self, checkpoint: str) -> Follow:
        """Refuse: the training's rule is not known."""
        raise InputError(
            f"what training followed at {checkpoint} is known only of runs of tailscape train; "
            "leave --gradients.direction out"
        )

    def _with_weights(self, path: Path, name: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            model = build(str(self.config.model), self.config.model_arguments, self._num_classes)
        state = read_state(path, trust_pickle=self.config.trust_pickle)
        model = deepcopy(model)  # a builder may hand out one object again and again
        self.loaded[name] = load_state(model, state, path)
        return model

    @property
    def _num_classes(self) -> int:
        return len(self.class_names)


def open_outside_source(
    config: OutsideConfig, device: torch.device, root: Path | None = None, workers: int = 0
) -> OutsideSource:
    """Open a model of one's own; kept for the next call, with its data.

    Raises:
        InputError: a part is missing or cannot be used.
    """
    config.check()
    assert config.weights is not None
    files = tuple(checkpoint_files(config.weights).items())
    return _source(config, files, device, root, workers)


def prepare_folder(source: OutsideSource) -> RunFolder:
    """Make the folder of results ready, or go on in one of the same model and data.

    Raises:
        InputError: the folder holds something else.
    """
    assert source.config.out is not None
    folder = RunFolder(source.config.out)
    outside = source.config.identity() | {"command": source.config.command()}
    if folder.config_path.is_file():
        stored = folder.config()
        _refuse_other(folder, stored, source)
        if stored["outside"] == outside:
            return folder
    elif folder.path.exists() and any(folder.path.iterdir()):
        raise InputError(f"'{folder.path}' is not empty and holds no results; choose another --out")
    content = {**source.facts, "outside": outside, **environment()}
    atomic_write(folder.config_path, json.dumps(content, indent=2) + "\n")
    return folder


def _refuse_other(folder: RunFolder, stored: dict[str, Any], source: OutsideSource) -> None:
    if "outside" not in stored:
        raise InputError(
            f"'{folder.path}' is a run of tailscape train; choose another --out, or diagnose it by "
            f"its folder: tailscape diagnose {folder.path}"
        )
    if stored["data_sha256"] != source.facts["data_sha256"]:
        raise InputError(
            f"the data are not those that '{folder.path}' was made of; choose another --out"
        )
    known = stored["outside"]
    differing = [
        n for n, v in source.config.identity().items() if n != "name" and known.get(n) != v
    ]
    if differing:
        name = differing[0]
        raise InputError(
            f"'{folder.path}' holds results of another {name} ({known.get(name)}); choose another "
            "--out"
        )


@lru_cache(maxsize=1)
def _source(
    config: OutsideConfig,
    files: tuple[tuple[str, Path], ...],
    device: torch.device,
    root: Path | None,
    workers: int,
) -> OutsideSource:
    data = open_outside(config, device, root, workers)
    return OutsideSource(config, data, device, dict(files))
