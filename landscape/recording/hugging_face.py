"""Record a fine-tuning by Hugging Face's Trainer, by a callback (extra ``transformers``)."""

from pathlib import Path
from typing import Any

from landscape.errors import InputError
from landscape.recording.recorder import Recorder

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise InputError(
        "transformers is not installed; pip install 'tailscape[transformers]'"
    ) from error


class RecorderCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Call a :class:`landscape.Recorder` behind every optimiser step.

    Args:
        run: folder of the recording.
        data: labelled training data, as for the recorder: items are mappings with ``labels``.
        options: the recorder's, by keyword.

    Attributes:
        recorder: the recorder, open from the beginning of the training to its end.
    """

    def __init__(self, run: str | Path, data: Any, **options: Any) -> None:
        self.recorder: Recorder | None = None
        self._given, self._options = (run, data), options

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Open the recording, in the process that writes."""
        if state.is_world_process_zero:
            self.recorder = Recorder(*self._given, **self._options)

    def on_step_end(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        model: Any = None,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Count a step; the loss kept is the last that the trainer logged."""
        if self.recorder is None:
            return
        logged = [entry["loss"] for entry in state.log_history[-1:] if "loss" in entry]
        inner = getattr(optimizer, "optimizer", optimizer)  # inside accelerate's
        self.recorder.step(model, loss=logged[0] if logged else None, optimizer=inner)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Close the recording."""
        if self.recorder is not None:
            self.recorder.close()
