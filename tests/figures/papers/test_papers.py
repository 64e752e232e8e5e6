"""Figures of papers: what they choose, what they miss, and whether their commands would help."""

import json
import shlex
from dataclasses import replace

import pytest

from cli.commands.diagnose import Diagnose
from cli.commands.train import Train
from cli.main import main
from cli.units.unit import Unit
from figures.catalogue import FIGURES
from figures.papers.catalogue import PAPER_FIGURES
from figures.papers.commands import diagnose_command, run_folder, train_command
from figures.papers.draw import draw_paper
from figures.papers.figure import Place
from figures.papers.selection import CandidateRun, choose, read_runs, same_method
from figures.runs.folder import RunResults
from figures.runs.settings import flat_settings
from landscape.analyses.catalogue import ANALYSES, RELEASED_SPECTRUM
from landscape.errors import InputError
from tests.figures.run_records import accuracy, request, spectrum, write_run
from trainers.methods.grammar import parse_method
from trainers.methods.systems import SYSTEMS
from trainers.resolve import resolve

CLASSES = {"cifar10": 10, "cifar100": 100, "filelist:data/ImageNet_LT": 1000}
SCOPES = ("overall", "class/0", "class/8")


@pytest.fixture
def parsed(monkeypatch):
    """Parse a command line without running it."""
    seen = []
    for command in (Train, Diagnose):
        monkeypatch.setattr(command, "run", lambda asked: seen.append(asked))

    def parse(line):
        words = shlex.split(line)
        assert words[0] == "tailscape"
        assert main(words[1:]) == 0
        return seen.pop()

    return parse


def places(figure):
    for want in figure.wants:
        own = {n: want.settings[n] for n in Place.names() if n in want.settings}
        yield want, replace(figure.place, **own)


def test_the_table_names_what_there_is():
    for name, figure in PAPER_FIGURES.items():
        assert figure.kind in FIGURES, name
        assert set(figure.analyses) <= {*ANALYSES, RELEASED_SPECTRUM.name}, name
        assert figure.wants, name
        assert "\n" not in figure.summary
        for want in figure.wants:
            parse_method(want.method)


def test_systems_stand_for_the_sentences_of_the_method_table():
    for name, system in SYSTEMS.items():
        assert same_method(name, system.sentence)
        assert same_method(f"{name}@released", system.sentence)
    assert same_method("mixup-crt", "ce-crt-mixup")
    assert not same_method("ce-drw", "ce-drw+sam")
    assert not same_method("la+focal-sam", "focal+sam")


@pytest.mark.parametrize("name", PAPER_FIGURES)
def test_runs_made_by_the_commands_are_those_the_figure_wants(name, tmp_path, parsed):
    """The commands parse, resolve to plans, and runs of these plans lack nothing."""
    figure = PAPER_FIGURES[name]
    given = []
    for k, (want, place) in enumerate(places(figure)):
        folder = run_folder(want, place)
        train = parsed(train_command(figure, want, place, folder))
        plan = resolve(train.options, CLASSES[place.data])
        diagnose = parsed(diagnose_command(figure, folder, figure.analyses, place))
        diagnose.options.check()
        assert diagnose.run_folder == train.options.out
        assert diagnose.options.analyses == figure.analyses
        run = RunResults(tmp_path / str(k))
        for analysis in figure.analyses:
            for checkpoint in saved(diagnose.options.checkpoints, plan):
                path = Unit(run.path, checkpoint, analysis, diagnose.options).output
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        given.append(CandidateRun(run, flat_settings(json.loads(json.dumps(plan.to_dict())))))
    found = choose(figure, given)
    assert not found.lacking
    assert [run.path.name for run in found.shown] == [str(k) for k in range(len(given))]


def saved(checkpoints, plan):
    """What a diagnosis writes for ``--checkpoints``; an epoch has to be kept."""
    if checkpoints == "last":
        return [f"epoch_{plan.epochs:04d}"]
    if checkpoints == "all":
        return [f"epoch_{epoch:04d}" for epoch in plan.checkpoints]
    if checkpoints.startswith("step_"):
        assert int(checkpoints[5:]) in plan.checkpoint_steps
        return [f"step_{int(checkpoints[5:]):06d}"]
    epochs = [int(word) for word in checkpoints.split(",")]
    assert set(epochs) <= set(plan.checkpoints)
    return [f"epoch_{epoch:04d}" for epoch in epochs]


@pytest.fixture
def saddle(tmp_path):
    return [
        write_run(tmp_path / name, method, accuracy(), spectrum(scopes=SCOPES), rule=rule)
        for name, method, rule in (
            ("other", "ldam", {}),
            ("sam", "saddle", {"rho": 0.5}),
            ("plain", "ce-drw", {}),
        )
    ]


