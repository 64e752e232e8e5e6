"""The report: what stands on its page, that it needs no network, that nothing given is markup."""

import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from cli.main import main
from figures.catalogue import FIGURES
from figures.charts.lines import Chart
from figures.charts.panel import Axis, Line, Panel
from figures.report.findings import finding
from figures.report.page import write_report
from figures.report.rows import HEADINGS, summary_rows
from landscape.errors import InputError
from tests.figures.run_records import accuracy, request, spectrum, write_run

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return [
        write_run(folder / name, method, accuracy((o, 0.9, 0.7, 0.5)), spectrum(), seconds=2)
        for name, method, o in (("plain", "ce-drw", 0.7), ("sam", "ce-drw+sam", 0.75))
    ]


@pytest.fixture(scope="module")
def folder(two, tmp_path_factory):
    """Of a report of both, to be read only."""
    out = tmp_path_factory.mktemp("report")
    write_report(request(*two), out)
    return out


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


def read(paths):
    return paths[0].read_text(encoding="utf-8")


def test_a_report_is_two_files_that_need_no_network(folder, page):
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "plotly.min.js"]
    assert re.findall(r'<script[^>]*src="([^"]*)"', page) == ["plotly.min.js"]
    assert not re.findall(r"<(?:link|img|iframe)\b", page)
    assert "@import" not in page
    assert "url(" not in page
    assert len((folder / "plotly.min.js").read_text(encoding="utf-8")) > 1_000_000


def test_the_same_command_gives_the_same_page(two, folder, page):
    assert read(write_report(request(*two), folder)) == page


