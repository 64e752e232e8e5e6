"""Contracts of operators and analyses, which an author of either tests with; ours pass them too.

Each function raises an ``AssertionError`` that says which promise is broken.
"""

import copy
import json
import random
import tempfile
from dataclasses import asdict
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from landscape.analyses.catalogue import Analysis
from landscape.curvature.eigenpairs import end_pairs
from landscape.curvature.operator import Operator
from landscape.results.fields import datasets
from landscape.results.load import load
from landscape.results.plugins import settings_problem
from landscape.results.result import Result
from landscape.subject.data import TensorData
from landscape.subject.subject import Subject

_ROUNDING = 1e4  # in eps of the products' size


def check_operator(operator: Operator, dense: Tensor | None = None) -> None:
    """Check a matrix known by its products: linear, symmetric, repeatable; bounds that hold.

    Args:
        operator: of few parameters: its whole matrix is built.
        dense: (P, P), the exact matrix, where it is known.

    Raises:
        AssertionError: naming the broken promise.
    """
    size = operator.size
    identity = torch.eye(size, dtype=operator.dtype, device=operator.device)
    matrix = operator.matmat(identity).double().cpu()
    scale = float(matrix.abs().max())
    allowed = _ROUNDING * torch.finfo(operator.dtype).eps * scale
    assert matrix.shape == (size, size), f"products of {size} unit vectors are {matrix.shape}"
    apart = float((matrix - matrix.T).abs().max())
    assert apart <= allowed, f"the matrix is not symmetric: entries differ by {apart:.3g}"
    vectors = torch.randn(
        (size, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    given = vectors.to(identity)
    apart = float((operator.matmat(given).double().cpu() - matrix @ vectors).abs().max())
    assert apart <= allowed * size, f"products are not linear: they differ by {apart:.3g}"
    fresh = operator.fresh_matmat(identity).double().cpu()
    apart = float((fresh - matrix).abs().max())
    assert apart <= allowed, f"a fresh product differs by {apart:.3g}"
    if dense is not None:
        apart = float((matrix - dense.double().cpu()).abs().max())
        assert apart <= allowed, f"the matrix differs from the exact one by {apart:.3g}"
    _check_bounds(operator, torch.linalg.eigvalsh(matrix))


def _check_bounds(operator: Operator, exact: Tensor) -> None:
    k = min(3, len(exact))
    options = {"steps": 3 * k, "tolerance": 1e-3, "capacity": 3 * k + 1}
    found = end_pairs(operator, k, "both", torch.Generator().manual_seed(0), **options)  # type: ignore[arg-type]
    for value, bound in zip(found.values, found.bounds, strict=True):
        apart = float((exact - value).abs().min())
        rounding = _ROUNDING * torch.finfo(operator.dtype).eps * float(exact.abs().max())
        assert apart <= float(bound) + rounding, (
            f"no eigenvalue lies within {float(bound):.3g} of {float(value):.6g}"
        )


def toy_subject(seed: int = 0) -> Subject:
    """A small network with BatchNorm and dropout on long-tailed Gaussian data, of three classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor([12, 6, 3]))
    inputs = torch.randn((len(labels), 5), generator=generator) + labels[:, None]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)
        )
        with torch.no_grad():
            for _ in range(3):
                model(inputs)
    return Subject(model.eval(), TensorData(inputs, labels), class_names=("head", "mid", "tail"))


def check_analysis(entry: Analysis, subject: Subject | None = None) -> Result:
    """Check an analysis: it leaves model and chance alone, repeats, and its file is the record.

    Settings that it declares are a frozen dataclass of plain values with defaults, which its
    function takes, and which the record keeps.

    Args:
        entry: of the catalogue, or as a plugin declares it.
        subject: judged; by default :func:`toy_subject`.

    Returns:
        The record.

    Raises:
        AssertionError: naming the broken promise.
    """
    subject = toy_subject() if subject is None else subject
    model = subject.model
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    chance = _chance()
    first, second = (entry.load()(subject) for _ in range(2))
    assert _chance() == chance, "the generators of Python, NumPy or PyTorch were drawn from"
    assert [m.training for m in model.modules()] == modes, "the model's modes were changed"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"the model's '{name}' was changed"
    assert all(p.grad is None for p in model.parameters()), "the model was given gradients"
    assert isinstance(first, entry.record_type()), (
        f"it returns a {type(first).__name__}, and its entry says {entry.record_type().__name__}"
    )
    assert first.provenance is not None, "the record has no provenance; decorate it: @analysis"
    assert first.provenance.analysis == entry.name, (
        f"its record says analysis '{first.provenance.analysis}', and its entry '{entry.name}'"
    )
    if entry.settings is not None:
        _check_settings(entry, subject, first)
    _check_same(first, second, "a second run gives another")
    with tempfile.TemporaryDirectory() as folder:
        _check_same(first, load(first.save(Path(folder) / "record.h5")), "its file holds another")
    assert str(first), "the record has no table"
    return first


def _check_settings(entry: Analysis, subject: Subject, record: Result) -> None:
    problem = settings_problem(entry.settings)
    assert not problem, problem
    assert entry.settings is not None
    function, default = entry.load(), entry.settings()
    assert "settings" in signature(function).parameters, "its function takes no argument 'settings'"
    assert record.provenance is not None
    kept = record.provenance.config["diagnose"].get(entry.name)
    asked = json.loads(json.dumps(asdict(default), default=str))
    assert kept is not None, "the record keeps no settings"
    assert kept.keys() == asked.keys(), f"the record keeps {sorted(kept)}, not {sorted(asked)}"
    given = function(subject, default)
    assert given.provenance is not None
    again = given.provenance.config["diagnose"][entry.name]
    assert kept == again, f"the record keeps settings {kept}, and given the defaults {again}"
    _check_same(record, given, "its default settings give another")


def _check_same(one: Result, other: Result, said: str) -> None:
    for name, _, _ in datasets(one):
        a, b = np.asarray(getattr(one, name)), np.asarray(getattr(other, name))
        numbers = a.dtype.kind == "f"
        assert np.array_equal(a, b, equal_nan=numbers), f"{said} '{name}'"


def _chance() -> tuple[object, ...]:
    numpy = np.random.get_state()
    return (
        random.getstate(),
        tuple(part.tobytes() if isinstance(part, np.ndarray) else part for part in numpy),
        torch.get_rng_state().numpy().tobytes(),
    )
