"""The Python interface against the core it wraps, closed forms, and the command line's files."""

import ast
import copy
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import figures
import landscape
from cli.main import main
from cli.units.inputs import INPUTS
from landscape.analyses.catalogue import ANALYSES
from landscape.analyses.features import feature_quality
from landscape.config import (
    FeaturesConfig,
    GradientsConfig,
    PathConfig,
    SharpnessConfig,
    SimilarityConfig,
    SpectrumConfig,
    SurfaceConfig,
)
from landscape.curvature.operator import CurvatureOperator
from landscape.curvature.operator_spectrum import operator_spectrum
from landscape.errors import InputError, Setting
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum
from landscape.subject.classifier import find_classifier
from tests.oracles import conv_net, mlp, softmax_regression, toy_data
from trainers.reopen import open_run_data, open_subject
from trainers.runs.folder import RunFolder

DATA = toy_data((3,), (9, 5, 5))
FAST = {
    "spectrum": SpectrumConfig(steps=5),
    "surface": SurfaceConfig(points=3),
    "gradients": GradientsConfig(),
    "features": FeaturesConfig(),
    "similarity": SimilarityConfig(measures="cka", components=1, draws=2),
    "sharpness": SharpnessConfig(ratios=[0.1], draws=2),
    "path": PathConfig(points=3),
}

ALSO = {"path": {"to": mlp(1, outputs=3)}}


def subject_of(model=None, data=DATA, **options):
    return landscape.Subject(mlp(outputs=3) if model is None else model, data, **options)


def run(analysis, subject=None, settings=None, **options):
    """Call an analysis with quick settings, some of them changed."""
    own = [replace(FAST[analysis], **settings or {})] if analysis in FAST else []
    options = ALSO.get(analysis, {}) | options
    return getattr(landscape, analysis)(subject or subject_of(), *own, **options)


def python(code):
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_torch_is_imported_when_it_is_needed():
    code = """
import sys, landscape, figures
from landscape import load
print("torch" in sys.modules, "matplotlib" in sys.modules, "spectrum" in dir(landscape))
landscape.Subject
print("torch" in sys.modules)
"""
    assert python(code).split() == ["False", "False", "True", "True"]


def test_names_are_functions_whatever_was_imported():
    """A module of the same name would take the function's place when it is imported."""
    names = [name for name in landscape.__all__ if name.islower()]
    assert set(ANALYSES) < set(names)
    modules = [m.name for m in pkgutil.walk_packages(landscape.__path__, "landscape.")]
    assert not {f"landscape.{name}" for name in names} & set(modules)
    code = f"""
import importlib, inspect
import landscape.errors
for name in {modules}:
    try:
        importlib.import_module(name)
    except landscape.errors.InputError:  # callbacks of a framework that is not here
        assert name.startswith("landscape.recording.")
assert all(inspect.isfunction(getattr(landscape, name)) for name in {names})
"""
    python(code)
    with pytest.raises(AttributeError, match="no attribute 'spectra'"):
        landscape.spectra  # noqa: B018


@pytest.mark.parametrize("package", [landscape, figures])
def test_type_checkers_see_the_same_names(package):
    tree = ast.parse(inspect.getsource(package))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in checked.body for alias in node.names}
    assert set(seen) == set(package.__all__)
    for name, module in seen.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


def test_spectrum_of_softmax_regression():
    subject, exact = softmax_regression()
    values = torch.linalg.eigvalsh(exact)
    found = landscape.spectrum(
        subject, SpectrumConfig(steps=40, trace_probes=200, tolerance=0), scopes="overall"
    )
    assert found.lambda_max[0] == pytest.approx(float(values[-1]), rel=1e-9)
    assert found.lambda_min[0] == pytest.approx(float(values[0]), abs=1e-9)
    assert found.provenance.dtype == "float64"  # as the model


def test_settings_reach_the_operator():
    subject = subject_of()
    heard = []
    settings = SpectrumConfig(steps=4, curvature="ggn", weight_decay=0.5, parameters="2.*")
    found = landscape.spectrum(
        subject,
        settings,
        scopes=("class/2", "overall"),
        samples_per_class=3,
        dtype=torch.float32,
        seed=7,
        progress=heard.append,
    )
    (scope,) = subject.scopes("class/2")
    operator = CurvatureOperator(
        subject,
        subject.select(scope, 3, 7),
        curvature="ggn",
        parameters=("2.*",),
        weight_decay=0.5,
        dtype=torch.float32,
    )
    expected = operator_spectrum(operator, settings, torch.Generator().manual_seed(7))
    assert found.lambda_max[0] == expected.high.value
    assert found.samples.tolist() == [3, 9]
    assert found.verdict.tolist() == ["", ""]
    assert heard == ["class/2", "overall"]
    assert found.provenance.seed == 7
    assert found.provenance.config["diagnose"]["spectrum"]["parameters"] == ["2.*"]