def test_its_command_makes_it_again(two, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["report", *(str(run.path) for run in two), "--out", "it's here"]
    assert main(words) == 0
    page = (tmp_path / "it's here" / "index.html").read_text(encoding="utf-8")
    command = unescape(re.search("<dd><code>(.*?)</code>", page)[1])
    assert shlex.split(command) == ["tailscape", *words]
    assert "(keep plotly.min.js beside it; --embed writes one file)" in capsys.readouterr().out


def test_a_report_may_be_one_file(two, tmp_path):
    (path,) = write_report(request(*two), tmp_path / "report", embed=True)
    page = path.read_text(encoding="utf-8")
    assert list(path.parent.iterdir()) == [path]
    assert not re.findall("<script[^>]*src=", page)
    assert len(page) > 1_000_000


def test_its_captions_say_what_these_runs_show(page):
    said = dict(re.findall(r'<section id="([a-z-]+)"><h2>.*?</h2><p class="dim">(.*?)</p>', page))
    assert said["accuracy"] == "ce-drw: 70.0 %, tail 50.0 %; ce-drw+sam: 75.0 %, tail 50.0 %"
    assert said["nonconvexity"].startswith("ce-drw, |λmin / λmax|: at epoch 200 all are 0.05; ")
    assert said["head-tail"].count("curves down, proved") == 1
    assert "ce-drw: tail: saddle, test accuracy 50.0 %" in said["spectrum"]
    assert said["flattening"] == (
        "most overall: ce-drw+sam, +5.0 points; most tail: ce-drw+sam, +0.0 points"
    )
    summaries = {kind for kind, text in said.items() if FIGURES[kind].summary in text}
    assert summaries <= {"compare", "focal-weights"}  # which count nothing of one pair


def test_the_ends_of_lines_are_compared():
    x = np.array([1, 2])
    lines = [
        Line("head", x, np.array([9.0, 0.5]), "red"),
        Line("tail", x, np.array([0.0, 3.25]), "blue"),
        Line("early", x[:1], np.array([99.0]), "grey"),
        Line("level", x, np.array([7.0, 7.0]), "grey", across=True),
    ]
    axes = {"x": Axis("epoch"), "y": Axis("norm")}
    chart = Chart([[Panel("ce", lines, **axes)]], "", (3, 2), 300)
    assert finding(chart) == "ce: at epoch 2 tail is highest (3.25), head lowest (0.5)"
    other = Chart([[Panel("ce\none;\ntwo", lines, **axes)]], "", (3, 2), 300)
    assert finding(other) == "ce: one; two"
    alone = Chart([[Panel("ce", lines[:1], **axes)]], "", (3, 2), 300)
    assert finding(alone) == "ce: at epoch 2 head is at 0.5"


def test_runs_that_lack_the_checkpoint_are_named(two, tmp_path):
    write_run(two[0].path, "ce-drw", spectrum(), checkpoint="epoch_0100")
    with pytest.raises(InputError) as raised:
        write_report(replace(request(*two), checkpoint="100"), tmp_path / "report")
    assert "'sam' has no result of checkpoint '100'; all runs have results of: 200" in str(raised)
    assert write_report(replace(request(two[0]), checkpoint="100"), tmp_path / "report")


def test_its_table_says_last_best_and_verdict(page):
    rows = re.findall(r"<tr><td>(plain|sam)</td>(.*?)</tr>", page)
    assert [name for name, _ in rows] == ["plain", "sam"]
    cells = re.findall(r"<td>(.*?)</td>", rows[1][1])
    assert cells == [
        "ce-drw+sam",
        "cifar10",
        "100",
        "0",
        "75.0 % (epoch 200)",
        "70.5 % (epoch 19)",
        "39.9 … 40.1",
        "−2.10 … −1.90",
        "saddle (tail)",
    ]
    assert "best on test" in page


def test_every_kind_is_a_section_or_a_sentence(page):
    drawn = set(re.findall(r'<section id="([a-z-]+)"><h2>', page)) - {
        *("missing", "provenance", "tables", "conclusion")
    }
    missing = dict(re.findall(r"<li><code>([a-z-]+)</code>: (.*?)</li>", page))
    assert drawn == {"spectrum", "accuracy", "cost", "flattening", "focal-weights"} | {
        *("nonconvexity", "curvature", "head-tail", "confusion", "compare")
    }
    assert drawn | set(missing) == set(FIGURES)
    assert "--analyses gradients" in missing["conflicts"]
    for kind in drawn:
        assert f'id="figure-{kind}"' in page
        assert f'href="#{kind}"' in page


def test_origins_are_on_the_page(page):
    details = page.partition('id="provenance"')[2]
    assert "ab" * 32 in details
    assert "cd" * 32 in details
    assert "weight_decay" in details
    assert details.count("<details") == details.count("</details>")


def test_names_are_text_and_never_markup(tmp_path):
    run = write_run(tmp_path / "<b>x&y", f"ce{EVIL}", accuracy(), spectrum(), seconds=1, data=EVIL)
    other = write_run(tmp_path / "other", "ce", accuracy(), data=EVIL, seconds=1)
    page = read(write_report(request(run, other), tmp_path / "report"))
    assert "<script>alert" not in page
    assert "<b>x" not in page
    assert "&lt;b&gt;x&amp;y" in page
    assert "ce&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_run_without_its_folder_files_is_reported_from_its_results(tmp_path):
    run = write_run(tmp_path / "run", "ce", accuracy(), spectrum(scopes=("overall",)))
    (run.path / "config.json").unlink()
    page = read(write_report(request(run), tmp_path / "report"))
    row = re.search(r"<tr><td>run</td>(.*?)</tr>", page)
    assert row is not None
    assert "<td>–</td>" in row.group(1)
    assert "saddle (overall)" in row.group(1)
    assert "no metrics.jsonl with train_seconds" in page


def test_a_model_trained_elsewhere_has_no_seed(tmp_path):
    run = write_run(tmp_path / "r18", "torchvision:resnet18", accuracy(), seed=None)
    (row,) = summary_rows(request(run))
    assert dict(zip(HEADINGS, row, strict=True))["seed"] == "–"


def test_a_report_needs_runs(tmp_path):
    with pytest.raises(InputError, match="give the runs to report"):
        write_report(request(), tmp_path)


def test_the_command(two, tmp_path, capsys):
    out = tmp_path / "there"
    assert main(["report", *(str(run.path) for run in two), "--out", str(out)]) == 0
    assert f"wrote {out / 'index.html'}" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "is no run folder" in capsys.readouterr().err
    assert main(["report"]) == 2


@pytest.mark.browser
def test_a_browser_draws_it_from_disk(two, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    page, library = write_report(request(*two), tmp_path / "report")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'c'}"]
    flags += ["--virtual-time-budget=8000", "--dump-dom"]
    found = subprocess.run(
        [chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout.count('class="main-svg"') >= 6
    assert 'class="absent"' not in found.stdout
    library.unlink()
    found = subprocess.run(
        [chromium, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    assert 'class="main-svg"' not in found.stdout
    assert found.stdout.count("copy both files to one folder") >= 6
