"""Runs 'a' and 'b' as the inspector reads them."""

import shutil

import pytest

from tests.cli.inspected import write_two_runs


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory):
    """A folder with both, to be read only."""
    return write_two_runs(tmp_path_factory.mktemp("inspected"))


@pytest.fixture
def runs(two_runs, tmp_path):
    """A copy of it, to be written to."""
    return shutil.copytree(two_runs, tmp_path / "runs")
