"""The command that a diagnosis proposes draws what it wrote."""

from pathlib import Path

import pytest

from cli.commands.diagnose import _figure_command
from cli.units.unit import Unit
from landscape.config import DiagnoseConfig, SurfaceConfig


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "figure surface run"),
        ({"directions": "pca"}, "figure trajectory run"),
        ({"directions": "pca", "dimensions": 1}, "figure surface run --options directions=pca"),
        ({"directions": "hessian"}, "figure surface run --options directions=hessian"),
    ],
)
def test_a_surface_is_drawn_by_its_directions(settings, command):
    config = DiagnoseConfig(analyses=("surface",), surface=SurfaceConfig(**settings))
    unit = Unit(Path("run"), "epoch_0004", "surface", config)
    assert _figure_command(unit, several=False) == f"tailscape {command}"
