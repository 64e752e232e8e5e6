"""The examples in docstrings, closed forms all of them."""

import doctest
import inspect
import sys

import pytest

import landscape
from landscape.analyses.catalogue import ANALYSES
from landscape.curvature.dense import dense
from landscape.curvature.eigenpairs import cluster_bounds
from landscape.curvature.lanczos import lanczos
from landscape.groups import named_scopes, split_classes
from landscape.results.table import percent, typeset

EXAMPLES = [
    landscape.Subject,
    *(getattr(landscape, name) for name in ANALYSES),
    landscape.operator,
    cluster_bounds,
    dense,
    lanczos,
    named_scopes,
    percent,
    split_classes,
    typeset,
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_the_examples_hold(example):
    function = inspect.unwrap(example)
    module = sys.modules[function.__module__]
    finder = doctest.DocTestFinder(recurse=False)
    (found,) = finder.find(function, function.__name__, module=False, globs=dict(vars(module)))
    assert found.examples
    runner = doctest.DocTestRunner()
    assert runner.run(found).failed == 0
