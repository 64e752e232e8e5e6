"""Every block of the documentation is run, or parsed where it needs what is not here."""

import re
import shutil
import subprocess
import sys
import tomllib
import typing

import pytest

from cli.main import Command, main
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, run_page, words_of

sys.path.insert(0, str(DOCS / "reference"))
import generate

sys.path.pop(0)

RUN = [*sorted(DOCS.glob("howto/*.md")), DOCS / "explanation/files.md", DOCS / "tutorial.md"]
# these are commands of runs that were made once, on other data, in hours
SHOWN = {"gallery.md", "saddles.md", "reproduction.md", "speed.md", "methods.md", "findings.md"}
BUILD = [sys.executable, "-m", "mkdocs", "build", "--strict"]
LANGUAGES = {"sh", "python", "toml", "text"}


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.fixture
def demo(runs, tmp_path, monkeypatch):
    """A working directory with runs where the pages expect those of the demo."""
    for name, run in (("ce-drw", "plain"), ("ce-drw+sam", "sam")):
        shutil.copytree(runs / run, tmp_path / "runs/demo" / name)
        results = tmp_path / "runs/demo" / name / "results/spectrum"
        shutil.copy(results / "epoch_0004.h5", results / "epoch_0150.h5")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def parsed(monkeypatch):
    """Parse a command line without running it."""
    seen = []
    for choice in typing.get_args(Command):
        kind = typing.get_args(choice)[0]
        monkeypatch.setattr(kind, "run", lambda asked: seen.append(asked))
    return seen


def commands():
    for path in PAGES:
        for block in blocks(path):
            for line in block.commands:
                yield pytest.param(path, line, id=f"{path.stem}: {line[:60]}")


@pytest.mark.parametrize(("path", "line"), list(commands()))
def test_every_command_parses(path, line, parsed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(path):
        if block.is_file:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    if not line.startswith(("tailscape", "torchrun")) or "$" in line or "…" in line:
        return
    assert main(words_of(line)) == 0
    (command,) = parsed
    for part in ("options", "engine"):
        check = getattr(getattr(command, part, None), "check", None)
        if check is not None:
            check()


@pytest.mark.parametrize("path", RUN, ids=name_of)
@pytest.mark.usefixtures("demo")
@pytest.mark.filterwarnings("ignore::landscape.errors.DataWarning")
def test_every_block_of_a_page_runs(path):
    run_page(path)


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(DOCS / "tutorial.md", slow=True)


def test_no_page_is_left_out():
    written = {path.name for path in PAGES if not blocks(path)}
    assert {path.name for path in PAGES} <= written | SHOWN | {path.name for path in RUN}
    languages = {block.language for path in PAGES for block in blocks(path)}
    assert languages <= LANGUAGES
    for path in RUN:
        for block in blocks(path):
            assert block.title == "" or block.is_file or block.needs or block.takes_long


def test_scripts_are_shell():
    scripts = [b.text for path in PAGES for b in blocks(path) if b.title.endswith(".sbatch")]
    assert scripts
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("name", generate.pages())
def test_pages_read_from_the_code_are_up_to_date(name):
    stored = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert stored == generate.pages()[name], "run: python docs/reference/generate.py"


def test_extras_that_pages_name_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = set(extras["project"]["optional-dependencies"])
    text = (DOCS / "howto/install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == known


def test_the_site_builds_without_a_warning(tmp_path):
    """With every link checked, and nothing fetched when a page is opened."""
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    site = tmp_path / "site"
    command = [*BUILD, "--site-dir", str(site)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)"', html)
        fetched += re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)"', html)
        assert not fetched, page
    assert (site / "search/search_index.js").is_file()


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium searches")
def test_a_page_opened_from_disk_is_searched(tmp_path):
    pytest.importorskip("material")
    site = tmp_path / "site"
    subprocess.run([*BUILD, "--site-dir", str(site)], cwd=ROOT, check=True, capture_output=True)
    page = f"file://{site}/index.html?q=interlacing"
    words = ["--headless=new", "--no-sandbox", "--virtual-time-budget=10000", "--dump-dom", page]
    found = subprocess.run(
        ["chromium", *words], capture_output=True, text=True, check=True, timeout=120
    )
    assert f'href="file://{site}/explanation/bounds.html' in found.stdout
