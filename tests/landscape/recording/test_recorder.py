"""Recording a loop: the same weights bit for bit, true numbers, a kept budget, an ordinary run."""

import random
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import landscape
from cli.main import main
from landscape.analyses.catalogue import ANALYSES
from landscape.deadline import Deadline, OutOfTime, check_time, within
from landscape.errors import InputError
from landscape.recording.budget import Budget
from landscape.recording.recorder import Recorder
from landscape.results.recording import Recording
from tests.landscape.recording.loops import PLAIN, network, train

FREE = {"budget": None, "every": 4, "class_names": ("a", "b", "c")}


def states(model):
    extra = [p.grad for p in model.parameters()]
    return [*model.state_dict().values(), *extra]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recorded run of nine steps, the model, and what the generators gave behind it."""
    run = tmp_path_factory.mktemp("recorded") / "mine"
    with Recorder(run, PLAIN, **FREE, builder="loops_of_mine:network") as recorder:
        model = train(recorder)
    drawn = random.random(), float(np.random.rand()), float(torch.rand(()))
    return run, model, recorder, drawn


def test_weights_gradients_and_generators_are_bitwise_those_without(recorded):
    _, model, recorder, drawn = recorded
    assert recorder.steps == 9
    assert recorder.due == 2
    plain = train()
    assert drawn == (random.random(), float(np.random.rand()), float(torch.rand(())))
    for a, b in zip(states(model), states(plain), strict=True):
        assert torch.equal(a, b)
    assert [m.training for m in model.modules()] == [m.training for m in plain.modules()]
    assert torch.is_grad_enabled()


def test_a_recording_while_the_loop_judges(tmp_path):
    """Modes, gradients that are still to be used, and no_grad stay as they were."""
    model = network().eval()
    loss = model(PLAIN.tensors[0]).square().sum()
    loss.backward()
    before = [p.grad.clone() for p in model.parameters()]
    with Recorder(tmp_path / "r", PLAIN, budget=None, every=1) as recorder, torch.no_grad():
        assert recorder.step(model)["lambda_max/overall"] > 0
        assert not torch.is_grad_enabled()
    assert not model.training
    for a, p in zip(before, model.parameters(), strict=True):
        assert torch.equal(a, p.grad)


def test_numbers_are_those_of_the_analyses_at_the_saved_weights(recorded):
    run, _, recorder, _ = recorded
    opened = landscape.open_run(run)
    assert opened.checkpoints == ["step_000004", "step_000008"]
    assert opened.analyses == ["gradients", "recording", "spectrum"]
    course = opened.result("recording")
    assert isinstance(course, Recording)
    assert course.step.tolist() == [4, 8]
    assert course.edge.tolist() == pytest.approx([1.9, 1.9])
    for at, name in enumerate(opened.checkpoints):
        model = network()
        state = torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)
        model.load_state_dict(state["state_dict"])
        subject = landscape.Subject(model, PLAIN)
        options = {"samples_per_class": 8}
        found = landscape.spectrum(subject, scopes=course.scope.tolist(), **options)
        apart = np.abs(found.lambda_max - course.lambda_max[at])
        assert (apart <= course.lambda_max_bound[at] + found.lambda_max_bound).all()
        assert course.grad_norm[at] == pytest.approx(found.grad_norm, rel=1e-4)
        assert course.stability[at] == pytest.approx(course.lambda_max[at] * 0.05)
        gradients = landscape.gradients(subject, **options)
        assert course.conflicts[at] == pytest.approx(gradients.conflicts / gradients.pairs)
        assert opened.result("gradients", name).norm == pytest.approx(gradients.norm, rel=1e-5)
    assert "2 records" in str(recorder)
    assert "no limit" in str(recorder)


def test_plain_gradient_descent_on_a_quadratic_leaves_its_edge(tmp_path):
    """λ η/2 above 1 diverges, below it converges: the closed form that the ratio is read by."""
    inputs = torch.tensor([[2.0], [0.0]]).double()  # the mean of (2w)² and 0 has λ = 4
    data = TensorDataset(inputs, torch.tensor([0, 1]))
    for rate, stable in ((0.4, True), (0.6, False)):
        model = nn.Linear(1, 1, bias=False).double()
        nn.init.ones_(model.weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        run = tmp_path / str(rate)
        options = {"loss": lambda out, _: out[:, 0] ** 2, "analyses": ("spectrum",)}
        with Recorder(run, data, every=5, budget=None, scopes="overall", **options) as recorder:
            for _ in range(10):
                optimizer.zero_grad()
                (model(inputs)[:, 0] ** 2).mean().backward()
                optimizer.step()
                recorder.step(model, optimizer=optimizer)
        course = landscape.load(run / "results/recording/last.h5")
        assert course.stability[:, 0] == pytest.approx(4 * rate / 2)
        assert (course.stability[-1, 0] < course.edge[-1]) == stable
        assert (float(model.weight.detach().abs()) < 1) == stable
        assert np.isnan(course.conflicts).all()


def test_the_clocks(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("landscape.recording.budget._now", lambda waits=True: now[0])  # noqa: ARG005

    def passes(seconds):
        now[0] += seconds

    budget = Budget("10 %")
    for inside, outside in ((1.0, 20.0), (0.5, 10.0)):
        budget.enter()
        passes(inside)
        budget.leave()
        passes(outside)
    budget.enter()
    assert budget.training == 30.0
    assert budget.spent == 1.5
    assert budget.allows(1.5)
    assert not budget.allows(1.6)
    budget.took(1.3)
    assert not budget.allows()  # a quarter more than expected
    budget.took(0.1)
    assert budget.expected == pytest.approx(0.8 * 1.3)
    assert budget.allows()
    assert budget.spent_share == pytest.approx(0.05)
    assert Budget("2%").spent_share == 0
    for wrong in ("much", 0, "-2%", float("nan")):
        with pytest.raises(InputError, match="give a share of the training time, such as '2%'"):
            Budget(wrong)


def test_work_is_broken_off_before_the_budget_is_spent(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("landscape.recording.budget._now", lambda waits=True: now[0])  # noqa: ARG005
    budget = Budget("10%")
    budget.leave()
    now[0] += 100
    budget.enter()  # ten seconds may be spent

    def work():
        with budget.limited(reserved=2.0):
            while True:
                now[0] += 1.5
                check_time()

    with pytest.raises(OutOfTime):
        work()
    budget.leave()
    assert budget.spent == 6  # another stretch of 1.5 times 1.5 seconds would end behind eight
    assert budget.expected == 16  # twice what it had and what was reserved
    check_time()  # outside nothing is broken off


@pytest.mark.parametrize("name", ["spectrum", "gradients", "sharpness", "accuracy", "surface"])
def test_analyses_ask_for_the_time_before_every_batch(name):
    """A clock that goes a second at a question; the data are one batch."""
    clock = iter(range(10**6))
    subject = landscape.Subject(network(), PLAIN)
    small = {"surface": landscape.SurfaceConfig(points=3, trajectory=False)}
    function = ANALYSES[name].load()
    given = {"settings": small[name]} if name in small else {}
    with within(Deadline(2.0, now=lambda: float(next(clock)))), pytest.raises(OutOfTime):
        function(subject, **given)
    assert torch.is_grad_enabled()


class Slow(nn.Module):
    """A network whose passes take as many seconds of a clock as they are told to."""

    def __init__(self, clock):
        super().__init__()
        self.linear, self.seconds, self.clock = nn.Linear(6, 3), 0.0, clock

    def forward(self, x):
        self.clock[0] += self.seconds
        return self.linear(x)


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_the_budget_holds_at_every_step_whatever_records_take(share, tmp_path, monkeypatch):
    """The trial, the first record, later ones that are five times as slow; on a made-up clock."""
    now = Shared([0.0])
    monkeypatch.setattr("landscape.recording.budget._now", lambda waits=True: now[0])  # noqa: ARG005
    model = Slow(now)
    options = {"every": 100, "scopes": "overall", "analyses": ("spectrum",), "checkpoints": False}
    with Recorder(tmp_path / "r", PLAIN, budget=share, **options) as recorder:
        for step in range(9000):
            now[0] += 1
            model.seconds = 5.0 if step % 4000 > 2500 else 1.0
            recorder.step(model)
            assert recorder.budget.spent <= share * recorder.budget.training
    course = landscape.load(tmp_path / "r/results/recording/last.h5")
    assert 2 <= len(course.step) < recorder.due


class Shared(list):
    """What copies share."""

    def __deepcopy__(self, memo):
        return self


def test_a_real_budget_is_kept(tmp_path):
    options = {"every": 1, "budget": "2000%", "analyses": ("spectrum",), "scopes": "overall"}
    with Recorder(tmp_path / "r", PLAIN, **options) as recorder:
        train(recorder, epochs=6, after=lambda: time.sleep(0.05))
    assert recorder.steps == recorder.due == 18
    records = len(list((tmp_path / "r/results/spectrum").glob("*.h5")))
    assert records < 18
    assert recorder.budget.spent <= 20 * recorder.budget.training
    assert f"{records} records" in str(recorder)
    assert f"{18 - records} of 18 due were left out" in str(recorder)


def test_a_short_training_is_left_alone(tmp_path):
    with Recorder(tmp_path / "r", PLAIN, every=1, budget="0.1%") as recorder:
        train(recorder)
    assert not (tmp_path / "r/results").exists()
    assert "0 records" in recorder.close()


@pytest.mark.slow
def test_the_folder_is_that_of_a_run(recorded, capsys, tmp_path, monkeypatch):
    run, *_ = recorded
    (tmp_path / "loops_of_mine.py").write_text(
        "from tests.landscape.recording.loops import PLAIN, network\n\ndata = PLAIN\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for command in (
        ["show", str(run)],
        ["show", str(run / "results/recording/last.h5")],
        ["figure", "curvature", str(run), "--out", str(tmp_path / "c.png")],
        ["figure", "conflicts", str(run), "--out", str(tmp_path / "g.png")],
        ["figure", "recording", str(run), "--out", str(tmp_path / "s.png")],
        ["report", str(run), "--out", str(tmp_path / "report")],
    ):
        assert main(command) == 0, capsys.readouterr().err
    assert "stability" in (tmp_path / "report/index.html").read_text(encoding="utf-8").lower()
    capsys.readouterr()
    assert main(["diagnose", str(run)]) == 2
    said = capsys.readouterr().err
    assert "--model loops_of_mine:network" in said
    assert f"--out {run}" in said
    given = ["--model", "loops_of_mine:network", "--data", "loops_of_mine:data", "--out", str(run)]
    given += ["--weights", str(run / "checkpoints"), "--analyses", "sharpness"]
    assert main(["diagnose", *given, "--sharpness.draws", "1"]) == 0, capsys.readouterr().err
    assert (run / "results/sharpness/step_000008.h5").is_file()


def test_a_recording_is_continued(tmp_path):
    run = tmp_path / "r"
    options = {**FREE, "analyses": ("spectrum",), "scopes": "overall", "checkpoints": False}
    with Recorder(run, PLAIN, **options) as recorder:
        train(recorder, epochs=2)
    with Recorder(run, PLAIN, **options) as recorder:
        assert recorder.steps == 4
        train(recorder, epochs=2)
    course = landscape.load(run / "results/recording/last.h5")
    assert course.step.tolist() == [4, 8]
    assert np.all(np.diff(course.training_seconds) > 0)


def test_a_recording_is_continued_over_other_scopes(tmp_path):
    run, options = tmp_path / "r", {**FREE, "analyses": ("spectrum",), "checkpoints": False}
    for scopes in ("overall", ("class/2", "overall")):
        with Recorder(run, PLAIN, **options, scopes=scopes) as recorder:
            train(recorder, epochs=2)
    course = landscape.load(run / "results/recording/last.h5")
    assert course.scope.tolist() == ["overall", "class/2"]
    records = [landscape.load(run / f"results/spectrum/step_{step:06d}.h5") for step in (4, 8)]
    first, second = (record.lambda_max for record in records)
    assert np.array_equal(course.lambda_max, [[first[0], np.nan], second[::-1]], equal_nan=True)
    assert len(course.to_dataframe()) == 2


def test_what_cannot_be_is_said(tmp_path):
    with pytest.raises(InputError, match="unknown analysis 'spectra'"):
        Recorder(tmp_path / "a", PLAIN, analyses=("spectra",))
    with pytest.raises(InputError, match="every is 0"):
        Recorder(tmp_path / "a", PLAIN, every=0)
    busy = pytest.raises(InputError, match="is being written by process")
    with Recorder(tmp_path / "a", PLAIN), busy:
        Recorder(tmp_path / "a", PLAIN)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thesis.tex").write_text("…")
    with pytest.raises(InputError, match="not empty and holds no run"):
        Recorder(tmp_path / "b", PLAIN)
    with pytest.raises(InputError, match="a label is 2, and there are 2 class names"):
        Recorder(tmp_path / "c", PLAIN, class_names=("a", "b"))
    Recorder(tmp_path / "a", PLAIN).close()  # none of them holds its folder


class Board:
    """As TensorBoard's writer."""

    def __init__(self):
        self.seen = []

    def add_scalar(self, name, value, step):
        self.seen.append((name, value, step))


class Log:
    """As a run of Weights & Biases."""

    def __init__(self):
        self.seen = []

    def log(self, values, step):
        self.seen.append((values, step))


def test_writers_get_the_same_numbers(tmp_path):
    board, log = Board(), Log()
    with Recorder(tmp_path / "r", PLAIN, **FREE, writers=(board, log)) as recorder:
        train(recorder, epochs=2)
    ((values, step),) = log.seen
    assert step == 4
    assert {name: value for name, value, _ in board.seen} == values
    assert {"lambda_max/overall", "stability/tail", "conflicts", "recorder_share"} <= set(values)
