"""An external model as a source of checkpoints, and the folder of its results."""

import json
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cli.sources.checkpoint_files import checkpoint_files, part_files
from cli.sources.external_config import ExternalConfig
from cli.sources.external_data import ExternalData, open_external_data
from cli.sources.external_model import build_model, load_loss, num_classes_of
from cli.sources.source import RuleDirection
from landscape.errors import InputError, quoted
from landscape.results.atomic import atomic_write
from landscape.results.checkpoint_names import course, spelled
from landscape.results.environment import environment
from landscape.results.provenance import RunOrigin, external_plan
from landscape.subject.data import LabelledData
from landscape.subject.state_dict import Loaded, load_state, part_of_model
from landscape.subject.subject import Subject
from landscape.subject.weights_file import read_weights
from trainers.runs.folder import RunFolder

_MOST_LISTED = 12


@dataclass(frozen=True, eq=False)
class ExternalSource:
    """An external model, its checkpoints and its data."""

    config: ExternalConfig
    data: ExternalData
    device: torch.device
    files: dict[str, Path]
    loaded: dict[str, Loaded] = field(default_factory=dict)  # filled as files are read

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Return K names; numbers for classes that the data do not name."""
        outputs = num_classes_of(self.config.model_arguments)
        classes = max(self.data.classes, len(self.config.class_counts), outputs)
        names = list(self.data.class_names)
        for c in range(len(names), classes):
            names.append(f"unnamed {c}" if str(c) in names else str(c))
        return tuple(names)

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Count the training samples of each class (K,)."""
        counted = torch.bincount(self.data.train.labels, minlength=len(self.class_names))
        return self.config.class_counts or tuple(counted.tolist())

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return the configuration stored with results and in the folder."""
        return {
            "plan": external_plan(self.config.label, str(self.config.data), self.class_counts),
            "class_names": list(self.class_names),
            "class_counts": list(self.class_counts),
            "data_sha256": self.data.fingerprint(),
            "data_root": None,
        }

    @property
    def train(self) -> LabelledData:
        """Return the training samples."""
        return self.data.train

    @property
    def test(self) -> LabelledData:
        """Return the test set, or the training samples without one."""
        return self.data.train if self.data.test is None else self.data.test

    @property
    def batch_size(self) -> int | None:
        """Return ``None``: the batch size of the training is unknown."""
        return None

    def checkpoint_names(self) -> list[str]:
        """List the epochs or steps in order, or all names if none is numbered."""
        return course(self.files) or list(self.files)

    def subject(self, checkpoint: str, logit_scale: float | None) -> Subject:
        """Open a checkpoint.

        Raises:
            InputError: it does not fit the model, or a logit scale is requested.
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
            load_loss(self.config.loss),
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
        """Report how files were named and read, and whether the data have no test set."""
        lines = [f"checkpoint {name}: {path}" for name, path in self.files.items()]
        if len(lines) > _MOST_LISTED:
            lines = [lines[0], f"… {len(lines) - 2} more", lines[-1]]
        for name, found in self.loaded.items():
            if found.prefix:
                lines.append(f"{name}: prefix '{found.prefix}' removed from parameter names")
            if found.others:
                others = ", ".join(found.others)
                lines.append(
                    f"{name}: weights under '{found.key}'; the file also holds {others} "
                    "(--weights-key)"
                )
            if found.ignored:
                lines.append(f"{name}: ignored {', '.join(found.ignored[:5])}")
        if self.data.test is None:
            lines.append("no test set: accuracy and features are computed on the training data")
        return lines

    def load_other(self, word: str) -> nn.Module:
        """Build the model with the weights of a named checkpoint, or of a file."""
        name = spelled(word, self.files)
        if name in self.files:
            return self.model(name)
        return self._with_weights(Path(word).expanduser(), word)

    def other(self, root: Path, *, known: bool) -> LabelledData:  # noqa: ARG002
        """Refuse other images: how they are read is known of a run only.

        Raises:
            InputError: always.
        """
        raise InputError(
            "--eval is for runs of tailscape train; judge a model of your own on other images with "
            "--data"
        )

    def redrawn(self, seed: int) -> LabelledData:
        """Raise: the augmentation of the training is unknown."""
        raise InputError(
            f"the released protocol (seed {seed}) draws a new augmentation at every product, which "
            "is known only for runs of tailscape train"
        )

    def training_step(self, _: str) -> None:
        """Know nothing of the training's step; settings may name it."""

    def trained_loss(self, _: str) -> None:
        """Know nothing of the training's loss, unless it is the one judged."""

    def rule_direction(self, checkpoint: str) -> RuleDirection:
        """Raise: the rule of the training is unknown."""
        raise InputError(
            f"the training's direction at {checkpoint} is known only for runs of tailscape train; "
            "omit --gradients.direction"
        )

    def _parts(self, name: str) -> dict[str, Tensor]:
        """Read the weights of further parts, by the model's names."""
        trust, found = self.config.trust_pickle, dict[str, Tensor]()
        for path, prefix in part_files(
            self.config.parts, name, download=self.config.download
        ).items():
            found |= part_of_model(read_weights(path, trust_pickle=trust).state, prefix)
        return found

    def _with_weights(self, path: Path, name: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            model = build_model(
                str(self.config.model), self.config.model_arguments, len(self.class_names)
            )
        stored = read_weights(
            path, trust_pickle=self.config.trust_pickle, keys=self.config.weights_key
        )
        model = deepcopy(model)  # a builder may return the same object again
        found = load_state(model, stored.state, path, self._parts(name))
        self.loaded[name] = replace(found, key=stored.key, others=stored.others)
        return model


def open_external_source(
    config: ExternalConfig, device: torch.device, root: Path | None = None, workers: int = 0
) -> ExternalSource:
    """Open an external model; it and its data are cached for the next call.

    Raises:
        InputError: a part is missing or cannot be used.
    """
    config.check()
    assert config.weights is not None
    files = tuple(checkpoint_files(config.weights, download=config.download).items())
    return _cached_source(config, files, device, root, workers)


def prepare_folder(source: ExternalSource) -> RunFolder:
    """Prepare the folder of results, or continue in one of the same model and data.

    Raises:
        InputError: the folder holds other content.
    """
    assert source.config.out is not None
    folder = RunFolder(source.config.out)
    external = source.config.identity() | {"command": source.config.command()}
    if folder.config_path.is_file():
        stored = folder.config()
        _check_same_subject(folder, stored, source)
        if stored["outside"] == external:
            return folder
    elif folder.path.exists() and any(folder.path.iterdir()):
        raise InputError(f"'{folder.path}' is not empty and holds no results; choose another --out")
    content = {**source.facts, "outside": external, **environment()}
    atomic_write(folder.config_path, json.dumps(content, indent=2) + "\n")
    return folder


def _check_same_subject(folder: RunFolder, stored: dict[str, Any], source: ExternalSource) -> None:
    if "outside" not in stored:
        raise InputError(
            f"'{folder.path}' is a run of tailscape train; choose another --out, or diagnose it by "
            f"its folder: tailscape diagnose {quoted(folder.path)}"
        )
    if stored["data_sha256"] != source.facts["data_sha256"]:
        raise InputError(
            f"the data differ from those of the results in '{folder.path}'; choose another --out"
        )
    known = ExternalConfig().identity() | stored["outside"]
    free = {"name"} | {n for n in ("model", "weights", "data") if known[n] is None}  # recorded
    differing = [n for n, v in source.config.identity().items() if n not in free and known[n] != v]
    if differing:
        name = differing[0]
        raise InputError(
            f"'{folder.path}' holds results of another {name} ({known[name]}); choose another --out"
        )


@lru_cache(maxsize=1)
def _cached_source(
    config: ExternalConfig,
    files: tuple[tuple[str, Path], ...],
    device: torch.device,
    root: Path | None,
    workers: int,
) -> ExternalSource:
    data = open_external_data(config, device, root, workers)
    return ExternalSource(config, data, device, dict(files))
