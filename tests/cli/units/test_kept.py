"""Results that are kept: which settings are said to differ from what is asked for."""

import json
import shutil
from dataclasses import asdict, replace

import pytest

from cli.main import main
from landscape.analyses.catalogue import ANALYSES, differing_settings
from landscape.config import DiagnoseConfig, SpectrumConfig, SurfaceConfig

ASKED = DiagnoseConfig()
HESSIAN = replace(ASKED, surface=SurfaceConfig(directions="hessian"))


def plain(config):
    return json.loads(json.dumps(asdict(config), default=str))


@pytest.mark.parametrize(
    ("analysis", "stored", "asked", "names"),
    [
        ("surface", replace(ASKED, seed=1), ASKED, ["seed"]),
        ("surface", replace(ASKED, batch_size=8), ASKED, ["batch_size"]),
        ("surface", replace(ASKED, spectrum=SpectrumConfig(steps=3)), ASKED, []),
        ("surface", replace(HESSIAN, spectrum=SpectrumConfig(steps=3)), HESSIAN, ["spectrum"]),
        ("surface", HESSIAN, ASKED, ["surface"]),
        ("spectrum-saddle", replace(ASKED, seed=1, batch_size=8), ASKED, ["seed"]),
        ("accuracy", replace(ASKED, batch_size=8), ASKED, []),
        (
            "accuracy",
            replace(ASKED, bn="batch", batch_size=8),
            replace(ASKED, bn="batch"),
            ["batch_size"],
        ),
        ("features", replace(ASKED, overwrite=True, workers=0), ASKED, []),
    ],
)
def test_what_differs(analysis, stored, asked, names):
    assert differing_settings(analysis, plain(stored), plain(asked)) == names


@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_analysis_is_known(analysis):
    changed = replace(ASKED, dtype="float64")
    assert differing_settings(analysis, plain(changed), plain(ASKED)) == ["dtype"]


def test_a_surface_of_another_draw_is_kept_with_a_remark(runs, tmp_path, capsys):
    shutil.copytree(runs / "plain", tmp_path / "run")
    command = f"diagnose {tmp_path}/run --analyses surface --surface.points 2 --device cpu"
    assert main(command.split()) == 0
    assert main([*command.split(), "--seed", "5"]) == 0
    assert "made with another seed; --overwrite to redo it" in capsys.readouterr().out


def test_settings_that_came_later_stood_at_their_defaults():
    stored = plain(ASKED)
    for name in ("refine", "at_once"):
        del stored["surface"][name]
    several = replace(ASKED, surface=SurfaceConfig(at_once=8))
    refined = replace(ASKED, surface=SurfaceConfig(refine=(2.0,)))
    assert differing_settings("surface", stored, plain(several)) == []
    assert differing_settings("surface", stored, plain(refined)) == ["surface"]
