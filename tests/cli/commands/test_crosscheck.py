"""The other tools' answers beside ours."""

import re
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cli.commands import crosscheck
from cli.commands import crosscheck_peers as peers
from cli.commands.crosscheck import draw_samples
from cli.commands.crosscheck_peers import PEERS, ToolResult, run_peer
from cli.main import main
from landscape.config import SpectrumConfig
from landscape.results.load import read_record
from landscape.results.spectrum import Spectrum
from landscape.subject.subject import Subject
from tests.oracles import dense_hessian, mlp, toy_data
from trainers.runs.folder import RunFolder

FEW = SpectrumConfig(steps=4, trace_probes=2)
BATCHES = [(torch.randn(6, 3), torch.arange(6) % 2)]


def exact_answer(model, batches):
    """A tool that knows: the dense Hessian of the mean loss over all batches, by autograd."""
    inputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    matrix = dense_hessian(model, lambda out: F.cross_entropy(out, labels), inputs)
    values = torch.linalg.eigvalsh(matrix.double())
    note = f"classes {torch.bincount(labels, minlength=10).tolist()}"
    return ToolResult(
        "exact", float(values[-1]), float(values[0]), float(values.sum()), 1, 0.0, note
    )


def table_row(out, tool):
    """Numbers of a row of the printed table: value and difference of each quantity."""
    (line,) = [line for line in out.splitlines() if re.match(rf"\s*{tool}\s+[-\d]", line)]
    return [float(x) for x in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]\d+)?", line)]


def test_a_missing_tool_is_a_remark(monkeypatch):
    for name in ("pyhessian", "curvlinops", "hessian_eigenthings"):
        monkeypatch.setitem(sys.modules, name, None)
    for peer in PEERS:
        answer = run_peer(peer, nn.Linear(3, 2), BATCHES)
        assert "pip install 'tailscape[peers]'" in answer.note
        assert answer.products == 0


def test_a_tool_that_fails_is_a_remark(monkeypatch):
    def broken(*_):
        raise RuntimeError("no eigenvalue today\nmore")

    monkeypatch.setitem(PEERS, "PyHessian", broken)
    answer = run_peer("PyHessian", nn.Linear(3, 2), BATCHES)
    assert answer.note == "failed: RuntimeError: no eigenvalue today"
    assert np.isnan(answer.lambda_max)


@pytest.fixture
def told(monkeypatch, capsys):
    """Run a crosscheck with stand-ins for the tools; return what they were asked, and the rows.

    Ours takes few products, where its own numbers do not matter.
    """

    def run(command, tools, settings=FEW):
        asked = []

        def recorded(tool):
            def answer(model, batches):
                asked.append((model, batches))
                return tool(model, batches)

            return answer

        monkeypatch.setattr(peers, "PEERS", {name: recorded(t) for name, t in tools.items()})
        monkeypatch.setattr(crosscheck, "SpectrumConfig", lambda: settings)
        monkeypatch.setenv("COLUMNS", "250")
        assert main(f"crosscheck {command}".split()) == 0
        return asked, capsys.readouterr().out

    return run


def small(model, _):
    """Stand in where the numbers do not matter."""
    return ToolResult("small", 1.0, -1.0, 0.0, sum(p.numel() for p in model.parameters()), 0.0, "")


def test_the_table_shows_values_differences_and_reasons(told, runs):
    def fixed(_model, _batches):
        return ToolResult("fixed", 3.0, -2.0, 5.0, 7, 1.5, "because it is fixed")

    _, out = told(f"{runs}/plain --scope class/9", {"fixed": fixed})
    ours, theirs = table_row(out, "tailscape"), table_row(out, "fixed")
    assert theirs[0::2][:3] == [3.0, -2.0, 5.0]
    assert theirs[1::2][:3] == pytest.approx([3 - ours[0], -2 - ours[1], 5 - ours[2]], rel=0.06)
    assert "because it is fixed" in out
    assert "known reason" in out


def test_our_row_is_what_a_diagnosis_says(told, run):
    _, out = told(f"{run} --scope class/9", {"small": small}, SpectrumConfig())
    assert main(f"diagnose {run} --analyses spectrum --scopes class/9 --device cpu".split()) == 0
    record, _ = read_record(run / "results/spectrum/epoch_0004.h5", Spectrum)
    ours = table_row(out, "tailscape")
    scale = 2e-3 * record.lambda_max[0]
    assert ours[0] == pytest.approx(record.lambda_max[0], abs=scale)
    assert ours[1] == pytest.approx(record.lambda_min[0], abs=scale)
    assert abs(ours[2] - record.trace[0]) <= 6 * record.trace_sem[0]


def test_every_tool_is_asked_about_the_same_samples_and_the_exact_answer_agrees():
    """What the command hands to a tool is the mean loss that our own operator is of."""
    from cli.commands.crosscheck import Crosscheck

    data = toy_data((3,), (30, 12, 7))
    subject = Subject(mlp(outputs=3), data)
    chosen = draw_samples(subject, subject.scopes(("overall",))[0], 20)
    ours = Crosscheck(run_folder=None, batch_size=8)._ours(subject, chosen)
    theirs = exact_answer(subject.model, list(data.batches(chosen, 8)))
    assert ours.lambda_max == pytest.approx(theirs.lambda_max, rel=1e-3)
    assert ours.lambda_min == pytest.approx(theirs.lambda_min, abs=1e-3 * theirs.lambda_max)
    assert abs(ours.trace - theirs.trace) <= 5 * ours.trace_sem + 1e-5 * theirs.trace


