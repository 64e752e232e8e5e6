"""The public contracts: our own operators and analyses keep them, and a broken promise is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import landscape
from landscape.analyses.analysis import analysis
from landscape.analyses.catalogue import ANALYSES, Analysis
from landscape.analyses.sharpness import sharpness
from landscape.curvature.dense import MatrixOperator
from landscape.results.sharpness import Sharpness
from landscape.subject.data import TensorData
from landscape.testing import check_analysis, check_operator, toy_subject
from tests.landscape.references import Diagonal, gaussian, rotated

LONGER = ("similarity", "surface", "path")  # a path needs another checkpoint
KINDS = ("hessian", "ggn", "fisher", "empirical-fisher", "difference")


@pytest.mark.parametrize("kind", KINDS)
def test_our_operators(kind):
    check_operator(landscape.operator(toy_subject(), "tail", kind, dtype="float64"))


def test_matrices():
    matrix = rotated([-3.0, 0.0, 0.0, 1.0, 5.0, 5.0])
    check_operator(MatrixOperator(matrix), matrix)
    with pytest.raises(AssertionError, match="differs from the exact one"):
        check_operator(MatrixOperator(matrix), matrix + 1e-3)


class Drifting(Diagonal):
    def fresh_matmat(self, vectors):
        return 1.01 * self.matmat(vectors)


class Curved(Diagonal):
    def matmat(self, vectors):
        return super().matmat(vectors).abs()

    fresh_matmat = matmat


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (MatrixOperator(gaussian(4, 4)), "not symmetric"),
        (Drifting(torch.ones(3).double()), "a fresh product differs"),
        (Curved(torch.arange(3).double()), "not linear"),
    ],
    ids=["asymmetric", "drifting", "curved"],
)
def test_a_broken_operator_is_named(operator, said):
    with pytest.raises(AssertionError, match=said):
        check_operator(operator)


@pytest.mark.parametrize("name", [n for n in ANALYSES if n not in LONGER])
def test_our_analyses(name):
    check_analysis(ANALYSES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["similarity", "surface"])
def test_our_longer_analyses(name):
    toy = toy_subject()
    inputs, labels = toy.data.inputs.repeat(16, 1), toy.data.labels.repeat(16)
    inputs = inputs + 0.1 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0))
    check_analysis(ANALYSES[name], replace(toy, data=TensorData(inputs, labels)))


def spoilt(subject, name):
    """Sharpness, with one promise broken."""
    found = sharpness(subject, draws=1, steps=1)
    if name == "chance":
        torch.rand(())
    if name == "modes":
        subject.model.train()
    if name == "weights":
        with torch.no_grad():
            next(iter(subject.model.parameters())).add_(1e-3)
    if name == "repeat":
        noise = np.random.default_rng().normal(size=found.loss.shape)
        return replace(found, loss=found.loss + noise)
    return replace(found)


BROKEN = {
    "chance": "the generators",
    "modes": "modes were changed",
    "weights": "'0.weight' was changed",
    "repeat": "a second run gives another 'loss'",
    "nothing": "its record says analysis 'sharpness', and its entry 'spoilt'",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_of_an_analysis_is_named(name, monkeypatch):
    @analysis("sharpness")
    def function(subject, *, dtype=None, seed=0):  # noqa: ARG001
        return spoilt(subject, name)

    own = "spoilt" if name == "nothing" else "sharpness"
    entry = Analysis(own, "", ("noise", "noise"), ())
    monkeypatch.setattr(Analysis, "load", lambda _: function)
    monkeypatch.setattr(Analysis, "record_type", lambda _: Sharpness)
    with pytest.raises(AssertionError, match=BROKEN[name]):
        check_analysis(entry)
