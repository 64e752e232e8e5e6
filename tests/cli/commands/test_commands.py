"""Every command as a user types it, and every mistake answered with a sentence."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import warnings
from io import StringIO

import h5py
import pytest
import torch
from rich.console import Console

from cli.main import main
from cli.tables import class_table
from landscape.analyses import spectrum_saddle
from landscape.config import SurfaceConfig
from landscape.errors import DataWarning
from landscape.results.accuracy import Accuracy
from landscape.results.load import read_record
from landscape.results.similarity import Similarity
from landscape.results.spectrum import Spectrum
from trainers.runs.checkpoint import load_checkpoint, save_checkpoint


def tailscape(capsys, command):
    """Run a command; return its exit code, output and errors."""
    capsys.readouterr()
    try:
        code = main(command.split())
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def test_diagnosis_by_the_contract(runs):
    for name in ("plain", "sam"):
        spectrum, origin = read_record(runs / name / "results/spectrum/epoch_0004.h5", Spectrum)
        scopes = ["overall", "head", "mid", "tail", *(f"class/{c}" for c in range(10))]
        assert list(spectrum.scope) == scopes
        assert spectrum.training_count.tolist()[:4] == [405, 267, 113, 25]
        assert spectrum.samples.max() == 78
        assert origin.config["plan"]["method"].startswith("ce-drw")
        accuracy, _ = read_record(runs / name / "results/accuracy/epoch_0004.h5", Accuracy)
        assert accuracy.confusion.sum() == 540
        assert str(accuracy.split) == "saddle"


def test_accuracy_agrees_with_the_training_log(runs):
    accuracy, _ = read_record(runs / "plain" / "results/accuracy/epoch_0004.h5", Accuracy)
    last = json.loads((runs / "plain" / "metrics.jsonl").read_text().splitlines()[-1])
    assert accuracy.group[0] == pytest.approx(last["test_accuracy"])
    assert accuracy.group[3] == pytest.approx(last["test_tail"])


def test_results_are_kept_unless_told(runs, capsys):
    command = (
        f"diagnose {runs}/plain --samples-per-class 8 --spectrum.steps 4 "
        "--spectrum.trace-probes 2 --device cpu"
    )
    path = runs / "plain/results/spectrum/epoch_0004.h5"
    before = path.stat().st_mtime_ns
    code, out, _ = tailscape(capsys, command)
    assert code == 0
    assert "kept" in out
    assert "--overwrite" not in out
    assert path.stat().st_mtime_ns == before
    _, out, _ = tailscape(capsys, command.replace("--spectrum.steps 4", "--spectrum.steps 9"))
    assert "made with another spectrum; --overwrite to redo it" in out


def test_the_table_has_every_scope_and_column(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    _, out, _ = tailscape(capsys, f"diagnose {runs}/sam --device cpu")
    ends = ("λmax", "λmin", "|λmin/λmax|", "λ < 0")
    for word in (*ends, "trace", "verdict", "‖g‖", "used", "acc %"):
        assert word in out
    rows = [line.split() for line in out.splitlines()]
    row = next(line for line in rows if line[:1] == ["class/9"])
    assert row[1:3] == ["6", "6"]
    assert row.count("…") == 2
    assert row.count("±") == 1


@pytest.mark.parametrize(("width", "columns"), [(80, 6), (100, 8), (160, 12)])
def test_a_table_folds_no_cell(runs, width, columns):
    out = StringIO()
    table = class_table(runs / "sam", "epoch_0004", width=width)
    assert len([one for one in table.columns if one.header]) == columns
    Console(file=out, width=width).print(table)
    rows = [line for line in out.getvalue().splitlines() if line.strip().startswith("class/")]
    assert len(rows) == 10
    assert all(len(row) <= width and row.count("…") == 2 for row in rows)


@pytest.mark.parametrize("kind", ["spectrum", "nonconvexity", "accuracy"])
def test_figure(runs, capsys, tmp_path, kind):
    code, out, _ = tailscape(capsys, f"figure {kind} {runs}/plain {runs}/sam --out {tmp_path}")
    assert code == 0
    for suffix in ("pdf", "png", "html"):
        assert (tmp_path / f"{kind}.{suffix}").stat().st_size > 5000
        assert f"{kind}.{suffix}" in out
    assert "next: " in out
    page = (tmp_path / f"{kind}.html").read_text()
    assert not re.search(r'<script[^>]+src="http', page), "the page needs the network"


def test_show_run_and_file(runs, capsys):
    code, out, _ = tailscape(capsys, f"show {runs}/plain")
    assert code == 0
    for word in ("epoch_0004", "data_sha256", "verdict", "epoch 4 of 4"):
        assert word in out
    code, out, _ = tailscape(capsys, f"show {runs}/plain/results/spectrum/epoch_0004.h5")
    assert code == 0
    for word in ("tailscape/1", "ritz/values", "weights_sha256"):
        assert word in out


@pytest.mark.parametrize("what", ["methods", "data", "models", "analyses", "figures"])
def test_list(capsys, what):
    code, out, _ = tailscape(capsys, f"list {what}")
    assert code == 0
    assert {
        "methods": "ldam",
        "data": "filelist",
        "models": "resnet32",
        "analyses": "spectrum",
    }.get(what, "nonconvexity") in out


def test_dry_run_writes_nothing(capsys, tmp_path):
    command = f"train --method ldam-drw+sam --epochs 7 --dry-run --device cpu --out {tmp_path}/run"
    code, out, _ = tailscape(capsys, command)
    assert code == 0
    assert re.search(r"recipe.epochs\s+7", out)
    assert re.search(r"estimated (\d+ |less than a second).*on cpu", out)
    assert not (tmp_path / "run").exists()


def test_dry_run_counts_what_is_left_and_refuses_what_training_would(runs, capsys, tmp_path):
    again = f"train --method ce-drw --epochs 4 --checkpoints 2,4 --device cpu --out {runs}/plain"
    code, out, _ = tailscape(capsys, f"{again} --dry-run")
    assert code == 0
    assert "estimated less than a second on cpu for the 0 epochs after 4" in out
    code, _, err = tailscape(capsys, f"{again} --dry-run --seed 1")
    assert (code, "holds another run: seed is 0, asked for 1" in err) == (2, True)
    assert "for the" not in tailscape(capsys, f"{again} --dry-run --overwrite")[1]
    fork = f"train --epochs 4 --device cpu --fork {runs}/plain/checkpoints/last.pt --dry-run"
    code, out, _ = tailscape(capsys, f"{fork} --method ce+sam --out {tmp_path}/sam")
    assert (code, "for the 0 epochs after 4" in out) == (0, True)
    code, _, err = tailscape(capsys, f"{fork} --method ce --lr 0.3 --out {tmp_path}/ce")
    assert (code, "its recipe is" in err) == (2, True)


def test_config_file_and_flags(capsys, tmp_path):
    (tmp_path / "a.toml").write_text('method = "ldam"\nepochs = 9\nbatch-size = 32\n')
    code, out, _ = tailscape(
        capsys, f"train --config {tmp_path}/a.toml --epochs 3 --dry-run --device cpu"
    )
    assert code == 0
    assert re.search(r"recipe.epochs\s+3", out)
    assert re.search(r"recipe.batch_size\s+32", out)
    assert re.search(r"method\s+ldam", out)
    (tmp_path / "a.toml").write_text('recipe = "z"\n')
    code, _, err = tailscape(capsys, f"train --config {tmp_path}/a.toml")
    assert code == 2
    assert "recipe" in err
    (tmp_path / "a.toml").write_text("epoch = 9\n")
    code, _, err = tailscape(capsys, f"train --config {tmp_path}/a.toml")
    assert (code, "did you mean 'epochs'" in err) == (2, True)
    (tmp_path / "a.toml").write_bytes('out = "späte Läufe"'.encode("latin-1"))
    code, _, err = tailscape(capsys, f"train --config {tmp_path}/a.toml")
    assert (code, "is not TOML in UTF-8" in err) == (2, True)


def test_a_config_file_of_a_diagnosis_has_a_table_for_each_analysis(runs, capsys, tmp_path):
    file = tmp_path / "d.toml"
    file.write_text(
        'analyses = ["accuracy", "surface"]\nscopes = "tail"\nunit-cpus = 2\n'
        "[surface]\nx = [-2.0, 2.0]\nseeds = [3, 5]\ntrajectory = false\nvectors = false\n"
    )
    words = ["diagnose", f"{runs}/sam", "--config", str(file), "--surface.seeds", "7"]
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.commands.diagnose.Diagnose.run", lambda self: asked.append(self))
        assert main(words) == 0
    (command,) = asked
    assert command.options.analyses == ("accuracy", "surface")
    assert command.options.scopes == ("tail",)
    assert command.engine.unit_cpus == 2
    assert command.options.surface == SurfaceConfig(x=(-2, 2), seeds=(7,), trajectory=False)
    file.write_text("[surface]\npoint = 3\n")
    code, _, err = tailscape(capsys, f"diagnose {runs}/sam --config {file}")
    assert (code, "'surface.point'; did you mean 'surface.points'" in err) == (2, True)


def test_a_dry_run_of_a_diagnosis_says_what_it_would_take(runs, capsys, tmp_path):
    shutil.copytree(runs / "sam", tmp_path / "sam", ignore=shutil.ignore_patterns("results"))
    command = f"diagnose {tmp_path}/sam --checkpoints all --device cpu --dry-run"
    code, out, _ = tailscape(capsys, command)
    assert code == 0
    assert out.count("would write") == 6
    assert re.search(r"6 results: about .* if every Lanczos step is taken, and \S+ GiB", out)
    assert not (tmp_path / "sam/results").exists()
    _, out, _ = tailscape(capsys, f"diagnose {runs}/sam --checkpoints all --dry-run")
    assert (out.count("kept"), out.count("would write"), "about" in out) == (6, 0, False)


def test_what_cannot_be_computed_stops_nothing_else(runs, capsys, tmp_path):
    shutil.copytree(runs / "plain", tmp_path / "run", ignore=shutil.ignore_patterns("results"))
    command = (
        f"diagnose {tmp_path}/run --analyses surface,accuracy,similarity --device cpu "
        "--surface.directions checkpoints"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default", DataWarning)
        code, out, err = tailscape(capsys, command)
    assert code == 2
    assert out.count("wrote ") == 2
    assert "next: tailscape figure surface" not in out
    assert "1 of 3 results were not computed; surface-checkpoints of epoch_0004: " in err
    warned, error = err.splitlines()
    assert "similarity keeps 10 principal components of 64 dimensions" in warned
    assert error.startswith("tailscape: error: ")
    record, _ = read_record(tmp_path / "run/results/similarity/epoch_0004.h5", Similarity)
    assert (int(record.rows), int(record.dimension)) == (54, 10)
    _, out, _ = tailscape(capsys, f"diagnose {tmp_path}/run --analyses similarity --device cpu")
    assert "kept" in out
    assert "made with another" not in out


def test_runs_are_listed(runs, capsys, monkeypatch):
    monkeypatch.setattr("cli.console._WIDTH_OF_FILES", 80)
    code, out, _ = tailscape(capsys, f"list runs {runs}")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines() if str(runs) not in line)
    words = " ".join(out.split())
    for name, method in (("plain", "ce-drw"), ("sam", "ce-drw+sam")):
        last = json.loads((runs / name / "metrics.jsonl").read_text().splitlines()[-1])
        accuracy = f"{100 * last['test_accuracy']:.1f}"
        assert f"{name} {method} digits 20:1 4/4 {accuracy} accuracy, spectrum" in words


def test_classes_are_shown_by_their_names(runs, tmp_path):
    shutil.copytree(runs / "plain", tmp_path / "run")
    path = tmp_path / "run/results/spectrum/epoch_0004.h5"
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["config"])
        config["class_names"] = ["dog", "cat", *map(str, range(2, 9)), "a, b"]
        file.attrs["config"] = json.dumps(config)
    shown = class_table(tmp_path / "run", "epoch_0004").columns[0]._cells
    assert shown[4:] == [
        "class/dog",
        "class/cat",
        *(f"class/{c}" for c in range(2, 10)),
    ]


def test_a_data_set_of_known_sizes_is_planned_without_its_files(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "train --data cifar10 --method ce --imbalance 100 --model resnet8 --download"
    code, out, _ = tailscape(capsys, f"{command} --epochs 2 --device cpu --dry-run")
    assert code == 0
    assert "[5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]" in out
    assert "12,406 training samples, by the published sizes of cifar10" in out
    assert not list(tmp_path.iterdir())
    assert tailscape(capsys, "train --data cifar100 --imbalance 1e5 --dry-run")[0] == 2


def test_accuracy_alone_prints_its_table(runs, capsys):
    _, out, _ = tailscape(capsys, f"diagnose {runs}/plain --analyses accuracy --device cpu")
    assert re.search(r"overall\s+\d+\.\d", out)
    assert "next: tailscape figure accuracy" in out


def test_a_best_epoch_that_moved_on_is_diagnosed_anew(tmp_path, capsys):
    run = tmp_path / "run"
    main(f"train --epochs 1 --device cpu --out {run}".split())
    command = f"diagnose {run} --checkpoints best --analyses accuracy --device cpu"
    assert "kept" not in tailscape(capsys, command)[1]
    assert "kept" in tailscape(capsys, command)[1]
    best = run / "checkpoints/best.pt"
    later = ((run / "results/accuracy/best.h5").stat().st_mtime + 5,) * 2
    os.utime(best, later)
    assert "kept" in tailscape(capsys, command)[1]  # of the same weights
    stored = load_checkpoint(best)
    next(iter(stored["model"].values())).mul_(1.01)
    save_checkpoint(stored, best)
    os.utime(best, later)
    assert "kept" not in tailscape(capsys, command)[1]


def test_an_unfinished_run_says_what_is_diagnosed(tmp_path, capsys):
    run = tmp_path / "run"
    main(f"train --epochs 3 --checkpoints 1 --device cpu --out {run}".split())
    (run / "checkpoints/epoch_0003.pt").unlink()
    _, out, _ = tailscape(capsys, f"diagnose {run} --analyses accuracy --device cpu")
    assert "has reached epoch 3; its last kept checkpoint is epoch_0001" in out


def test_the_released_protocol_stands_apart(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(spectrum_saddle, "MOST_TRACE_PROBES", 2)
    run = tmp_path / "run"
    main(f"train --method ldam --epochs 1 --device cpu --out {run}".split())
    command = f"diagnose {run} --protocol saddle --scopes class/9 --analyses spectrum --device cpu"
    code, out, _ = tailscape(capsys, command)
    assert code == 0
    assert "released protocol" in out
    record, origin = read_record(run / "results/spectrum-saddle/epoch_0001.h5", Spectrum)
    assert origin.analysis == "spectrum-saddle"
    assert origin.loss == "cross_entropy(logits*0.0333333)"
    assert record.ritz_values.shape == (1, 1, 100)
    assert not (run / "results/spectrum").exists()


LIGHT = [
    "--help",
    *(f"{c} --help" for c in ("train", "diagnose", "figure", "show")),
    "list methods",
]


def truncate(path):
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("train --method ce-drv --out {tmp}/r", "did you mean 'ce-drw'"),
        ("train --imbalance 0.5 --out {tmp}/r", "at least 1"),
        ("train --imbalance 500 --out {tmp}/r", "class 7 would have no samples"),
        ("train --data folder:{tmp}/none --out {tmp}/r", "has no folder 'train'"),
        ("train --out /proc/none/run", "cannot write to '/proc/none/run'"),
        ("diagnose {tmp}", "is no run folder"),
        ("diagnose {runs}", "it holds runs, give one of them: {runs}/plain, {runs}/sam"),
        ("figure spectrum {runs}", "it holds runs, give one of them: {runs}/plain"),
        ("show {runs}", "it holds runs, give one of them: {runs}/plain"),
        ("list runs {tmp}", "holds no run; tailscape train --out {tmp}/NAME"),
        ("list runs {tmp}/none", "is not a folder"),
        ("list data {runs}", "list data takes no folder; list runs {runs} does"),
        ("diagnose {runs}/plain --analyses spectrun", "did you mean 'spectrum'"),
        ("diagnose {runs}/plain --scopes tial", "did you mean 'tail'"),
        (
            "diagnose {runs}/plain --checkpoints 3",
            "no checkpoint of epoch '3'; there are 0, 2, 4, best",
        ),
        ("diagnose {runs}/plain --checkpoints best --logit-scale 1", "this checkpoint's is linear"),
        (
            "diagnose {runs}/plain --spectrum.probes 0",
            "--spectrum.probes is 0; it must be at least 1",
        ),
        (
            "diagnose {runs}/plain --spectrum.trace-probes 1",
            "--spectrum.trace-probes is 1; a standard error needs at least 2",
        ),
        ("diagnose {runs}/plain --samples-per-class -1", "--samples-per-class is -1"),
        ("diagnose {runs}/plain --samples-per-class 0", "--samples-per-class is 0"),
        ("diagnose {runs}/plain --split focal --scopes head", "no class is in head"),
        ("train --data digits --split saddle --method ce --rho 0.1", "use --method ce+sam"),
        ("figure spectrum", "give the runs to draw"),
        ("figure spectra {runs}/plain", "did you mean 'spectrum'"),
        ("figure spectrum {tmp}", "is no run folder"),
        ("figure spectrum {runs}/plain --checkpoint 3", "there are 0, 2, 4"),
        ("figure spectrum {runs}/plain --scopes class/77", "no scope 'class/77'"),
        ("show {tmp}/none.h5", "no result file"),
    ],
)
def test_mistakes(runs, tmp_path, capsys, command, sentence):
    code, out, err = tailscape(capsys, command.format(runs=runs, tmp=tmp_path))
    assert code == 2
    assert err.startswith("tailscape: error: ")
    assert sentence.format(runs=runs, tmp=tmp_path) in err
    assert "Traceback" not in out + err
    assert not list(tmp_path.rglob("*")), "something was written"


def test_no_cuda_is_a_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = tailscape(capsys, f"train --device cuda --out {tmp_path}/r")
    assert code == 2
    assert "use --device cpu" in err
    assert not (tmp_path / "r").exists()


@pytest.fixture
def trained(tmp_path):
    run = tmp_path / "run"
    assert main(f"train --epochs 1 --device cpu --out {run}".split()) == 0
    return run


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda run: (run / "checkpoints/epoch_0001.pt").unlink(), "epoch '1'"),
        (lambda run: truncate(run / "checkpoints/epoch_0001.pt"), "is not a whole checkpoint"),
        (
            lambda run: torch.save({"model": {}}, run / "checkpoints/epoch_0001.pt"),
            "is no checkpoint of this program",
        ),
        (lambda run: (run / "config.json").write_text("{"), "is not valid JSON"),
    ],
    ids=["missing", "truncated", "foreign", "damaged configuration"],
)
def test_damaged_runs(trained, capsys, spoil, sentence):
    spoil(trained)
    code, _, err = tailscape(capsys, f"diagnose {trained} --checkpoints 1 --device cpu")
    assert code == 2
    assert sentence in err
    assert not [path for path in (trained / "results").rglob("*") if path.is_file()]


def test_a_checkpoint_of_another_architecture(trained, tmp_path, capsys):
    other = tmp_path / "other"
    main(f"train --epochs 1 --model resnet20 --device cpu --out {other}".split())
    (other / "checkpoints/epoch_0001.pt").rename(trained / "checkpoints/epoch_0001.pt")
    code, _, err = tailscape(capsys, f"diagnose {trained} --device cpu")
    assert code == 2
    assert "is of another architecture ({'model': 'resnet20'" in err


def test_a_truncated_last_checkpoint_does_not_destroy_the_run(trained, capsys):
    truncate(trained / "checkpoints/last.pt")
    code, _, err = tailscape(capsys, f"train --epochs 1 --device cpu --out {trained}")
    assert code == 2
    assert "is not a whole checkpoint" in err
    assert (trained / "checkpoints/epoch_0001.pt").is_file()


def test_cosine_classifiers_are_judged_at_their_own_scale_or_a_given_one(tmp_path, capsys):
    run = tmp_path / "ldam"
    main(f"train --method ldam --epochs 1 --device cpu --out {run}".split())
    losses = {}
    for scale in ("", " --logit-scale 30", " --logit-scale 1"):
        command = (
            f"diagnose {run} --scopes class/9 --analyses spectrum --spectrum.steps 2 "
            "--spectrum.trace-probes 2 --device cpu"
        )
        assert tailscape(capsys, command + " --overwrite" + scale)[0] == 0
        with h5py.File(run / "results/spectrum/epoch_0001.h5") as file:
            losses[scale] = (float(file["loss"][0]), file.attrs["loss"])
    assert losses[""][0] == losses[" --logit-scale 30"][0] != losses[" --logit-scale 1"][0]
    assert losses[" --logit-scale 1"][1] == "cross_entropy(logits*0.0333333)"


def test_light_commands_never_import_torch():
    code = (
        "import sys; from cli.main import main\n"
        f"for words in {LIGHT!r}:\n"
        "    try: main(words.split())\n"
        "    except SystemExit: pass\n"
        "    assert 'torch' not in sys.modules, words"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_done_is_told_without_torch(runs):
    code = (
        "import sys; from cli.main import main\n"
        f"assert main(['diagnose', '{runs}/plain', '--checkpoints', 'all']) == 0\n"
        f"assert main(['list', 'runs', '{runs}']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_figures_and_show_never_import_torch(runs, tmp_path):
    code = (
        "import sys; from cli.main import main\n"
        f"assert main(['figure', 'spectrum', '{runs}/plain', '--out', '{tmp_path}']) == 0\n"
        f"assert main(['show', '{runs}/plain']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def seconds_of_children():
    """Processor time, which other processes on the same core do not stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_answers_within_a_second():
    times = []
    for _ in range(3):
        started = seconds_of_children()
        subprocess.run(
            [sys.executable, "-m", "cli.main", "--help"], check=True, capture_output=True
        )
        times.append(seconds_of_children() - started)
    assert min(times) < 1