def test_a_draw_of_all_samples_holds_every_class(told, runs):
    asked, out = told(f"{runs}/plain --scope overall --samples 100", {"small": small})
    ((_, batches),) = asked
    labels = torch.cat([labels for _, labels in batches])
    counts = torch.bincount(labels, minlength=10)
    whole = torch.tensor(RunFolder(runs / "plain").config()["class_counts"])
    assert len(labels) == 100
    assert "100 samples" in out
    assert (counts > 0).sum() >= 8
    assert (counts / 100 - whole / whole.sum()).abs().max() < 0.1


def test_a_draw_is_seeded_and_of_one_weight():
    subject = Subject(mlp(outputs=3), toy_data((3,), (30, 12, 7)))
    scope = subject.scopes(("overall",))[0]
    one, again, other = (draw_samples(subject, scope, 20, seed).tolist() for seed in (0, 0, 1))
    assert one == again != other
    assert len(set(one)) == 20
    assert len(draw_samples(subject, scope, 500)) == len(draw_samples(subject, scope)) == 49


def test_the_runs_own_split_says_which_classes_are_the_tail(told, tmp_path):
    run = tmp_path / "run"
    train = f"train --data digits --epochs 1 --split focal --device cpu --out {run}"
    assert main(train.split()) == 0
    quick = "--spectrum.steps 2 --spectrum.probes 1 --spectrum.trace-probes 0 --device cpu"
    assert main(f"diagnose {run} --analyses spectrum --scopes tail {quick}".split()) == 0
    record, _ = read_record(run / "results/spectrum/epoch_0001.h5", Spectrum)
    ((_, batches),) = told(f"{run} --scope tail", {"small": small})[0]
    assert sum(len(labels) for _, labels in batches) == record.samples[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--scope classes", "--scope classes names 10 scopes; give one set of samples"),
        ("--samples 0", "--samples is 0; it must be at least 1"),
        ("--samples -1", "--samples is -1; it must be at least 1"),
        ("--batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("--scope tial", "did you mean 'tail'"),
        ("--checkpoint all", "--checkpoint all names several checkpoints; give one"),
    ],
)
def test_mistakes(runs, capsys, options, sentence):
    assert main(f"crosscheck {runs}/plain {options}".split()) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def problem():
    """A network, its data, and its exact spectrum."""
    torch.manual_seed(0)
    inputs, labels = torch.randn(40, 3), torch.arange(40) % 3
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3))
    matrix = dense_hessian(model, lambda out: F.cross_entropy(out, labels), inputs)
    return model, inputs, labels, torch.linalg.eigvalsh(matrix).double().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("peer", ["PyHessian", "curvlinops + ARPACK"])
def test_tools_agree_where_they_can(peer, batches):
    pytest.importorskip({"PyHessian": "pyhessian"}.get(peer, "curvlinops"))
    model, inputs, labels, exact = problem()
    size = len(labels) // batches
    answer = run_peer(peer, model, list(zip(inputs.split(size), labels.split(size), strict=True)))
    assert answer.lambda_max == pytest.approx(exact[-1], rel=0.02), answer.note
    assert answer.lambda_min == pytest.approx(exact[0], abs=0.02 * exact[-1])
    assert answer.trace == pytest.approx(exact.sum(), rel=0.2)
    assert answer.products > 20


@pytest.mark.slow
def test_eigenthings_is_two_steps_short_at_its_defaults():
    pytest.importorskip("hessian_eigenthings")
    model, inputs, labels, exact = problem()
    answer = run_peer("hessian-eigenthings", model, [(inputs, labels)])
    assert exact[0] - 1e-5 <= answer.lambda_min <= answer.lambda_max <= exact[-1] + 1e-5
    assert answer.trace == pytest.approx(exact.sum(), rel=0.2), answer.note
    assert "two Lanczos steps" in answer.note


@pytest.mark.slow
def test_pyhessian_keeps_the_graph_of_one_batch_and_gives_its_density():
    pytest.importorskip("pyhessian")
    model, inputs, labels, exact = problem()
    one = run_peer("PyHessian", model, [(inputs, labels)])
    two = run_peer("PyHessian", model, [(inputs[:20], labels[:20]), (inputs[20:], labels[20:])])
    assert "one batch, its graph kept" in one.note
    assert "2 batches, read every time" in two.note
    for answer in (one, two):
        nodes, weights = answer.density
        assert nodes.shape == weights.shape == (100,)
        assert weights.sum() == pytest.approx(1, abs=1e-3)
        assert nodes.min() == answer.lambda_min
        assert (nodes * weights).sum() == pytest.approx(exact.mean(), abs=0.3 * exact[-1])
    assert run_peer("curvlinops + ARPACK", model, [(inputs, labels)]).density is None