def test_a_paper_figure_takes_its_runs_in_its_order(saddle, tmp_path):
    paths = draw_paper("saddle-2", request(*saddle), tmp_path / "out")
    assert [path.name for path in paths] == [f"paper-saddle-2.{s}" for s in ("pdf", "png", "html")]
    page = paths[2].read_text(encoding="utf-8")
    assert page.index('"ce-drw: overall') < page.index('"saddle: overall')
    assert "ldam" not in page
    assert "Saddle-LongTail Fig. 2" in page


def test_what_is_lacking_is_answered_with_commands(saddle, tmp_path):
    with pytest.raises(InputError) as raised:
        draw_paper("saddle-2", request(*saddle[:2]), tmp_path)
    out = "runs/cifar10-100-ce-drw"
    assert str(raised.value).splitlines() == [
        "paper:saddle-2 lacks what these commands make",
        "  no run of ce-drw on cifar10, imbalance 100:",
        f"    tailscape train --method ce-drw --data cifar10 --imbalance 100 --out {out}",
        f"    tailscape diagnose {out} --analyses spectrum,accuracy --checkpoints last --scopes "
        "overall,class/0,class/8",
        f"  then: tailscape figure paper:saddle-2 {saddle[0].path} {saddle[1].path} {out}",
        "  or with the 1 that there are: --options partial=yes",
    ]
    paths = draw_paper("saddle-2", request(*saddle[:2], options={"partial": "yes"}), tmp_path)
    assert paths[0].is_file()


def test_missing_results_of_a_run_are_answered_with_its_folder(tmp_path):
    run = write_run(tmp_path / "my run", "ce-drw", accuracy())
    with pytest.raises(InputError) as raised:
        draw_paper("saddle-3a", request(run), tmp_path)
    assert "no spectrum of several checkpoints of ce-drw:" in str(raised.value)
    assert (
        f"tailscape diagnose '{run.path}' --analyses spectrum --checkpoints 10,50,160,170,190,200 "
        "--scopes class/0,class/2,class/5,class/7,class/8"
    ) in str(raised.value)


def test_nothing_is_drawn_of_nothing(tmp_path):
    with pytest.raises(InputError, match="lacks what these commands make"):
        draw_paper("saddle-2", request(options={"partial": "yes"}), tmp_path)
    with pytest.raises(InputError, match="did you mean 'saddle-2'"):
        draw_paper("sadle-2", request(), tmp_path)


def test_other_data_are_taken_when_asked_for(tmp_path):
    runs = [
        write_run(tmp_path / m, m, accuracy(), spectrum(scopes=SCOPES), data="digits", imbalance=20)
        for m in ("ce-drw", "ce-drw+sam")
    ]
    with pytest.raises(InputError, match="or on digits, imbalance 20, where runs are"):
        draw_paper("saddle-2", request(*runs), tmp_path)
    paths = draw_paper("saddle-2", request(*runs, options={"data": "given"}), tmp_path)
    assert "(digits, imbalance 20)" in paths[2].read_text(encoding="utf-8")
    with pytest.raises(InputError) as raised:
        draw_paper("saddle-2", request(runs[0], options={"data": "given"}), tmp_path)
    assert "train --method ce-drw+sam --data digits --imbalance 20 --out" in str(raised.value)
    assert "--options data=given" in str(raised.value)


def test_a_run_on_some_classes_is_a_reference_and_not_shown(tmp_path):
    only = write_run(tmp_path / "only", "bcl", data="cifar100", classes=["tail"])
    found = choose(PAPER_FIGURES["gkp-1"], read_runs([only]))
    assert not found.shown
    assert any("--classes tail" in line for line in found.lacking)
    assert any("--surface.marks runs/cifar100-100-bcl-classestail" in x for x in found.lacking)


def test_a_sweep_takes_every_value_and_seed_and_one_of_others(tmp_path):
    runs = [
        write_run(
            tmp_path / f"{rho}-{seed}",
            "ce-drw+sam",
            accuracy(),
            spectrum(scopes=SCOPES),
            rule={"rho": rho},
            seed=seed,
        )
        for rho in (0.5, 0.33)
        for seed in (0, 1)
    ]
    assert len(choose(PAPER_FIGURES["saddle-4"], read_runs(runs)).shown) == 4
    assert len(choose(PAPER_FIGURES["saddle-2"], read_runs(runs)).shown) == 1


def test_the_command_draws_lists_and_explains(saddle, tmp_path, capsys):
    assert main(["list", "figures"]) == 0
    assert "paper:saddle-2" in capsys.readouterr().out
    folders = [str(run.path) for run in saddle]
    assert main(["figure", "paper:saddle-2", *folders, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "paper-saddle-2.png").is_file()
    assert main(["figure", "paper:gkp-9"]) == 2
    assert "tailscape train --method ce+gkp+gsa" in capsys.readouterr().err
    assert main(["figure", "paper:saddle-2", str(tmp_path / "nowhere")]) == 2
    assert "is no run folder" in capsys.readouterr().err
