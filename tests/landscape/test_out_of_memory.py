"""Memory that runs out at any operation of the engine halves the batch, and changes no number."""

import sys
import warnings

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import landscape
from cli.main import main
from landscape.analyses.accuracy import judge_all
from landscape.analyses.features import penultimate_features
from landscape.curvature.operator import CurvatureOperator
from landscape.errors import InputError, MemoryWarning
from landscape.subject.out_of_memory import in_batches, is_out_of_memory, with_less_memory
from landscape.weight_space.class_gradients import class_gradients
from landscape.weight_space.evaluator import Evaluator
from tests.faults.scenes import TRAIN
from tests.oracles import conv_net, toy_data

DOUBLE = {"dtype": torch.float64}


def subject():
    torch.manual_seed(0)
    data = toy_data((1, 6, 6), (6, 4, 3))
    data = landscape.TensorData(data.inputs.double(), data.labels)
    return landscape.Subject(conv_net().double().eval(), data)


class Scarce(TorchDispatchMode):
    """Let the n-th operation inside the engine's retries find no memory."""

    def __init__(self, at=0, times=1):
        super().__init__()
        self.at, self.times, self.seen = at, times, 0

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        if _inside(with_less_memory.__code__):
            self.seen += 1
            if self.at <= self.seen < self.at + self.times:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return function(*args, **(kwargs or {}))


def _inside(code):
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def product(of, **options):
    operator = CurvatureOperator(of, of.select_all(), batch_size=8, **DOUBLE, **options)
    vectors = torch.randn(operator.size, 2, generator=torch.Generator().manual_seed(0)).double()
    return torch.stack([operator.matmat(vectors), operator.matmat(vectors)])


def gradient(of):
    operator = CurvatureOperator(of, of.select_all(), batch_size=8, **DOUBLE)
    return operator.loss_and_gradient()[1]


def surface(of):
    evaluator = Evaluator(of, of.select_all(), batch_size=8, **DOUBLE)
    losses = evaluator.at([evaluator.centre], [0.1]).loss
    parts = evaluator.gradient(evaluator.weights)
    return torch.cat([losses, *(part.flatten() for part in parts)])


def classes(of):
    return class_gradients(of, of.select_all(), batch_size=8, **DOUBLE)[0].rows


def features(of):
    return penultimate_features(of.model, of.classifier_name(), of.data, batch_size=8).features


def accuracy(of):
    weight = next(of.model.parameters())
    found = judge_all(lambda batch: of.model(batch[0]), weight, of.data, 3, batch_size=8)
    return torch.from_numpy(found.confusion).double() + found.loss


def kept_none(of):
    return product(of, memory_budget=0.0)


SITES = [product, kept_none, gradient, surface, classes, features, accuracy]


def goes_on(site, at, expected, times=1):
    with warnings.catch_warnings(record=True) as said, Scarce(at, times):
        warnings.simplefilter("always")
        found = site(subject())
    assert any("out of memory" in str(w.message) for w in said if w.category is MemoryWarning)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def operations(site):
    with Scarce() as counted:
        expected = site(subject())
    return counted.seen, expected


@pytest.mark.parametrize("site", SITES)
def test_some_operations_find_no_memory(site):
    count, expected = operations(site)
    for at in (1, count // 3, 2 * count // 3):
        goes_on(site, at, expected)


@pytest.mark.slow
@pytest.mark.parametrize("site", SITES)
def test_every_operation_finds_no_memory(site):
    """Once, and twice in a row."""
    count, expected = operations(site)
    for at in range(1, count + 1):
        goes_on(site, at, expected)
        goes_on(site, at, expected, times=2)
    print(f"{site.__name__}: {count} operations survived")


@pytest.mark.filterwarnings("ignore::landscape.errors.MemoryWarning")  # of the smaller batches
def test_memory_for_no_sample_is_a_sentence():
    with (
        pytest.raises(InputError, match=r"out of memory \(CUDA out of memory\. Tried"),
        pytest.warns(MemoryWarning, match="4 samples at a time are taken in place of 8"),
        Scarce(1, 10**9),
    ):
        surface(subject())


@pytest.mark.filterwarnings("always::landscape.errors.MemoryWarning")
def test_batches_are_halved_to_one():
    tried = []

    def compute(size):
        tried.append(size)
        if size > 1:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return size

    with pytest.warns(MemoryWarning):
        assert in_batches(compute, 5) == 1
    assert tried == [5, 3, 2, 1]
    with pytest.raises(ZeroDivisionError):
        in_batches(lambda size: size // 0, 5)
    assert not is_out_of_memory(RuntimeError("expected scalar type Float"))


def test_a_training_without_memory_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def step(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("trainers.trainer.Trainer.step", step)
    assert main(TRAIN.split()) == 2
    assert "out of memory; take a smaller --batch-size" in capsys.readouterr().err
