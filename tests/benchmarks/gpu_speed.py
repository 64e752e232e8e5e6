"""Seconds of a training on a GPU: eager, compiled, and replayed as CUDA graphs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from landscape.results.atomic import atomic_write
from tests.benchmarks.gpu_session import Session
from trainers.config import TrainConfig
from trainers.forward import CompileMode
from trainers.trainer import Trainer
from trainers.training import prepare

MODES: dict[str, CompileMode | None] = {
    "captured": "reduce-overhead",
    "eager": None,
    "compiled": "default",
}


def configuration(session: Session, method: str, precision: str) -> TrainConfig:
    """Settings of the training whose speed is measured."""
    digits = session.images is None
    return TrainConfig(
        method=method,
        data="digits" if digits else f"folder:{session.images}",
        imbalance=20 if digits else 100,
        recipe="auto" if digits else "a",
        precision=precision,
        device=session.device,
    )


@dataclass
class Pace:
    """How fast a training goes: seconds of 200 epochs, of a step, and of its kernels."""

    whole: float
    step: float
    busy: float  # NaN on a CPU

    def __str__(self) -> str:
        return f"{self.whole:.1f} | {1e3 * self.step:.2f} | {1e3 * self.busy:.2f}"


def measured_pace(
    session: Session, method: str, precision: str, mode: CompileMode | None, least: float
) -> Pace:
    """Measure steps for at least some seconds."""
    plan, data, device = prepare(configuration(session, method, precision))
    trainer = Trainer(plan, data, device, mode)
    trainer.set_training()
    size, samples = plan.recipe.batch_size, len(data.train.labels)
    order = torch.arange(samples)

    def steps(most: int | None = None) -> int:
        batches = trainer._train.batches(order[: most and most * size], size, trainer.augmentation)
        done = 0
        for inputs, labels in batches:
            if len(labels) == size:
                trainer.step(inputs, labels, 0)
                done += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        return done

    steps(3)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < least:
        done += steps(4 if session.tiny else None)
    step = (time.perf_counter() - started) / done
    busy = float("nan") if device.type == "cpu" else seconds_of_kernels(lambda: steps(8))
    return Pace(200 * step * samples / size, step, busy)


def seconds_of_kernels(steps: Callable[[], int]) -> float:
    """Sum up what the GPU's kernels take, a step."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        done = steps()
    return sum(entry.self_device_time_total for entry in profile.key_averages()) / 1e6 / done


def measure_speed(session: Session, seconds: float) -> tuple[str, str]:
    """Print the seconds of 200 epochs; return the quickest mode and precision."""
    deadline = time.monotonic() + seconds
    least = 0.2 if session.tiny else 2.0
    names = ["method", "precision", "mode", "seconds of 200 epochs", "ms a step", "ms of kernels"]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    found: dict[tuple[str, str], float] = {}
    precisions = ["float32", "bfloat16"] if session.device == "cpu" else ["bfloat16", "tf32"]
    modes = {"eager": None} if session.tiny else MODES
    for mode, compile_mode in modes.items():
        for precision in precisions:
            for method in ("ce", "ce+sam"):
                name = f"| {method} | {precision} | {mode} |"
                if time.monotonic() > deadline:
                    lines.append(f"{name} not run: no time left | | |")
                    continue
                try:
                    pace = measured_pace(session, method, precision, compile_mode, least)
                    lines.append(f"{name} {pace} |")
                    if method == "ce+sam":
                        found[mode, precision] = pace.whole
                except RuntimeError as error:
                    reason = str(error).strip().splitlines()[0][:200]
                    lines.append(f"{name} failed: {reason} | | |")
                session.say(lines[-1])
                atomic_write(session.out / "speed.md", "\n".join(lines) + "\n")
    return min(found, key=lambda key: found[key]) if found else ("eager", "float32")
