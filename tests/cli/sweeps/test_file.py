"""What a sweep's file describes: the grid, the rows beside it, and what is refused."""

import inspect
import itertools
import re
from pathlib import Path

import pytest

from cli.sweeps.file import read_sweep
from figures.catalogue import FIGURES, figure_module
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
        options = ["x=rho"]
        """,
    )
    assert found.out == Path("~/there").expanduser()
    assert (found.diagnose.analyses, found.diagnose.spectrum.steps) == (("spectrum",), 12)
    assert (found.diagnose.surface.x, found.diagnose.surface.trajectory) == ((-2.0, 2.5), False)
    assert found.figures[0].options == ("x=rho",)


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
        ("[[run]]\nname = '..'", r"name = '\.\.' is no name of a folder"),
        (f"[train]\nseed = {2**63}", r"seed = 9223372036854775808 is no value"),
        (f"[diagnose]\nsurface.seeds = [0, {2**63}]", r"surface\.seeds = .* is no value"),
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[diagnose]\nscopes = ["tial"]', "did you mean 'tail'"),
        ('[[figure]]\nkind = "surface"\nscopes = ["haed"]', "did you mean 'head'"),
        ('[[figure]]\nkind = "surface"\noptions = ["viwe=3d"]', "did you mean 'view'"),
        ('[[figure]]\nkind = "surface"\noptions = "3d"', "not of the form name=value"),
        ('[[figure]]\nkind = "noise"\noptions = ["view=3d"]', "unknown option of figure 'noise'"),
        ('[diagnose]\neval = ["a=b"]', "is not of the form NAME=folder:PATH"),
        ("[grid]\nmethod = []", "method has no value"),
        ("[grid]\nseed = [0, 1, 0]", "seed has the value 0 twice; give it once"),
        ("[grid]\nimbalance = [10, 10.0]", "imbalance has the value 10 twice"),
        ('[grid]\ndata = ["folder:a/x", "folder:b/x"]', "take out one of the values"),
    ],
)
def test_what_would_fail_after_the_training_is_refused_before(text, said, tmp_path):
    with pytest.raises(InputError, match=re.escape(said)):
        read(tmp_path, text)


def test_an_internal_option_is_not_offered(tmp_path):
    with pytest.raises(InputError, match="unknown option") as raised:
        read(tmp_path, "[diagnose]\nadded = []")
    assert " added" not in str(raised.value).partition("Choose from")[2]


@pytest.mark.parametrize("kind", [name for name, one in FIGURES.items() if not one.module])
def test_the_options_that_a_figure_reads_are_listed(kind):
    """Those that its own file names; the others, of its request, are those of its results."""
    source = inspect.getsource(figure_module(kind))
    read = set(re.findall(r'option(?:s\.get)?\(\s*"(\w+)"', source))
    for helper, names in {
        "spectrum_runs(": ["matrix"],
        "surface_runs(": ["directions", "seed"],
    }.items():
        read |= set(names) if helper in source else set()
    assert read <= set(FIGURES[kind].options)
