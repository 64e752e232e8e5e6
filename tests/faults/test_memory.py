"""Memory that runs out anywhere in a spectrum, a surface or an epoch; all: tests.faults.memory."""

import pytest

from tests.faults.memory import WHOLES, in_a_folder


@pytest.mark.parametrize("name", WHOLES)
def test_some_operations_find_no_memory(name):
    with in_a_folder():
        whole = WHOLES[name]()
        assert whole.operations > 100
        for part in range(6):
            whole.try_at(max(1, part * whole.operations // 50 * 10))
