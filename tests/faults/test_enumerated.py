"""Each call by which a file comes about fails once, and for ever from there on."""

import errno
from collections import Counter

import pytest

from tests.faults.calls import FULL, ONCE, WAYS, tried
from tests.faults.scenes import SCENES
from tests.faults.shim import COUNTED, Shim, refusal

SLOW = {"figure", "sweep"}  # what they draw takes seconds
PARAMETERS = [
    pytest.param(s, id=s.name, marks=[pytest.mark.slow] if s.name in SLOW else []) for s in SCENES
]


@pytest.fixture(scope="module", params=PARAMETERS)
def scene(request, tmp_path_factory):
    with tried(request.param, tmp_path_factory.mktemp(request.param.name)) as found:
        yield found


def sample(calls):
    """The first call of each kind, and a few more."""
    return sorted({calls.index(name) + 1 for name in set(calls)} | {len(calls)})


def test_every_kind_of_call_is_counted(scene):
    name, kinds = scene.scene.name, Counter(scene.calls)
    absent = {"train": "HDF5", "job": "torch.save", "diagnose": "torch.save"}.get(name, "")
    assert all(kinds[kind] for kind in set(COUNTED) - {"HDF5", "torch.save", "claim"})
    assert name == "figure" or all(kinds[n] for n in {"HDF5", "torch.save", "claim"} - {absent})


def test_some_calls_fail(scene):
    for n in sample(scene.calls)[::6]:
        scene.survives(Shim(n, fail=refusal(ONCE)))
    for n in sample(scene.calls)[3::6]:
        assert scene.survives(Shim(n, True, refusal(FULL))) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "for_ever"), WAYS)
def test_every_call_fails(scene, number, for_ever, record_property):
    """For n = 1, 2, … until a run passes untouched."""
    n = 0
    while scene.survives_at(n + 1, number, for_ever=for_ever):
        n += 1
    assert n > 0.8 * len(scene.calls)  # Matplotlib makes some folders the first time
    record_property("points", n)
    print(f"{scene.scene.name}: {n} points survived ({errno.errorcode[number]}, {for_ever=})")
