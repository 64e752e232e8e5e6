"""Fenced blocks of the pages, and how each kind is run."""

import contextlib
import re
import shlex
import string
import sys
import types
from dataclasses import dataclass
from pathlib import Path

from torch.distributed.run import get_args_parser

from cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_FENCE = re.compile(r'^( *)```(\w+)(?: title="([^"]*)")?\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"[\w.]+\.(py|toml|sbatch)")
_SHELL = {"method": "ce", "run": "runs/x"}  # variables of a script


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    title: str
    text: str

    @property
    def is_file(self):
        return _FILE.fullmatch(self.title) is not None

    @property
    def needs(self):
        """Whether something is needed that is not here."""
        return self.title.startswith("needs")

    @property
    def takes_long(self):
        return self.title.startswith("takes")

    @property
    def commands(self):
        """Lines of a shell, continued ones joined, variables filled in."""
        if self.language != "sh":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [
            string.Template(line).safe_substitute(_SHELL).strip()
            for line in lines
            if line.strip() and not line.startswith("#")
        ]


def blocks(path):
    """The blocks of a page, without their indentation."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(language, title, re.sub(f"^{indent}", "", body, flags=re.MULTILINE))
        for indent, language, title, body in _FENCE.findall(text)
    ]


def words_of(line):
    """Words of a command of ours, of torchrun's too; ``None`` for others."""
    words = shlex.split(line, comments=True)
    if words[0] == "torchrun":
        asked = get_args_parser().parse_args(words[1:])
        assert asked.no_python
        words = [asked.training_script, *asked.training_script_args]
    return words[1:] if words[0] == "tailscape" else None


def run_page(path, *, slow=False):
    """Run the blocks of a page in order, in the working directory, as a reader would."""
    space = types.ModuleType("__main__")
    with _imports_from_here():
        for block in blocks(path):
            if block.is_file:
                Path(block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                exec(compile(block.text, str(path), "exec"), vars(space))
            elif not block.needs and (slow or not block.takes_long):
                for line in block.commands:
                    words = words_of(line)
                    if words is not None:
                        assert _code(words) == 0, line


def _code(words):
    try:
        return main(words)
    except SystemExit as stop:  # completion, which the parser ends
        return stop.code or 0


@contextlib.contextmanager
def _imports_from_here():
    """Import a page's files, and forget them afterwards."""
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = path
        here = [n for n, m in sys.modules.items() if n not in before and _is_here(m)]
        for name in here:
            del sys.modules[name]


def _is_here(module):
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(Path.cwd())
