"""Settings of runs compared."""

import pytest

from figures.runs.settings import check_same_data
from landscape.errors import InputError
from tests.figures.records import provenance


def origin(**changes):
    found = provenance("accuracy", method=changes.pop("method", "ce"))
    found.config["plan"].update(changes)
    return found


def test_a_whole_number_is_the_same_data_as_a_real_one():
    check_same_data([origin(imbalance=20), origin(imbalance=20.0)], "gains")


@pytest.mark.parametrize(
    ("name", "values"), [("imbalance", (20, 20.5)), ("data", ("cifar10", "digits"))]
)
def test_different_data_are_named(name, values):
    origins = [origin(**{name: value}, method=f"m{value}") for value in values]
    with pytest.raises(InputError, match=f"gains do not compare over different {name}") as caught:
        check_same_data(origins, "gains")
    assert all(str(value) in str(caught.value) for value in values)
