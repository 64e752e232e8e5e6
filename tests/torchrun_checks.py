"""What two processes of torchrun compute beside one, in one start: differences, as JSON.

torchrun --nproc-per-node 2 -m tests.torchrun_checks FOLDER
"""

import json
import os
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

import landscape
from landscape.config import FeaturesConfig, GradientsConfig, SharpnessConfig, SurfaceConfig
from landscape.distributed import is_writer, process_group, sharing
from tests.oracles import Staged, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.methods.grammar import parse_method
from trainers.methods.rules import RULES
from trainers.runs.checkpoint import load_checkpoint
from trainers.training import train

COUNTS = (9, 5, 3)  # unequal shares of two processes; a class smaller than their number below
TRAINED = ("ce+sam", "bbn")
COMPILED = ("sam",)
# what a class's gradient or density is made of is computed in several steps, and rounds more
_IGNORED = {"embedding", "matvecs"}


def subject(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)
    )
    data = toy_data((3, 2, 2), (*COUNTS[:2], 1))
    data = landscape.TensorData(data.inputs.to(dtype), data.labels)
    return landscape.Subject(model.to(dtype), data)


def analyses(dtype):
    given = {"batch_size": 4}
    of = subject(dtype)
    yield "surface", landscape.surface(of, SurfaceConfig(points=3), **given)
    yield "gradients", landscape.gradients(of, GradientsConfig(), **given)
    yield "features", landscape.features(of, FeaturesConfig(), **given)
    yield (
        "sharpness",
        landscape.sharpness(of, SharpnessConfig(draws=1), scopes=("overall", "classes"), **given),
    )
    yield "accuracy", landscape.accuracy(of, **given)


def spectra(dtype, shared):
    from landscape.curvature.operator import CurvatureOperator

    of = subject(dtype)
    operator = CurvatureOperator(of, of.select_all(), dtype=dtype, batch_size=4, shared=shared)
    vectors = torch.randn(operator.size, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    return {"product": operator.matmat(vectors).numpy()}


def arrays(record):
    """Floating-point arrays of a record that are no error estimates of rounding."""
    found = {f.name: np.asarray(getattr(record, f.name)) for f in fields(record)}
    return {n: a for n, a in found.items() if a.dtype.kind in "fi" and n not in _IGNORED}


def rule_step(name, spread, compile_mode=None):
    """Direction, losses and running means of one step of a rule."""
    from trainers.forward import ForwardPass

    model = Staged(batchnorm=True)
    data = toy_data((3,), COUNTS)
    made = objective_of(model, data, groups=torch.tensor([0, 0, 1]), epochs=4)
    made.forward = ForwardPass(model, compile_mode=compile_mode, spread=spread)
    made.generator = torch.Generator().manual_seed(1)
    method = parse_method(f"ce+{name}")
    rule = method.parts["rule"].build(**method.settings()["rule"])
    if hasattr(rule, "check"):
        rule.check(made.class_counts)
    with made.forward.step():
        each = rule(made)
    directions = torch.cat([p.grad.flatten() for p in model.parameters()])
    return {
        "direction": directions.numpy(),
        "each": each.numpy(),
        "mean": model.norm.running_mean.numpy(),
        "variance": model.norm.running_var.numpy(),
    }


def trained(method, folder):
    config = TrainConfig(
        method=method, epochs=1, batch_size=200, imbalance=60, device="cpu", out=folder / method
    )
    torch.set_default_dtype(torch.float64)  # in float32 a step amplifies rounding at every kink
    try:
        run = train(config).folder
    finally:
        torch.set_default_dtype(torch.float32)
    weights = load_checkpoint(run.checkpoint("epoch_0001"))["model"]
    return {name: value.double().numpy() for name, value in weights.items()}


def difference(one, other):
    """The largest difference of arrays, beside the largest value of each."""
    found = 0.0
    for name in one:
        a, b = (np.asarray(x[name], dtype=float) for x in (one, other))
        assert a.shape == b.shape, name
        assert np.array_equal(np.isfinite(a), np.isfinite(b)), name
        finite = np.isfinite(a)
        if finite.any():
            scale = max(np.abs(a[finite]).max(), 1e-30)
            found = max(found, np.abs(a - b)[finite].max() / scale)
    return float(found)


def computed(folder, *, shared):
    """Everything, by one process or by several."""
    for dtype in (torch.float32, torch.float64):
        bits = str(dtype)[-2:]
        with sharing(shared):
            for name, record in analyses(dtype):
                yield f"{name} {bits}", arrays(record)
        yield f"spectrum {bits}", spectra(dtype, shared)
    for name in RULES:
        yield f"rule {name}", rule_step(name, shared)
    for name in COMPILED:
        yield f"compiled {name}", rule_step(name, shared, "default" if shared else None)
    for method in TRAINED:
        yield f"training {method}", trained(method, folder / str(shared))


def main():
    warnings.simplefilter("ignore")
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    alone = {} if rank else dict(computed(folder / "alone", shared=False))
    with process_group():
        together = dict(computed(folder, shared=True))
        if is_writer():
            found = {name: difference(alone[name], together[name]) for name in alone}
            (folder / "differences.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
