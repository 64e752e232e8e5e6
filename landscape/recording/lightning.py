"""Record a Lightning training, by a callback of its trainer (extra ``lightning``)."""

from pathlib import Path
from typing import Any

from torch import nn

from landscape.errors import InputError
from landscape.recording.recorder import Recorder

try:
    from lightning.pytorch.callbacks import Callback
except ImportError as error:
    raise InputError("lightning is not installed; pip install 'tailscape[lightning]'") from error


class RecorderCallback(Callback):  # type: ignore[misc, unused-ignore]
    """Call a :class:`landscape.Recorder` behind every training batch.

    Args:
        run: folder of the recording.
        data: labelled training data, as for the recorder.
        module: name of the network among the LightningModule's attributes, such as ``net``.
            Default: the LightningModule itself.
        options: the recorder's, by keyword.

    Attributes:
        recorder: the recorder, open from the beginning of the fit to its end.
    """

    def __init__(self, run: str | Path, data: Any, *, module: str = "", **options: Any) -> None:
        super().__init__()
        self.recorder: Recorder | None = None
        self._module, self._given, self._options = module, (run, data), options

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the recording, in the process that writes."""
        if trainer.is_global_zero:
            self.recorder = Recorder(*self._given, **self._options)
            _part(pl_module, self._module)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Count a step."""
        if self.recorder is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        optimizer = trainer.optimizers[0] if trainer.optimizers else None
        self.recorder.step(_part(pl_module, self._module), loss=loss, optimizer=optimizer)

    def teardown(self, *_: Any, **__: Any) -> None:
        """Close the recording, also behind a fit that failed."""
        if self.recorder is not None:
            self.recorder.close()


def _part(module: nn.Module, name: str) -> nn.Module:
    if name and name not in dict(module.named_modules()):
        known = ", ".join(dict(module.named_children()))
        raise InputError(f"the module has no part '{name}'; it has {known}")
    return module.get_submodule(name)
