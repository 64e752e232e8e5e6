"""The mean corruption error."""

import pytest

from landscape.errors import InputError
from landscape.results.corruption import ALEXNET, SEVERITIES, mean_corruption_error

ERRORS = {(name, level): error for name, error in ALEXNET.items() for level in SEVERITIES}


def test_alexnets_own_is_one():
    assert mean_corruption_error(ERRORS) == pytest.approx(1)


def test_severities_are_averaged_before_the_ratio():
    spread = {key: ALEXNET[key[0]] * key[1] / 3 for key in ERRORS}  # their mean is AlexNet's
    assert mean_corruption_error(spread) == pytest.approx(1)
    halved = {key: error / 2 if key[0] == "snow" else error for key, error in ERRORS.items()}
    assert mean_corruption_error(halved) == pytest.approx(1 - 0.5 / 15)


def test_a_missing_severity_is_named():
    with pytest.raises(InputError, match="fog/3"):
        mean_corruption_error({key: 1.0 for key in ERRORS if key != ("fog", 3)})
