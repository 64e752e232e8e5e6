"""The forward pass as training runs it: precision, memory layout, compilation.

Under ``bfloat16`` the stages up to the penultimate features run in autocast; weights, BatchNorm's
statistics, heads and losses stay in float32. ``tf32`` lets matrix products and convolutions of a
GPU round their factors to TF32, in the backward pass as well. Images are put channels last, the
layout that the convolutions of cuDNN and oneDNN are fastest in.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from landscape.curvature.convolutions import prepare_convolutions
from landscape.device import tensor_cores
from landscape.distributed import processes
from landscape.errors import InputError
from landscape.subject.evaluation_copy import evaluation_copy
from trainers.config import Precision
from trainers.models.network import Network
from trainers.models.spread import check_compiler, prepare_to_spread, spread, spreading

CompileMode = Literal["default", "reduce-overhead"]
Stage = Callable[[Tensor], Tensor]


class ForwardPass:
    """Run a network's stages and head at one precision.

    Args:
        model: whose present weights are used; put channels last.
        precision: of the stages.
        compile_mode: of ``torch.compile``; ``None`` runs the stages as they are.
        spread: run the stages on a share of each batch, in the processes of ``torchrun``.

    Raises:
        InputError: the device cannot compute in bfloat16, or PyTorch cannot compile what is spread.
    """

    def __init__(
        self,
        model: Network,
        precision: Precision = "float32",
        compile_mode: CompileMode | None = None,
        *,
        spread: bool = False,
    ) -> None:
        self.model, self.precision, self.compile_mode = model, precision, compile_mode
        self.spread = spread
        if spread:
            prepare_to_spread(model, [p for p in (model.head, model.contrast) if p is not None])
        weight = next(model.parameters())
        if precision == "bfloat16" and weight.is_cuda and not torch.cuda.is_bf16_supported():
            raise InputError("this GPU does not compute in bfloat16; use --precision tf32")
        self._device_type = weight.device.type
        self._compiled: dict[str, Stage] = {}
        if compile_mode is not None:
            if spread:
                check_compiler()
            stages = {"shared": model.shared, "last": model.last, "features": model.features}
            self._compiled = {name: _compiled(s, compile_mode) for name, s in stages.items()}

    def shared(self, inputs: Tensor) -> Tensor:
        """Run all stages but the last, on images (B, C, H, W)."""
        with self._autocast():
            halves = self.model.halves
            images = channels_last(inputs)
            return spread(self._stage("shared"), images, halves=halves, returned=halves)

    def last(self, shared: Tensor) -> Tensor:
        """Run the last stage; return penultimate features (B, D)."""
        with self._autocast():
            return self._widened(spread(self._stage("last"), shared, halves=self.model.halves))

    def features(self, inputs: Tensor) -> Tensor:
        """Run all stages; return penultimate features (B, D)."""
        with self._autocast():
            images, halves = channels_last(inputs), self.model.halves
            return self._widened(spread(self._stage("features"), images, halves=halves))

    def logits(self, inputs: Tensor) -> Tensor:
        """Run stages and head; return logits (B, K)."""
        with self.step():
            logits: Tensor = self.model.head(self.features(inputs))
            return logits

    def folded(self, inputs: Callable[[], Tensor]) -> "ForwardPass":
        """Fold BatchNorm into the convolutions of a copy, which is for evaluation alone.

        Where that is quicker, in bfloat16 on a CPU (7 % of ResNet-32's time; 11 % of the compiled
        stages'); elsewhere the pass itself is returned.

        Args:
            inputs: gives some images (B, C, H, W), by which it is seen what stands behind what.
        """
        if self.precision != "bfloat16" or self._device_type != "cpu" or self.spread:
            return self
        judged = evaluation_copy(self.model)
        assert isinstance(judged, Network)
        with torch.no_grad():
            images = inputs()
            prepare_convolutions(judged, lambda: judged(images), twice=False)
        return ForwardPass(judged, self.precision)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Set the precision inside the block, backward passes included."""
        if self.compile_mode == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()
        with tensor_cores(allowed=self.precision == "tf32"), spreading(self.spread):
            yield

    def _stage(self, name: str) -> Stage:
        found: Stage = self._compiled.get(name) or getattr(self.model, name)
        return found

    def _autocast(self) -> torch.autocast:
        # on exit autocast forgets its copies of the weights, which a rule may move between passes
        return torch.autocast(
            self._device_type, torch.bfloat16, enabled=self.precision == "bfloat16"
        )

    def _widened(self, features: Tensor) -> Tensor:
        return features.float() if self.precision == "bfloat16" else features


def channels_last(images: Tensor) -> Tensor:
    """Convert images (B, C, H, W) to channels-last memory; return other inputs unchanged."""
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def compile_mode_of(device: torch.device) -> CompileMode:
    """Choose the compile mode: on a GPU, kernels are replayed as CUDA graphs by one process."""
    alone = processes() == 1
    return "reduce-overhead" if device.type == "cuda" and alone else "default"


def _compiled(stage: Stage, mode: CompileMode) -> Stage:
    from torch._functorch import config  # slow to import

    # rules take several backward passes through one graph, which donated buffers would forbid
    config.donated_buffer = False
    # shapes that are compiled anew as variable ones would give a second training other last digits
    compiled: Stage = torch.compile(stage, mode=mode, dynamic=False)
    return compiled
