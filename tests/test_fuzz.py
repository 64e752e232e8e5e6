"""Foreign input of every kind: a short budget here, a long one by python -m tests.fuzz COUNT."""

import pytest

from tests.fuzz import TARGETS, fuzzed, prepared


@pytest.fixture(scope="module")
def place():
    pytest.importorskip("dash")
    with prepared() as folder:
        yield folder


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("target", TARGETS)
def test_inputs_are_taken_or_refused(target):
    assert fuzzed(target, range(10_000), seconds=0.3) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("target", TARGETS)
def test_many_inputs(target):
    """Those after the first ones."""
    assert fuzzed(target, range(10_000, 20_000), seconds=60) > 0
