"""Tables on a terminal: names give way, numbers are whole, no two rows have one name."""

import io
import re

import pytest
from rich.console import Console

from cli.main import main
from cli.table_layout import fitted_table
from cli.tables import accuracy_table, class_table, summary
from figures.catalogue import FIGURES
from landscape.results.load import read_record
from landscape.results.result import columns_of
from tests.figures.complete_run import complete_run
from trainers.methods.systems import SYSTEMS

NAMES = (
    *("n02391049 zebra of the Serengeti", "Ochlodes sylvanoides", "cat", "a", "9"),
    *("Amanita muscaria subsp. flavivolvata", "Amanita muscaria subsp. muscaria", "bb"),
    *("Lactarius indigo var. diminutivus", "Chrysolophus pictus × amherstiae hybrid"),
)
ANALYSES = ("features", "gradient_noise", "gradients", "path", "sharpness", "similarity")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a-run-with-a-long-name-imbalance-100-seed-0"
    return complete_run(folder, 0.1, NAMES).path


def printed(table, width):
    out = Console(width=width, file=io.StringIO())
    out.print(table)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def tight(text):
    return re.sub(" (?=[±…])|(?<=[±…]) ", "", text)


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("analysis", [*ANALYSES, "spikes", "surface", "stability"])
def test_every_number_is_whole_and_names_differ(analysis, width, run):
    columns, _ = columns_of(read_record(run / "results" / analysis / "epoch_0200.h5")[0], NAMES)
    lines = printed(summary(run, "epoch_0200", analysis, width), width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    shown = [list(cells) for name, cells in columns.items() if name not in ("train", "used")][1:]
    for row in zip(*shown, strict=True):
        if (analysis, width) != ("stability", 80):  # whose cells do not fit, and are wrapped
            whole = [tight(cell) for cell in row]
            assert any(all(c in tight(line) for c in whole) for line in lines), (row, text)
    first = [re.split("  ", line)[0] for line in lines if re.match(r" (class/|Aman)", line)]
    assert len(set(first)) == len(first), text


def test_the_class_table_keeps_its_brackets(run):
    lines = printed(class_table(run, "epoch_0200", width=80), 80)
    rows = [line for line in lines if line.startswith(" class/")]
    assert len(rows) == 2
    for row in rows:
        assert re.search(r"39.9 … 40.1  -2.10 … -1.90\s+0.05  saddle$", row), row
    assert rows[0].startswith(" class/n023…Serengeti ")
    assert not any("acc %" not in line and "acc" in line for line in lines)  # one line of headings


def test_short_names_stand_whole(run):
    text = "\n".join(printed(accuracy_table(run, "epoch_0200", 80), 80))
    assert "class/Chrysolophus pictus × amherstiae hybrid   50.0" in text
    assert "class/4" in text  # whose name, 9, is the index of another


def test_what_gives_way_and_in_which_order():
    header, name = ["class", "train", "one long heading"], "abcdefghijklmnopqrstuvwxyz" * 2
    rows = [[name, "1", "10 … 20"]]
    found = {w: printed(fitted_table("", header, rows, width=w), w) for w in (60, 38, 29, 24)}
    assert "one long heading" in found[60][-2]
    cells = {w: re.split(r"\s{2,}", lines[-1].strip())[1:] for w, lines in found.items()}
    assert cells == {
        60: ["1", "10 … 20"],
        38: ["1", "10 … 20"],
        29: ["1", "10…20"],
        24: ["10…20"],
    }
    assert all(max(map(len, lines)) <= w for w, lines in found.items())
    assert found[60][-1].startswith(" abcdefghijklmnop…klmnopqrstuvwxyz ")


@pytest.mark.parametrize("table", ["methods", "figures"])
def test_lists_lose_no_word_on_a_narrow_terminal(table, monkeypatch, capsys):
    monkeypatch.setattr("cli.commands.list.console", lambda: Console(width=80, markup=False))
    assert main(["list", table]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    words = " ".join(text.split())
    for name in SYSTEMS if table == "methods" else FIGURES:
        assert f" {name} " in words
