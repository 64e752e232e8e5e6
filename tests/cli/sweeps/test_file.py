"""What a sweep's file describes: the grid, the rows beside it, and what is refused."""

import itertools
from pathlib import Path

import pytest

from cli.sweeps.file import read_sweep
from landscape.errors import InputError

RECIPES = sorted((Path(__file__).parents[3] / "docs" / "reproduction").glob("*.toml"))


def read(tmp_path, text):
    path = tmp_path / "table.toml"
    path.write_text(text, encoding="utf-8")
    return read_sweep(path)


def test_a_grid_is_the_product_of_its_values(tmp_path):
    found = read(
        tmp_path,
        '[train]\nepochs = 3\n[grid]\nmethod = ["ce", "la"]\nimbalance = [20, 10.0]\nseed = [0, 1]',
    )
    assert found.out == Path("runs/table")
    points = [(run.config.method, run.config.imbalance, run.config.seed) for run in found.runs]
    assert points == list(itertools.product(["ce", "la"], [20.0, 10.0], [0, 1]))
    assert {run.config.epochs for run in found.runs} == {3}
    assert found.runs[-1].name == "la-imbalance10-seed1"
    assert found.runs[-1].config.out == found.out / "la-imbalance10-seed1"
    assert found.runs[-1].varied == {"method": "la", "imbalance": "10"}


def test_a_row_overrides_what_all_share_and_leaves_the_grid_what_it_sets(tmp_path):
    found = read(
        tmp_path,
        """
        [train]
        lr = 0.2
        settings.gamma = 1
        [grid]
        seed = [0, 1]
        imbalance = [5, 10]
        [[run]]
        method = "ce"
        [[run]]
        method = "focal"
        name = "sharp"
        imbalance = 7
        lr = 0.4
        settings.gamma = 3
        """,
    )
    assert [run.name for run in found.runs] == [
        "ce-seed0-imbalance5",
        "ce-seed0-imbalance10",
        "ce-seed1-imbalance5",
        "ce-seed1-imbalance10",
        "sharp-seed0",
        "sharp-seed1",
    ]
    sharp = found.runs[-1].config
    assert (sharp.imbalance, sharp.lr, sharp.settings) == (7, 0.4, ("gamma=3",))
    assert found.runs[0].config.settings == ("gamma=1",)


def test_settings_of_a_method_are_points_of_a_grid(tmp_path):
    found = read(tmp_path, "[grid]\nsettings.rule.gamma = [0.5, 2]\n[train]\nsettings.cap = 1")
    assert [run.config.settings for run in found.runs] == [
        ("cap=1", "rule.gamma=0.5"),
        ("cap=1", "rule.gamma=2"),
    ]
    assert [run.name for run in found.runs] == ["ce-gamma0.5", "ce-gamma2"]


def test_analyses_and_figures_have_the_options_of_their_commands(tmp_path):
    found = read(
        tmp_path,
        """
        out = "~/there"
        [diagnose]
        analyses = ["spectrum"]
        scopes = ["head", "tail"]
        spectrum.steps = 12
        surface.trajectory = false
        surface.x = [-2, 2.5]
        [[figure]]
        kind = "sweep"
        options = ["setting=rho"]
        """,
    )
    assert found.out == Path("~/there").expanduser()
    assert (found.diagnose.analyses, found.diagnose.spectrum.steps) == (("spectrum",), 12)
    assert (found.diagnose.surface.x, found.diagnose.surface.trajectory) == ((-2.0, 2.5), False)
    assert found.figures[0].options == ("setting=rho",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gird]\nseed = [0]", r"unknown table in .* 'gird'; did you mean 'grid'"),
        ("[grid]\nseeds = [0]", r"unknown option in .* 'seeds'; did you mean 'seed'"),
        ("[train]\nlr = 'fast'", r"lr = 'fast' is no value of this option"),
        ("[diagnose]\nspectrum.steps = 'all'", r"spectrum\.steps = 'all' is no value"),
        ("[diagnose]\nspectrum.steps = 0", r"steps is 0"),
        ("[[run]]\nmethod='ce'\n[[run]]\nmethod='ce'", r"both be called 'ce'; .*a name each"),
        ("[diagnose]\nanalyses = ['spectra']", r"unknown analysis 'spectra'; did you mean"),
        ("[[figure]]\nkind = 'acuracy'", r"unknown figure 'acuracy'; did you mean 'accuracy'"),
        ("[train]\nmethod = 'cee'", r"'cee'"),
        ("[run]\nmethod='ce'", r"run has to be a list of tables, \[\[run\]\]"),
        ("train = 3", r"train has to be a table"),
        ("[train", r"not TOML"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.toml"):
        read_sweep(tmp_path / "none.toml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_papers_tables_can_be_read_and_trained(path):
    from trainers.resolve import resolve

    for run in read_sweep(path).runs:
        assert resolve(run.config, 100 if run.config.data == "cifar100" else 10).epochs > 0
