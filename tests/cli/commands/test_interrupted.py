"""The message of a command that is interrupted."""

import pytest

from cli.commands.diagnose import Diagnose
from cli.commands.list import List
from cli.commands.train import Train
from cli.main import main


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        (Train, "train", "resumes from the last complete epoch"),
        (Diagnose, "diagnose run", "finished results are kept"),
        (List, "list methods", "stopped\n"),
    ],
)
def test_a_stopped_command_says_what_is_kept(command, arguments, words, monkeypatch, capsys):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", stop)
    assert main(arguments.split()) == 130
    error = capsys.readouterr().err
    assert words in error
    assert ("complete epoch" in error) == (command is Train)
