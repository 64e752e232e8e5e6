"""What a rule follows is asked of checkpoints of the stage that has the rule."""

import pytest

from figures.papers.catalogue import PAPER_FIGURES
from figures.papers.commands import diagnose_command, train_command
from trainers.config import TrainConfig
from trainers.resolve import resolve

FOLLOWED = [
    name for name, figure in PAPER_FIGURES.items() if "--gradients.direction" in figure.diagnose
]


def after(command, flag):
    words = command.split()
    return words[words.index(flag) + 1]


@pytest.mark.parametrize("name", FOLLOWED)
def test_directions_are_those_of_the_first_stage(name):
    figure = PAPER_FIGURES[name]
    for want in figure.wants:
        command = train_command(figure, want, figure.place, "run")
        kept = tuple(map(int, after(command, "--checkpoints").split(",")))
        given = TrainConfig(
            method=after(command, "--method"),
            data=after(command, "--data"),
            recipe=after(command, "--recipe"),
            checkpoints=kept,
        )
        plan = resolve(given, 10)
        asked = diagnose_command(figure, "run", figure.analyses, figure.place)
        epochs = {int(epoch) for epoch in after(asked, "--checkpoints").split(",")}
        assert epochs <= set(plan.checkpoints)
        assert max(epochs) == plan.recipe.epochs


def test_a_figure_over_two_stages_is_among_them():
    methods = {want.method for name in FOLLOWED for want in PAPER_FIGURES[name].wants}
    assert "crt-mixup+plot" in methods
