"""Runs to write results into."""

import shutil

import pytest


@pytest.fixture
def run(runs, tmp_path):
    """A copy of run 'plain' without results."""
    shutil.copytree(runs / "plain", tmp_path / "plain")
    shutil.rmtree(tmp_path / "plain" / "results")
    return tmp_path / "plain"