@pytest.mark.parametrize("analysis", ANALYSES)
def test_every_result_knows_what_made_it_and_is_a_file(analysis, tmp_path, capsys):
    subject = subject_of(name="net", data_name="toys", checkpoint="epoch_0003")
    before = copy.deepcopy(subject.model.state_dict())
    kind = ANALYSES[analysis].record_type()
    record = run(analysis, subject)
    assert type(record) is kind
    origin = record.provenance
    assert (origin.analysis, origin.checkpoint, origin.device) == (analysis, "epoch_0003", "cpu")
    assert (origin.loss, origin.bn_mode, origin.dtype) == ("cross_entropy", "eval", "float64")
    plan = origin.config["plan"]
    assert (plan["method"], plan["data"], plan["imbalance"]) == ("net", "toys", 9 / 5)
    assert origin.config["class_counts"] == [9, 5, 5]
    assert origin.seconds > 0
    path = record.save(tmp_path / "deep" / f"{analysis}.h5")
    again = landscape.load(path, kind)
    assert again.provenance == origin
    for name in kind.__dataclass_fields__:
        stored, held = getattr(again, name), np.asarray(getattr(record, name))
        assert np.array_equal(stored, held, equal_nan=held.dtype.kind == "f"), name
    assert main(["show", str(path)]) == 0
    assert origin.weights_sha256 in capsys.readouterr().out.replace("\n", "").replace(" ", "")
    after = subject.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_numbers_and_origin_are_those_of_the_command_line(runs, tmp_path):
    folder, device = RunFolder(runs / "plain"), torch.device("cpu")
    data = open_run_data(folder, device)
    subject = open_subject(folder, "epoch_0004", data, device)
    settings = SpectrumConfig(steps=4, probes=2, trace_probes=2)  # those of the fixture
    found = landscape.spectrum(subject, settings, samples_per_class=8)
    path = folder.result("spectrum", "epoch_0004")
    stored = landscape.load(path, Spectrum)
    for name in Spectrum.__dataclass_fields__:
        if name not in ("scope", "verdict"):
            assert np.array_equal(getattr(found, name), getattr(stored, name), equal_nan=True), name
    for name in Provenance.__dataclass_fields__:
        if name not in ("config", "created", "seconds"):
            assert getattr(found.provenance, name) == getattr(stored.provenance, name), name
    for name in ("run", "plan", "class_names", "class_counts"):
        assert found.provenance.config[name] == stored.provenance.config[name]
    with h5py.File(path) as theirs, h5py.File(found.save(tmp_path / "s.h5")) as ours:
        assert set(ours.attrs) == set(theirs.attrs)
    judged = landscape.accuracy(subject, data=data.test)
    stored = landscape.load(folder.result("accuracy", "epoch_0004"))
    assert np.array_equal(judged.confusion, stored.confusion)


@pytest.mark.parametrize(
    ("analysis", "settings", "options", "message"),
    [
        ("spectrum", {"curvature": "hesian"}, {}, "unknown curvature 'hesian'; .* 'hessian'"),
        ("spectrum", {"steps": 0}, {}, "^steps is 0; it must be at least 1"),
        ("spectrum", {"trace_probes": 1}, {}, "^trace_probes is 1; a standard error"),
        ("spectrum", {"steps": "40"}, {}, "steps is '40', of type str; it must be of type int"),
        ("spectrum", {}, {"scopes": "tial"}, "unknown scope 'tial'; did you mean 'tail'"),
        ("spectrum", {}, {"dtype": torch.float16}, "unknown dtype 'float16'"),
        ("surface", {"x": 2}, {}, "x is 2; it must be a sequence"),
        ("surface", {"x": (0, 1, 2)}, {}, "must be 2 values"),
        ("surface", {"seeds": (1, 2)}, {}, "one seed, and 2 are given"),
        ("surface", {"directions": "checkpoints"}, {}, "there are 0; name them with through"),
        ("surface", {"directions": "pca"}, {}, "are 0; .* take directions random"),
        ("surface", {}, {"trajectory": {"best": mlp(outputs=3)}}, "'best' is no epoch"),
        ("surface", {}, {"trajectory": {3: mlp()}}, "'epoch 3' does not fit the model"),
        ("gradients", {}, {"direction": lambda *_: []}, "give batches, too"),
        ("gradients", {"parameters": "head.*"}, {}, r"parameter is called head\.\*; the model's"),
        ("similarity", {"measures": "cak"}, {}, "unknown measure 'cak'; did you mean 'cka'"),
        ("similarity", {"components": 0}, {}, "^components is 0; it must be at least 1"),
        ("similarity", {}, {"against": {}}, "against holds 0 models"),
    ],
)
def test_messages_name_settings_as_python_does(analysis, settings, options, message):
    with pytest.raises(InputError, match=message):
        run(analysis, None, settings, **options)


