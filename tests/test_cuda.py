"""A GPU computes what the CPU computes, twice the same, and does not wait for the host.

TAILSCAPE_GPU=cpu rehearses them without one; what only a GPU has is then left out.
"""

import os
import subprocess
import sys
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import landscape
from landscape.device import tensor_cores
from landscape.results.load import load
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from tests.landscape.every_analysis import ANALYSES, analyse
from tests.oracles import conv_net, objective_of, toy_data
from trainers.config import TrainConfig
from trainers.methods.grammar import RULES
from trainers.models.catalogue import build_model
from trainers.runs.checkpoint import load_checkpoint
from trainers.trainer import Trainer
from trainers.training import prepare, train

GPU = os.environ.get("TAILSCAPE_GPU", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(GPU == "cuda" and not torch.cuda.is_available(), reason="no CUDA device"),
]
cuda_alone = pytest.mark.skipif(GPU != "cuda", reason="there is no such thing on a CPU")
ROOT = Path(__file__).parents[1]
STEPS = landscape.SpectrumConfig(steps=20)
DRAWN = {"pgd", "lpf-sgd", "pcgrad", "mp"}  # their noise comes from the device's own stream


def on(device, shape=(1, 4, 4), counts=(70, 64, 62), model=None):
    data = toy_data(shape, counts)
    model = (model or conv_net(classes=len(counts))).to(device)
    return Subject(model, TensorData(data.inputs.to(device), data.labels))


def numbers(record):
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield field.name, value


def analysed(name, subject, **given):
    settings = {"spectrum": STEPS, "surface": landscape.SurfaceConfig(points=5, at_once=4)}
    dtype = {} if name == "similarity" else {"dtype": "float64"}
    others = {"against": conv_net(1).to(next(subject.model.parameters()).device)}
    more = others if name == "similarity" else {}
    return analyse(name, subject, settings, **dtype, **more, **given)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_agrees_with_the_cpu(name):
    there, here = (dict(numbers(analysed(name, on(d)))) for d in (GPU, "cpu"))
    for field, value in here.items():
        if not field.endswith("residual"):  # what rounding leaves, never twice the same
            assert np.allclose(there[field], value, rtol=1e-6, atol=1e-8, equal_nan=True), field


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_repeats_bit_for_bit(name):
    first, second = (dict(numbers(analysed(name, on(GPU)))) for _ in range(2))
    for field, value in first.items():
        assert np.array_equal(value, second[field], equal_nan=True), field


def direction(rule, device, variant=""):
    part = RULES[rule]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model("resnet8", 3, 1).double().train().to(device)
    data = toy_data((1, 8, 8), (6, 4, 3))
    data = TensorData(data.inputs.to(device), data.labels.to(device))
    objective = objective_of(
        model,
        data,
        class_counts=torch.tensor([40, 20, 8], device=device),
        groups=torch.tensor([0, 1, 1]),
        epochs=10,
        generator=torch.Generator(device).manual_seed(0),
    )
    part.build(**part.resolved(variant))(objective)
    return torch.cat([p.grad.flatten() for p in model.parameters()]).cpu()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("variant", ["", "released"])
def test_every_rule_agrees_with_the_cpu(rule, variant):
    there = direction(rule, GPU, variant)
    assert torch.isfinite(there).all()
    if rule not in DRAWN:
        here = direction(rule, "cpu", variant)
        assert (there - here).norm() <= 1e-6 * here.norm()


def run(out, method="ce+sam", **given):
    return TrainConfig(
        method=method, epochs=3, imbalance=20, device=GPU, eval_every=3, out=out, **given
    )


@pytest.mark.parametrize("method", ["ce+sam", "bcl", "ce-mixup+plot"])
def test_training_repeats_bit_for_bit_with_deterministic_kernels(tmp_path, method):
    script = (
        "import sys, torch; from cli.main import main; "
        "torch.use_deterministic_algorithms(True); sys.exit(main(sys.argv[1:]))"
    )
    states = []
    for name in ("first", "second"):
        out = tmp_path / name
        command = [sys.executable, "-c", script, "train", "--method", method, "--epochs", "2"]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONPATH": path}
        done = subprocess.run(
            [*command, "--device", GPU, "--out", str(out)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        states.append(load_checkpoint(out / "checkpoints" / "last.pt")["model"])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_learns_compiled_and_captured(tmp_path, rule, precision):
    folder = train(run(tmp_path / "run", f"ce+{rule}", precision=precision, compile=True)).folder
    losses = [entry["train_loss"] for entry in folder.metrics()]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@cuda_alone
@pytest.mark.parametrize("rule", ["sgd", "sam", "asam", "fsam", "focal-sam", "pgd", "lpf-sgd"])
def test_a_step_waits_for_no_synchronisation(tmp_path, rule):
    plan, data, device = prepare(run(tmp_path, f"ce+{rule}"))
    trainer = Trainer(plan, data, device)
    trainer.set_training()
    order = torch.arange(len(data.train.labels))
    batches = list(trainer._train.batches(order, 64, trainer.augmentation))
    trainer.step(*batches[0], 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls the mode a prototype
        try:
            torch.cuda.set_sync_debug_mode("error")
            trainer.step(*batches[1], 0)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@cuda_alone
def test_products_do_not_round_to_tf32_where_the_user_allows_it():
    found = []
    for allowed in (False, True):
        with tensor_cores(allowed=allowed):
            found.append(landscape.spectrum(on(GPU), STEPS, dtype="float32"))
    assert np.array_equal(found[0].lambda_max, found[1].lambda_max)
    assert np.array_equal(found[0].trace, found[1].trace)


@pytest.mark.parametrize("warm", [False, True])
def test_a_basis_in_the_hosts_memory_gives_the_same_spectrum(warm):
    settings, vectors = landscape.SpectrumConfig(steps=20, warm_start=warm), {}
    for _ in range(1 + warm):
        there, here = (
            landscape.spectrum(
                on(GPU), replace(settings, basis=b), dtype="float64", warm_start_vectors=v
            )
            for b, v in (("device", dict(vectors)), ("host", vectors))
        )
        for name in ("lambda_min", "lambda_max", "trace"):
            assert np.allclose(getattr(there, name), getattr(here, name), rtol=1e-9), name


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.cell, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)
        self.double()

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def test_recurrent_networks_have_second_derivatives():
    there, here = (
        landscape.spectrum(on(d, (5, 3), model=Recurrent()), STEPS, dtype="float64")
        for d in (GPU, "cpu")
    )
    assert np.allclose(there.lambda_max, here.lambda_max, rtol=1e-6)


@cuda_alone
def test_a_data_parallel_model_is_that_model():
    subject = on(GPU)
    wrapped = replace(subject, model=nn.DataParallel(subject.model, device_ids=[0]))
    plain, parallel = (landscape.spectrum(s, STEPS, dtype="float64") for s in (subject, wrapped))
    assert np.allclose(plain.lambda_max, parallel.lambda_max, rtol=1e-9)


def test_a_result_from_a_gpu_names_it(tmp_path):
    record = landscape.accuracy(on(GPU))
    record.save(tmp_path / "a.h5")
    assert load(tmp_path / "a.h5").provenance.device.startswith(GPU)
