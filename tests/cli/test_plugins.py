"""A foreign wheel adds a rule and an analysis with its figure; a broken one is a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import foreign

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("setuptools", reason="builds a wheel")
    return foreign.installed(tmp_path_factory.mktemp("foreign"))


def python(site, *words):
    searched = os.pathsep.join([str(site), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": searched, "COLUMNS": "900"}
    found = subprocess.run(
        [sys.executable, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return found.returncode, found.stdout, found.stderr


def tailscape(site, *words):
    code, out, err = python(site, "-m", "cli.main", *words)
    assert code == 0, err
    return out + err


def test_it_is_listed_shown_and_helped_with(site):
    listed = tailscape(site, "list", "methods")
    assert "the gradient, times a factor (package" in listed
    assert "half the cross-entropy (package sharper)" in listed
    assert "norm of each tensor of weights (package sharper)" in tailscape(site, "list", "analyses")
    assert "(package sharper)" in tailscape(site, "list", "figures")
    shown = tailscape(site, "show", "method", "half-backwards+myrule")
    assert shown.count("(package sharper)") == 3
    assert "c ∇L(w)" in shown
    assert "Somebody 2026, Sec. 1" in shown
    assert "myrule (rules, package sharper)" in tailscape(site, "train", "--help")
    assert "weights (analyses, package sharper)" in tailscape(site, "diagnose", "--help")
    assert "weight-bars (figures, package sharper)" in tailscape(site, "figure", "--help")
    helped = tailscape(site, "diagnose", "--help", "weights")
    assert "--weights.power FLOAT" in helped
    assert "Order p of the norm. (default: 2.0)" in helped


def test_it_trains_diagnoses_draws_and_reports(site, tmp_path):
    run = str(tmp_path / "runs/mine")
    words = ["--method", "half-backwards+myrule", "--rule.factor", "0.9"]
    flags = ["--data", "digits", "--epochs", "1", "--model", "resnet8", "--device", "cpu"]
    code, _, _ = python(site, "-m", "cli.main", "train", *words, *flags, "--out", run)
    if code:  # settings may be given in one option
        words[2:] = ["--settings", "factor=0.9"]
        tailscape(site, "train", *words, *flags, "--out", run)
    asked = ["diagnose", run, "--analyses", "weights", "--device", "cpu"]
    code, _, err = python(site, "-m", "cli.main", *asked, "--weights.power", "0.5")
    assert (code, err) == (2, "tailscape: error: --weights.power is 0.5; it must be at least 1\n")
    assert "norm" in tailscape(site, *asked, "--weights.power", "1")
    assert "made with other weights; --overwrite" in tailscape(site, *asked)
    (tmp_path / "options.toml").write_text("[weights]\npower = 1\n")
    again = tailscape(site, *asked, "--config", str(tmp_path / "options.toml"))
    assert "made with" not in again
    code = (
        "import landscape, sys; r = landscape.open_run(sys.argv[1]).result('weights');"
        "print(r.provenance.config['diagnose']['weights'])"
    )
    assert python(site, "-c", code, run)[1] == "{'power': 1.0}\n"
    tailscape(site, "figure", "weight-bars", run)
    assert (tmp_path / "runs/mine/figures/weight-bars.png").stat().st_size > 5000
    tailscape(site, "report", run, "--out", str(tmp_path / "report"))
    report = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert '<section id="weight-bars">' in report
    assert "(package sharper)" in report
    code = (
        "from cli.inspector.panel_catalogue import PANELS; from cli.inspector.jobs import RECIPES;"
        "print(PANELS['weight-bars'].title, RECIPES['weights'])"
    )
    assert "(package sharper)" in python(site, "-c", code)[1]


def test_its_author_runs_the_contracts(site, tmp_path):
    script = tmp_path / "contract.py"
    script.write_text(
        "from pathlib import Path\n"
        "from landscape.analyses.catalogue import ANALYSES\n"
        "from landscape.testing import check_analysis\n"
        "from trainers.methods.grammar import KINDS\n"
        "from trainers.testing import check_method, check_rule\n"
        "check_rule(KINDS['rule']['myrule'])\n"
        "check_analysis(ANALYSES['weights'])\n"
        f"check_method('half-backwards+myrule', Path({str(tmp_path / 'runs')!r}))\n"
        "print('kept')\n"
    )
    code, out, err = python(site, str(script))
    assert (code, out.splitlines()[-1:]) == (0, ["kept"]), err


def test_the_inspector_goes_on_without_a_record_that_is_broken(tmp_path, monkeypatch):
    pytest.importorskip("setuptools", reason="builds a wheel")
    parts = foreign.PARTS.replace("sharper.record:Weights", "sharper.record:Nothing")
    monkeypatch.setattr(foreign, "PARTS", parts)
    site = foreign.installed(tmp_path)
    code, out, err = python(
        *(site, "-c"),
        "from cli.inspector.panel_catalogue import PANELS; print('weight-bars' in PANELS)",
    )
    assert (code, out) == (0, "False\n"), err
    assert "analysis 'weights' is left out: 'sharper.record:Nothing' cannot be imported" in err
    code, out, err = python(site, "-m", "cli.main", "figure", "weight-bars", "nowhere")
    assert code == 2
    assert err.count("\n") == 1
    assert "Traceback" not in err


BROKEN = {
    "sharper.parts:NOTHING": "importing it raised AttributeError",
    "nowhere:RULE": "importing it raised ModuleNotFoundError",
    "sharper.parts:WEIGHTS": "it is a Analysis, and has to be a Part",
}


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_plugin_is_one_sentence(value, tmp_path):
    pytest.importorskip("setuptools", reason="builds a wheel")
    entry = f'[project.entry-points."tailscape.rules"]\nmyrule = "{value}"\nsam = "{value}"\n'
    head, _, rest = foreign.PROJECT.partition('[project.entry-points."tailscape.rules"]')
    rest = rest[rest.index("[project.entry-points") :]
    site = foreign.installed(tmp_path, f"{head}{entry}\n{rest}")
    code, out, err = python(site, "-m", "cli.main", "list", "methods")
    assert code == 0
    assert "backwards" in out
    lines = [line for line in err.splitlines() if "myrule" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"tailscape: warning: '{value}' of package 'sharper'")
    assert BROKEN[value] in lines[0]
    assert "Traceback" not in err
    code, _, err = python(site, "-m", "cli.main", "show", "method", "ce+myrule")
    assert code == 2
    assert "unknown rule in method 'myrule'" in err
