"""The other tools' answers beside ours."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cli.main import main
from cli.peers import PEERS, ask
from tests.oracles import dense_hessian

BATCHES = [(torch.randn(6, 3), torch.arange(6) % 2)]


def test_a_missing_tool_is_a_remark(monkeypatch):
    for name in ("pyhessian", "curvlinops", "hessian_eigenthings"):
        monkeypatch.setitem(sys.modules, name, None)
    for peer in PEERS:
        answer = ask(peer, nn.Linear(3, 2), BATCHES)
        assert "pip install 'tailscape[peers]'" in answer.note
        assert answer.products == 0


def test_the_table_says_what_differs(runs, capsys):
    assert main(f"crosscheck {runs}/plain --scope class/9".split()) == 0
    out = capsys.readouterr().out
    for word in ("tailscape", "PyHessian", "curvlinops", "hessian-eigenthings", "products"):
        assert word in out


@pytest.mark.slow
def test_tools_agree_where_they_can():
    pytest.importorskip("pyhessian")
    pytest.importorskip("curvlinops")
    torch.manual_seed(0)
    inputs, labels = torch.randn(40, 3), torch.arange(40) % 3
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 3))
    exact = torch.linalg.eigvalsh(
        dense_hessian(model, lambda out: F.cross_entropy(out, labels), inputs)
    )
    for peer in ("PyHessian", "curvlinops + ARPACK"):
        answer = ask(peer, model, [(inputs, labels)])
        assert answer.lambda_max == pytest.approx(float(exact[-1]), rel=0.02), answer.note
        assert answer.lambda_min == pytest.approx(float(exact[0]), abs=0.02 * float(exact[-1]))
