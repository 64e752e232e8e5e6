"""Films over checkpoints: a frame each, on scales that fit all."""

import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from cli.main import main
from figures.kinds import head_tail, spectrum, surface
from figures.pages.animation import animate
from figures.request import Request
from landscape.errors import InputError
from tests.figures import run_records
from tests.figures.records import provenance, saved_run, surface_record

EPOCHS = (0, 100, 200)


@pytest.fixture
def run(tmp_path):
    results = [
        (
            surface_record(points=(7, 7), sharp=sharp),
            provenance("surface", f"epoch_{epoch:04d}", run="run"),
        )
        for epoch, sharp in zip(EPOCHS, (9.0, 3.0, 1.0), strict=True)
    ]
    return saved_run(tmp_path / "run", *results)


def test_a_film_has_a_frame_a_checkpoint(run, tmp_path):
    paths = animate("surface", Request((run,)), tmp_path / "out")
    assert paths[0].name == "surface.gif"
    with Image.open(paths[0]) as film:
        assert film.n_frames == 3
        frames = []
        for k in range(3):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    assert all(np.abs(a - b).max() > 50 for a, b in pairwise(frames))
    assert [path.suffix for path in paths[1:]] == [".mp4"] * bool(shutil.which("ffmpeg"))


def test_scales_fit_every_frame(run):
    names = tuple(f"epoch_{epoch:04d}" for epoch in EPOCHS)
    scales = {surface.read(Request((run,), name, over=names)).scale for name in names}
    assert len(scales) == 1
    assert scales != {surface.read(Request((run,), names[-1])).scale}


def test_spectra_of_a_film_have_one_axis(tmp_path):
    names = ("epoch_0100", "epoch_0200")
    for name, low in zip(names, (-30.0, -0.2), strict=True):
        record = run_records.spectrum(low)
        run = run_records.write_run(tmp_path / "run", "ce", record, checkpoint=name)
    for module in (spectrum, head_tail):
        found = [module.read(Request((run,), name, over=names)) for name in names]
        first, second = (one.x if module is head_tail else one.panels[0].x for one in found)
        assert first == second
        assert first.limits[0] < -30


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffmpeg")
def test_the_video_lasts_as_long(run, tmp_path):
    _, video = animate("surface", Request((run,)), tmp_path / "out")
    asked = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(video)]
    found = subprocess.run(["ffprobe", *asked], capture_output=True, text=True, check=True)
    assert float(found.stdout) == pytest.approx(2 * 0.7 + 2.5, abs=0.2)


def test_what_cannot_be_played_says_so(run, tmp_path):
    with pytest.raises(InputError, match=r"'curvature' cannot be played.*these can: spectrum"):
        animate("curvature", Request((run,)), tmp_path)
    for epoch in EPOCHS[1:]:
        (run.path / f"results/surface/epoch_{epoch:04d}.h5").unlink()
    with pytest.raises(InputError, match="these runs share 1; run: tailscape diagnose /"):
        animate("surface", Request((run,)), tmp_path)


def test_the_command_plays(run, tmp_path, capsys):
    words = ["figure", "surface", str(run.path), "--animate", "--scopes", "overall"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "surface.gif" in capsys.readouterr().out
    assert main(["figure", "paper:saddle-1", str(run.path), "--animate"]) == 2
