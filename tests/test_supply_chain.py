"""What is installed is what was tested: locked releases, and a wheel of the same bytes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked():
    lines = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_requirement_is_locked_within_its_bounds():
    pins = locked()
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["test"]]:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in .ci/constraints.txt: .ci/lock"
        assert requirement.specifier.contains(version), text


def test_ci_takes_the_locked_releases():
    assert "PIP_CONSTRAINT" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def built(folder):
    """Build the wheel from a copy of the tree; its folder, times and owner are others each time."""
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", "*_cache", "__pycache__", "site", "runs", "docs"
    )
    shutil.copytree(ROOT, tree, ignore=ignored)
    for path in tree.rglob("*.py"):
        os.utime(path, (0, 10**9 + hash(folder) % 10**8))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, tree]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and re.search("No matching distribution|connection|Retry", done.stderr):
        pytest.skip("the build system cannot be fetched here")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(tmp_path):
    wheels = [built(tmp_path / name) for name in ("one", "two/deeper")]
    one, two = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert one == two
    with zipfile.ZipFile(wheels[0]) as file:
        tops = {name.partition("/")[0] for name in file.namelist()}
    assert {"landscape", "trainers", "figures", "cli"} == {t for t in tops if "dist-info" not in t}
