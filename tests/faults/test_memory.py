"""Memory that runs out anywhere in a spectrum, a surface or an epoch; all: tests.faults.memory."""

import pytest

from tests.faults.memory import WHOLES, in_a_folder


@pytest.mark.parametrize("name", WHOLES)
def test_some_operations_find_no_memory(name):
    with in_a_folder():
        whole = WHOLES[name]()
        assert whole.operations > 100
        for n in range(1, whole.operations + 1, whole.operations // 5):
            whole.try_at(n)
