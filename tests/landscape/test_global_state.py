"""Analyses set PyTorch's global state for themselves, and leave the user's as it was."""

import subprocess
import sys
from contextlib import ExitStack, contextmanager, nullcontext

import numpy as np
import pytest
import torch

import landscape
from landscape.curvature.dense import dense
from landscape.curvature.operator import CurvatureOperator
from landscape.device import tensor_cores
from landscape.global_state import controlled_state, user_defaults
from landscape.subject.data import TensorData
from landscape.subject.evaluation_copy import evaluation_copy
from landscape.subject.subject import Subject
from landscape.weight_space.class_gradients import class_gradients
from landscape.weight_space.evaluator import Evaluator
from tests.oracles import conv_net, toy_data


@contextmanager
def default_device(name):
    before = torch.empty(0).device
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None if before.type == "cpu" else before)
        if before.type == "cpu":  # a device of None is more than torch 2.6 can tell
            vars(torch._GLOBAL_DEVICE_CONTEXT).pop("device_context", None)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


STATES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default_dtype": lambda: default_dtype(torch.float64),
    "default_device": lambda: default_device("meta"),
    "tensor_cores": lambda: tensor_cores(allowed=True),
}


def subject():
    data = toy_data((1, 4, 4), (9, 7, 5))
    return Subject(conv_net(), TensorData(data.inputs, data.labels))


SCOPES = ("overall", "class/2")


def everything(mine):
    """Numbers of every part that runs the model."""
    (scope,) = mine.scopes(("overall",))
    selection = mine.select(scope)
    operator = CurvatureOperator(mine, selection)
    loss, gradient = operator.loss_and_gradient()
    evaluator = Evaluator(mine, selection)
    gradients, _ = class_gradients(mine, selection)
    return [
        dense(operator),
        gradient,
        torch.from_numpy(np.float64([loss])),
        evaluator.judge().loss,
        torch.cat([g.flatten() for g in evaluator.gradient(selection.weights)]),
        gradients.rows,
        torch.from_numpy(landscape.spectrum(mine, steps=8, scopes=SCOPES).lambda_max),
        torch.from_numpy(landscape.features(mine).quality),
        torch.from_numpy(landscape.accuracy(mine).confusion),
    ]


@pytest.fixture(scope="module")
def plain():
    return everything(subject())


@pytest.mark.parametrize("name", STATES)
def test_numbers_do_not_depend_on_what_the_user_has_set(name, plain):
    mine = subject()
    with STATES[name]():
        found = everything(mine)
    for a, b in zip(plain, found, strict=True):
        assert torch.equal(a.nan_to_num(), b.nan_to_num())


def readable():
    """The global state that can be read."""
    backends = torch.backends
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "device": torch.empty(0).device,
        "precision": torch.get_float32_matmul_precision(),
        "tf32": (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32),
        "cudnn": (backends.cudnn.deterministic, backends.cudnn.benchmark),
    }


@pytest.mark.parametrize("name", ["plain", *STATES])
def test_the_state_is_restored_also_after_an_error(name):
    mine = subject()
    with STATES.get(name, nullcontext)():
        before = readable()
        landscape.spectrum(mine, steps=4, scopes="overall")
        assert readable() == before
        with pytest.raises(RuntimeError, match="inside"), controlled_state():
            raise RuntimeError("inside")
        assert readable() == before


def test_inside_the_state_is_the_same_whatever_is_outside():
    seen = []
    for name in ("plain", *STATES):
        with ExitStack() as stack:
            stack.enter_context(STATES.get(name, nullcontext)())
            stack.enter_context(controlled_state())
            seen.append(readable())
    assert all(state == seen[0] for state in seen)
    assert seen[0]["grad"]
    assert seen[0]["precision"] == "highest"


def test_code_of_the_users_runs_with_the_users_defaults():
    with default_dtype(torch.float64), default_device("meta"), controlled_state():
        assert torch.zeros(1).dtype == torch.float32
        assert torch.zeros(1).device.type == "cpu"
        with controlled_state(), user_defaults():
            assert torch.zeros(1).dtype == torch.float64
            assert torch.zeros(1).device.type == "meta"


NEWER = [
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.fp32_precision = 'tf32'",
    "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cuda.matmul.allow_tf32 = True",
]


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch before 2.9"
)
def test_either_interface_to_tf32_may_have_been_used():
    """Each in a process of its own, as some settings cannot be taken back; one imports for all."""
    script = f"""
import os, sys, torch, landscape
from tests.landscape.test_global_state import subject

def switches():
    backends = torch.backends
    named = (backends, backends.cuda.matmul, backends.cudnn, backends.cudnn.conv,
             backends.cudnn.rnn, backends.mkldnn.matmul, backends.mkldnn.conv)
    return [s.fp32_precision for s in named]

plain = landscape.spectrum(subject(), steps=4, scopes="overall")
# either takes longer to import than this takes
assert not {{"torch._dynamo", "torchvision"}} & sys.modules.keys()
failed = []
for setting in {NEWER}:
    sys.stdout.flush()
    child = os.fork()
    if child:
        failed += [setting] if os.waitpid(child, 0)[1] else []
        continue
    try:
        exec(setting)
        before = switches()
        found = landscape.spectrum(subject(), steps=4, scopes="overall")
        assert switches() == before, (before, switches())
        assert found.lambda_max.tolist() == plain.lambda_max.tolist()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)
sys.exit(f"{{failed}}" if failed else 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_models_and_data_may_be_made_in_inference_mode(plain):
    with torch.inference_mode():
        theirs = subject()
        within = everything(theirs)
    for found in (within, everything(theirs)):
        assert all(map(torch.equal, map(torch.nan_to_num, plain), map(torch.nan_to_num, found)))


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU])
def test_recurrent_layers_are_computed_without_cudnn_and_nothing_else_is(kind):
    """cuDNN has no second derivative of them, and in eval mode no first one."""
    seen = []

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = kind(3, 4, batch_first=True), torch.nn.Linear(4, 2)

        def forward(self, x):
            seen.append(torch.backends.cudnn.enabled)
            return self.head(self.cell(x)[0][:, -1])

    class Cell(kind):
        def forward(self, *given):
            seen.append(torch.backends.cudnn.enabled)
            return super().forward(*given)

    model, inputs = Net().eval(), torch.ones(2, 5, 3)
    assert torch.equal(evaluation_copy(model)(inputs), model(inputs))
    seen.clear()
    model.cell = Cell(3, 4, batch_first=True)
    evaluation_copy(model)(inputs)
    assert seen == [True, False]
    assert torch.backends.cudnn.enabled
