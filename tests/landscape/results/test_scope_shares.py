"""Loss and accuracy of a surface's scopes weigh the classes alike: by their true shares."""

import numpy as np
import pytest

from landscape.errors import InputError
from landscape.groups import named_scopes, numbered_scopes
from tests.figures.records import surface_record


def test_a_draw_of_as_many_of_each_class_leaves_the_classes_shares():
    counts, samples = np.array([900, 80, 20]), np.array([10, 10, 10])
    right = np.array([10, 5, 1])
    record = surface_record(
        points=(3, 3), counts=counts, samples=samples, correct=np.tile(right, (3, 3, 1))
    )
    expected = (900 * 1.0 + 80 * 0.5 + 20 * 0.1) / 1000
    assert record.scope_accuracy("overall") == pytest.approx(np.full((3, 3), expected))
    assert record.scope_loss("overall") == pytest.approx(record.loss @ (counts / counts.sum()))
    assert record.scope_accuracy("class/2") == pytest.approx(np.full((3, 3), 0.1))


def test_classes_without_samples_have_no_share():
    counts, samples = np.array([900, 80, 20]), np.array([0, 10, 10])
    right = np.array([0, 5, 1])
    record = surface_record(
        points=(3, 3), counts=counts, samples=samples, correct=np.tile(right, (3, 3, 1))
    )
    assert record.scope_accuracy("overall") == pytest.approx(np.full((3, 3), 0.42))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (("class/cat", "tail", "class/0"), ("class/1", "tail", "class/0")),
        (("class/2",), ("class/2",)),  # a number is a number, though a class is called so
        (("class/dgo", "classes"), ("class/dgo", "classes")),
    ],
)
def test_classes_may_be_asked_for_by_their_names(given, found):
    assert numbered_scopes(given, ("2", "cat", "dog")) == found


def test_a_number_is_the_index_of_a_class_whatever_they_are_called():
    names = ("1", "2", "3")
    scopes = ("class/0", "class/1", "class/2")
    assert numbered_scopes(scopes, names) == named_scopes(scopes, names) == scopes
    with pytest.raises(InputError, match="0 to 2; the one called '3' is class/2"):
        numbered_scopes(("class/3",), names)
    assert numbered_scopes(("class/7",), names) == ("class/7",)  # not known, and said later


def test_names_shown_can_be_asked_for():
    names = ("01", "cat", "cat", "a,b", "4", "dog")
    scopes = tuple(f"class/{c}" for c in range(6))
    shown = named_scopes(scopes, names)
    assert shown == ("class/01", "class/1", "class/2", "class/3", "class/4", "class/dog")
    assert numbered_scopes(shown, names) == scopes
