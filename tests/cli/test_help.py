"""Help flows to the terminal's width, loses no word, and says a default once."""

import re
from functools import partial
from itertools import pairwise
from typing import get_args

import pytest

from cli.help import _printed, commands_text, help_text
from cli.help_layout import laid_out
from cli.main import Command, _parsed, main

COMMANDS = {entry.__metadata__[0].name: get_args(entry)[0] for entry in get_args(Command)}
ADDED = re.compile(r"\(default: (?:None|False|''|)\)|\{None\}\||None,|[`'\[\]{}]")


def entries(text):
    """The rows of each box without its frame."""
    for box in re.findall(r"╭─ .+? ─+╮\n(.*?)╰", text, flags=re.DOTALL):
        yield [line[2:-2].rstrip() for line in box.splitlines()]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_paragraphs_flow_to_the_width(name, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = help_text(partial(_parsed, COMMANDS[name], name=name), name, ["--help", "all"])
    assert max(map(len, text.splitlines())) <= width
    for rows in entries(text):
        for row, below in pairwise(rows):
            indent = len(below) - len(below.lstrip())
            if indent > 2 and row[indent - 2 : indent] == "  ":  # within one text
                assert len(row) + 1 + len(below.split()[0]) > width - 4, below


@pytest.mark.parametrize("name", COMMANDS)
def test_no_word_is_lost_but_a_default_said_twice(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parse = partial(_parsed, COMMANDS[name], name=name)
    raw, text = _printed(parse, ["--help"]), help_text(parse, name, ["--help", "all"])
    raw = ADDED.sub(" ", " ".join(re.sub("[│╭╮╰╯─]", " ", raw).split())).split()
    kept = ADDED.sub(" ", text).split()
    lost = {word for word in raw if raw.count(word) > kept.count(word)}
    assert lost <= {"(default:", "auto)", "PATH"}  # of --recipe, and [PATH [PATH ...]]
    assert "(default: None)" not in text
    assert "{None" not in text
    for rows in entries(text):
        for entry in re.split(r"\n(?=\S)", "\n".join(rows)):
            assert len(re.findall("[dD]efault:", entry)) <= 1, entry


def test_a_box_of_one_paragraph_in_several_lines():
    text = (
        "usage: tailscape x\n\nOne sentence.\n\n"
        "╭─ options ──────────────────╮\n"
        "│ --out {None}|PATH          │\n"
        "│         Folder. Default:   │\n"
        "│         RUN.               │\n"
        "│         (default: None)    │\n"
        "╰────────────────────────────╯\n"
    )
    assert laid_out(text).splitlines()[5:7] == [
        "│ --out PATH  Folder.        │",
        "│             Default: RUN.  │",
    ]


def test_the_commands_are_listed_once(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([]) == main(["--help"]) == 0
    text = commands_text(partial(_parsed, Command))
    assert capsys.readouterr().out == 2 * text
    assert max(map(len, text.splitlines())) == 80
    assert text.startswith("usage: tailscape [-h] COMMAND\n")
    assert all(f"• {name} " in text for name in COMMANDS)


def test_an_error_quotes_help_that_flows(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["diagnose", "run", "--spectrum.stesp", "4"])
    lines = capsys.readouterr().err.splitlines()
    assert {len(line) for line in lines} == {80}
    rows = [line[2:-2].rstrip() for line in lines]
    assert any("Unrecognized options: --spectrum.stesp" in row for row in rows)
    told = [k for k, row in enumerate(rows) if row.startswith(" " * 8) and row[8] != " "]
    assert len(told) > 2
    for k in told:
        if k + 1 in told:  # the next line's first word did not fit
            assert len(rows[k]) + 1 + len(rows[k + 1].split()[0]) > 76
