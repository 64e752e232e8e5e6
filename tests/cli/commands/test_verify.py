"""``tailscape show --verify``."""

import shutil

import numpy as np

from cli.main import main
from tests.landscape.results.test_checksum import STATE, end_line, flipped
from trainers.runs.checkpoint import save_checkpoint


def test_show_verify(runs, tmp_path, capsys):
    run = tmp_path / "runs" / "plain"
    shutil.copytree(runs / "plain", run)
    assert main(["show", str(run), "--verify"]) == 0
    said = capsys.readouterr().out
    assert "files have the checksum they were written with" in said
    assert "2 can be read and have none" in said
    checkpoint = run / "checkpoints" / "epoch_0004.pt"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(flipped(content, len(content) // 2, 3))
    metrics = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(metrics[:-9])
    assert main(["show", str(run.parent), "--verify"]) == 2
    said = capsys.readouterr().err
    assert "2 of " in said
    assert "epoch_0004.pt' has changed" in said
    assert "metrics.jsonl' is not one JSON object a line" in said


def test_show_verify_of_a_checkpoint_of_an_older_version(tmp_path, capsys):
    """It has no line, and zip's own checksums of its records tell."""
    path = tmp_path / "old.pt"
    save_checkpoint(STATE, path)
    bare = path.read_bytes()[: -len(end_line(path.read_bytes()))]
    path.write_bytes(bare)
    assert main(["show", str(path), "--verify"]) == 0
    assert "1 can be read and have none" in capsys.readouterr().out
    path.write_bytes(flipped(bare, bare.index(np.float32(5).tobytes()), 0))
    assert main(["show", str(path), "--verify"]) == 2
    assert "has another CRC-32" in capsys.readouterr().err