@pytest.mark.parametrize(
    ("analysis", "options"),
    [("spectrum", {"step": 4}), ("surface", {"bn": "batch"}), ("accuracy", {"scopes": "tail"})],
)
def test_an_unknown_keyword_is_an_error_of_python(analysis, options):
    name = next(iter(options))
    with pytest.raises(TypeError, match=f"unknown argument of {analysis} '{name}'"):
        run(analysis, **options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        SpectrumConfig(step=4)


def test_settings_may_be_given_by_keyword():
    by_keyword = landscape.spectrum(subject_of(), steps=3, probes=1, scopes="overall")
    whole = landscape.spectrum(subject_of(), SpectrumConfig(steps=3, probes=1), scopes="overall")
    changed = landscape.spectrum(subject_of(), SpectrumConfig(steps=9), steps=3, probes=1)
    for found in (by_keyword, changed):
        assert found.lambda_max[0] == whole.lambda_max[0]
        assert found.provenance.config["diagnose"]["spectrum"]["steps"] == 3
    with pytest.raises(InputError, match=r"^steps is 0; it must be at least 1"):
        landscape.spectrum(subject_of(), steps=0)


def test_messages_name_settings_as_the_command_line_does(capsys, runs):
    command = f"diagnose {runs}/plain --spectrum.trace-probes 1"
    assert main(command.split()) == 2
    assert "--spectrum.trace-probes is 1; a standard error" in capsys.readouterr().err


def test_settings_of_another_analysis_are_refused():
    with pytest.raises(InputError, match="it must be of type SpectrumConfig"):
        landscape.spectrum(subject_of(), SurfaceConfig())


@pytest.mark.filterwarnings("ignore:BatchNorm's running statistics")
def test_a_surface_through_another_model_meets_its_loss(tmp_path):
    subject, other, third = (
        landscape.Subject(conv_net(seed), toy_data((1, 4, 4), (6, 4, 3))) for seed in (0, 1, 2)
    )
    torch.save({"state_dict": other.model.state_dict()}, tmp_path / "other.pt")
    others = (other.model, other.model.state_dict(), tmp_path / "other.pt")
    line = SurfaceConfig("checkpoints", points=3)
    lines = [landscape.surface(subject, line, through=[one]) for one in others]
    assert lines[0].loss.shape == (1, 3, 3)
    for other_line in lines[1:]:
        assert np.array_equal(other_line.loss, lines[0].loss)
    # BatchNorm's statistics are the centre's at every point
    moved = copy.deepcopy(other.model)
    for name, buffer in subject.model.named_buffers():
        moved.get_buffer(name).copy_(buffer)
    at_other = landscape.gradients(landscape.Subject(moved, subject.data)).loss
    assert lines[0].loss[0, 2] == pytest.approx(at_other, rel=1e-9)
    plane = landscape.surface(subject, line, through={"second": other.model, "third": third.model})
    assert plane.loss.shape == (3, 3, 3)
    assert plane.loss[1] == pytest.approx(lines[0].loss[0], rel=1e-12)
    assert plane.provenance.config["diagnose"]["surface"]["through"] == ["second", "third"]
    with pytest.raises(InputError, match="'checkpoint 1' does not fit the model"):
        landscape.surface(subject, line, through=[mlp()])
    with pytest.raises(InputError, match=r"directions are 'random' .* leave through out"):
        landscape.surface(subject, through=[other.model])


def test_a_trajectory_spans_the_plane_and_is_projected_on_it():
    subject = subject_of()
    step, across = mlp(1, outputs=3).state_dict(), mlp(2, outputs=3).state_dict()
    end = subject.model.state_dict()
    path = {
        epoch: {n: end[n] + a * step[n] + b * across[n] for n in end}
        for epoch, (a, b) in {0: (2, 0), 5: (1, 1), 9: (0, 0)}.items()
    }
    marks = {"elsewhere": mlp(3, outputs=3)}
    found = landscape.surface(subject, SurfaceConfig("pca", points=3), trajectory=path, marks=marks)
    assert found.trajectory_epoch.tolist() == [0, 5, 9]
    assert found.trajectory_residual == pytest.approx(0, abs=1e-9)
    assert found.trajectory_xy[2] == pytest.approx(0, abs=1e-9)
    assert abs(found.trajectory_xy).max() == pytest.approx(0.8)
    assert found.explained.sum() == pytest.approx(1)
    assert found.mark_name.tolist() == ["elsewhere"]
    assert found.mark_residual[0] > 0.1


def test_random_surfaces_differ_by_seed_alone():
    one, same, other = (run("surface", None, {"seeds": (s,)}) for s in (0, 0, 1))
    assert np.array_equal(one.loss, same.loss)
    assert not np.array_equal(one.loss, other.loss)
    assert other.provenance.config["diagnose"]["surface"]["seeds"] == [1]
    points = []
    again = run("surface", None, {"statistics": "recomputed"}, progress=points.append)
    assert again.provenance.bn_mode == "recomputed"
    assert points[-1] == "9 of 9 points"


def test_accuracy_and_features_on_other_data():
    subject = subject_of()
    test = toy_data((3,), (4, 4, 4), seed=1)
    dataset = TensorDataset(test.inputs, test.labels)
    found = landscape.accuracy(subject, data=dataset)
    predicted = subject.model(test.inputs).argmax(dim=1)
    assert found.confusion.sum() == 12
    assert np.trace(found.confusion) == int((predicted == test.labels).sum())
    assert found.training_count.tolist() == [9, 5, 5]
    assert found.provenance.data_sha256 != landscape.accuracy(subject).provenance.data_sha256
    assert found.provenance.config["plan"]["data"] == "TensorDataset"
    record = landscape.features(subject, data=dataset)
    hidden = torch.tanh(subject.model[0](test.inputs)).detach()
    expected = feature_quality(hidden, test.labels, 3)
    assert record.quality == pytest.approx(expected.quality.numpy(), rel=1e-9)
    assert find_classifier(subject.model, test.inputs, 3) == "2"


def test_a_model_is_like_itself():
    subject = subject_of(data=toy_data((3,), (30, 26, 25)))
    found = landscape.similarity(
        subject, SimilarityConfig(components=2), against={"twin": subject.model}
    )
    assert np.diagonal(found.score, axis1=1, axis2=2) == pytest.approx(1)
    assert str(found.paired) == "checkpoint twin"
    assert found.provenance.config["diagnose"]["similarity"]["against"] == "twin"


def test_gradients_of_batches_against_what_a_rule_follows():
    subject = subject_of()
    parameters = list(subject.model.parameters())

    def follow(inputs, targets):
        loss = nn.functional.cross_entropy(subject.model(inputs), targets)
        return list(torch.autograd.grad(loss, parameters))

    one = GradientsConfig(batches=1, mode="eval")
    found = landscape.gradients(subject, one, batch_size=19, direction=follow)
    assert found.provenance.config["diagnose"]["gradients"]["direction"]
    assert found.similarity_to_direction == pytest.approx(found.similarity_to_batch)
    train = landscape.gradients(subject, GradientsConfig(batches=2), batch_size=9)
    assert (found.provenance.bn_mode, train.provenance.bn_mode) == ("eval", "batch")


def test_hashes_tell_data_apart():
    def digest(data):
        return landscape.accuracy(subject_of(data=data)).provenance.data_sha256

    flipped = DATA.labels.clone()
    flipped[0] = (flipped[0] + 1) % 3
    moved = DATA.inputs.clone()
    moved[-1, -1] += 1e-9
    known = [
        digest(landscape.TensorData(*pair))
        for pair in (
            (DATA.inputs, DATA.labels),
            (DATA.inputs, flipped),
            (moved, DATA.labels),
            (DATA.inputs, DATA.labels, torch.zeros_like(DATA.labels)),
        )
    ]
    assert len(set(known)) == 4
    assert digest(DATA) == known[0]


def test_a_model_without_parameters_is_refused():
    with pytest.raises(InputError, match="no parameters"):
        landscape.accuracy(subject_of(nn.Identity()))


@pytest.mark.parametrize("name", ANALYSES)
def test_signatures_are_those_of_the_catalogue(name):
    entry, function = ANALYSES[name], getattr(landscape, name)
    parameters = list(inspect.signature(function).parameters)
    own = ["settings"] if entry.settings else []
    assert parameters[: 1 + len(own)] == ["subject", *own]
    assert set(parameters[1 + len(own) :]) == {*entry.options, *entry.inputs}
    assert set(entry.inputs) <= set(INPUTS)
    for parameter in parameters:
        assert f"        {parameter}: " in function.__doc__


def test_errors_survive_the_way_from_another_process():
    error = InputError("take more with ", Setting("spectrum.trace_probes"), " 4")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "take more with trace_probes 4"
    assert again.spelled(lambda s: s.flag) == "take more with --spectrum.trace-probes 4"
