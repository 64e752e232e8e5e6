"""Names of checkpoints: what they count, their order, and how people write them."""

import pytest

from landscape.results.checkpoint_names import (
    checkpoint_label,
    counted,
    course,
    latest,
    numbered,
    ordered,
    short,
    spelled,
    unit_of,
)


def test_names_and_their_numbers():
    for unit, number in (("epoch", 7), ("epoch", 12345), ("step", 50), ("step", 1234567)):
        name = numbered(unit, number)
        assert counted(name) == (unit, number)
        assert checkpoint_label(name) == f"{unit} {number}"
        assert unit_of(name) == unit
        assert spelled(short(name), [name]) == name
        assert spelled(str(number), [name]) == name
    for name in ("best", "epoch_best", "epoch_12", "step_50", "xepoch_0001"):
        assert counted(name) is None
        assert checkpoint_label(name) == short(name) == name
    assert unit_of("best") == "epoch"


def test_a_course_is_of_epochs_or_else_of_steps():
    steps = ["step_000050", "step_000100", "step_1000000"]
    epochs = ["epoch_0009", "epoch_9999", "epoch_10000"]
    others = ["best", "model_final"]
    assert course([*others, *reversed(steps)]) == steps
    assert course([*steps, *reversed(epochs)]) == epochs
    assert course(others) == []
    assert ordered([*others, *reversed(steps), *reversed(epochs)]) == [*epochs, *steps, *others]
    assert latest([*others, *steps]) == "step_1000000"
    assert latest(others) == "model_final"
    assert latest([]) is None


@pytest.mark.parametrize(
    ("word", "name"),
    [("50", "epoch_0050"), ("step_50", "step_000050"), ("epoch_50", "epoch_0050"), ("best",) * 2],
)
def test_what_people_write(word, name):
    assert spelled(word, ()) == name
    assert spelled("50", ["step_000050"]) == "step_000050"
