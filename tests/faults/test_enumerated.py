"""Each call by which a file comes about fails once, and for ever from there on."""

import errno
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.scenes import SCENES, content, copied, goes_on, prepared
from tests.faults.shim import COUNTED, Shim, installed, refusal

ONCE, FULL, READ_ONLY = errno.EIO, errno.ENOSPC, errno.EROFS


SLOW = {"figure", "sweep"}  # what they draw takes seconds
PARAMETERS = [
    pytest.param(s, id=s.name, marks=[pytest.mark.slow] if s.name in SLOW else []) for s in SCENES
]


@pytest.fixture(scope="module", params=PARAMETERS)
def scene(request, tmp_path_factory):
    """A scene, what it needs, the calls of a run that nothing touches, and what that leaves."""
    folder = tmp_path_factory.mktemp(request.param.name)
    with pytest.MonkeyPatch.context() as patch:
        (folder / "base").mkdir()
        patch.chdir(folder / "base")
        base = prepared(request.param, folder / "base")
        patch.chdir(copied(base, folder / "whole"))
        with installed(Shim()) as shim:
            assert request.param.run(request.param.words) == 0
        yield request.param, folder, shim.calls, content(Path.cwd())


def survives(scene, shim, monkeypatch):
    """Fail as the shim says; then the same command leaves what an untouched one leaves."""
    what, folder, _, whole = scene
    place = copied(folder / "base", folder / "tried")
    monkeypatch.chdir(place)
    with installed(shim):
        code = what.run(what.words)
    assert code in (0, 2)
    goes_on(what, place, whole)
    return code


def sample(calls):
    """The first call of each kind, and a few more."""
    return sorted({calls.index(name) + 1 for name in set(calls)} | {len(calls)})


def test_every_kind_of_call_is_counted(scene):
    what, _, calls, _ = scene
    kinds = Counter(calls)
    absent = {"train": "HDF5", "job": "torch.save", "diagnose": "torch.save"}.get(what.name, "")
    assert all(kinds[name] for name in set(COUNTED) - {"HDF5", "torch.save", "claim"})
    assert what.name == "figure" or all(
        kinds[n] for n in {"HDF5", "torch.save", "claim"} - {absent}
    )


def test_some_calls_fail(scene, monkeypatch):
    _, _, calls, _ = scene
    for n in sample(calls)[::6]:
        survives(scene, Shim(n, fail=refusal(ONCE)), monkeypatch)
    for n in sample(calls)[3::6]:
        assert survives(scene, Shim(n, True, refusal(FULL)), monkeypatch) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "for_ever"), [(ONCE, False), (FULL, False), (FULL, True), (READ_ONLY, True)]
)
def test_every_call_fails(scene, number, for_ever, monkeypatch, record_property):
    """For n = 1, 2, … until a run passes untouched."""
    n, untouched = 0, False
    while not untouched:
        n += 1
        shim = Shim(n, for_ever, refusal(number))
        code = survives(scene, shim, monkeypatch)
        untouched = len(shim.calls) < n
        assert code == 2 or not for_ever or untouched
    assert n > 0.8 * len(scene[2])  # Matplotlib makes some folders the first time
    record_property("points", n - 1)
    print(f"{scene[0].name}: {n - 1} points survived ({errno.errorcode[number]}, {for_ever=})")
