"""Figures of records in memory against those of run folders."""

import inspect
import pkgutil
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure

import figures
import landscape
from figures.kinds import confusion
from figures.request import Request
from figures.runs.in_memory import InMemoryResults
from landscape.config import (
    FeaturesConfig,
    PathConfig,
    SharpnessConfig,
    SimilarityConfig,
    SpectrumConfig,
    StabilityConfig,
    SurfaceConfig,
)
from landscape.errors import InputError
from tests.oracles import mlp, toy_data


def content(figure):
    """Titles, texts and every line's points."""
    found = []
    for axes in figure.axes:
        lines = [line.get_xydata().tolist() for line in axes.get_lines()]
        found.append((axes.get_title(), [text.get_text() for text in axes.texts], lines))
    return repr(found)


def stored(run, analysis, epoch=4):
    return landscape.load(run / "results" / analysis / f"epoch_{epoch:04d}.h5")


@pytest.fixture(scope="module")
def subject():
    return landscape.Subject(mlp(outputs=3), toy_data((3,), (9, 6, 5)))


@pytest.mark.parametrize("kind", ["spectrum", "nonconvexity", "accuracy"])
def test_records_files_and_folders_draw_alike(kind, runs):
    folders = [runs / "plain", runs / "sam"]
    expected = content(figures.draw(kind, *folders))
    epochs = [0, 2, 4]
    held = [
        {e: [stored(run, "spectrum", e), stored(run, "accuracy", e)] for e in epochs}
        for run in folders
    ]
    assert content(figures.draw(kind, *held)) == expected
    files = [
        [str(path) for path in sorted((run / "results").glob("*/epoch_*.h5"))] for run in folders
    ]
    assert content(figures.draw(kind, *files)) == expected
    mixed = content(figures.draw(kind, folders[0], held[1]))
    assert mixed == expected
    pages = [figures.page(kind, *given).to_dict() for given in (folders, held)]
    assert repr(pages[0]) == repr(pages[1])


def test_a_checkpoint_and_scopes_are_chosen(runs):
    run = runs / "plain"
    expected = content(figures.draw("spectrum", run, checkpoint=2, scopes="tail"))
    by_epoch = {e: stored(run, "spectrum", e) for e in (2, 4)}
    shares = {2: stored(run, "accuracy", 2)}
    parts = [*by_epoch.values(), *shares.values()]
    assert content(figures.draw("spectrum", parts, checkpoint="2", scopes=("tail",))) == expected
    assert content(figures.draw("spectrum", parts, scopes="tail")) != expected
    with pytest.raises(InputError, match="hold no Spectrum of checkpoint '3', only Spectrum of"):
        figures.draw("spectrum", parts, checkpoint=3)


def test_every_figure_of_an_analysis_can_be_drawn_from_memory(subject):
    found = {
        "spectrum": landscape.spectrum(subject, SpectrumConfig(steps=5)),
        "accuracy": landscape.accuracy(subject),
        "gradients": landscape.gradients(subject),
        "features": landscape.features(subject, FeaturesConfig(embedding=5)),
        "similarity": landscape.similarity(subject, SimilarityConfig(components=1, draws=2)),
        "surface": landscape.surface(subject, SurfaceConfig(points=3)),
        "sharpness": landscape.sharpness(subject, SharpnessConfig(ratios=(0.1, 0.2), draws=2)),
        "spikes": landscape.spikes(subject, spectrum=SpectrumConfig(steps=5)),
        "stability": landscape.stability(
            subject, StabilityConfig(learning_rate=0.1), spectrum=SpectrumConfig(steps=5)
        ),
        "gradient_noise": landscape.gradient_noise(subject),
        "path": landscape.path(subject, PathConfig(points=3), to=mlp(1, outputs=3)),
    }
    shows = {
        "spectrum": "spectrum nonconvexity curvature focal-weights",
        "accuracy": "accuracy focal-weights",
        "gradients": "conflicts gradient-similarity gradient-norm",
        "features": "feature-quality embedding",
        "similarity": "cca",
        "surface": "surface",
        "sharpness": "noise class-loss",
        "spikes": "spikes",
        "gradient_noise": "gradient-noise",
        "stability": "stability",
        "path": "path",
    }
    open_before = plt.get_fignums()
    for analysis, kinds in shows.items():
        for kind in kinds.split():
            given = {0: found[analysis], 3: found[analysis]}
            assert isinstance(figures.draw(kind, given), Figure), kind
            assert isinstance(figures.page(kind, given), go.Figure), kind
    base, other = (
        found["accuracy"].with_provenance(
            replace(
                found["accuracy"].provenance,
                config=found["accuracy"].provenance.config
                | {"plan": found["accuracy"].provenance.config["plan"] | {"method": name}},
            )
        )
        for name in ("base", "other")
    )
    surface, weights = found["surface"], found["accuracy"]
    assert figures.page("surface", surface, view="3d", quantity="accuracy").data
    assert len(figures.page("focal-weights", weights, gammas=(1, 2)).data) == 2
    assert isinstance(figures.draw("flattening", base, other), Figure)
    with pytest.raises(InputError, match="has no options, and 'view'"):
        figures.page("gradient-norm", {0: found["gradients"]}, view="3d")
    with pytest.raises(InputError, match="agree on every setting and have the same weights"):
        figures.draw("flattening", base, other, other)
    assert plt.get_fignums() == open_before


def test_the_one_surface_there_is_is_drawn(subject):
    path = {0: mlp(1, outputs=3), 1: mlp(2, outputs=3)}
    pca = landscape.surface(subject, SurfaceConfig("pca", points=3), trajectory=path)
    seeded = landscape.surface(subject, SurfaceConfig(points=3, seeds=(4,)))
    line = landscape.surface(subject, SurfaceConfig("checkpoints", points=3), through=[path[0]])
    for one, label in ((pca, "principal"), (seeded, "random direction"), (line, "checkpoint 1")):
        drawn = figures.draw("surface", one)
        assert any(label in axes.get_xlabel() for axes in drawn.axes), label
    assert figures.page("trajectory", pca).data
    both = [pca, seeded]
    chosen = figures.draw("surface", both, directions="random", seed=4)
    assert content(chosen) == content(figures.draw("surface", seeded))
    with pytest.raises(InputError, match="hold no Surface of checkpoint 'last', only Surface-pca"):
        figures.draw("surface", both)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, _: figures.draw("spectra", s), "unknown figure 'spectra'; did you mean 'spec"),
        (
            lambda s, _: figures.draw("focal-weights", s, gama=2),
            "unknown option of figure 'focal-weights' 'gama'; did you mean 'gammas'",
        ),
        (
            lambda s, _: figures.page("spectrum", s, view="3d"),
            "unknown option of figure 'spectrum'",
        ),
        (
            lambda s, _: figures.page("spectrum", s, matrix="gnn"),
            "unknown --options matrix 'gnn'",
        ),
        (lambda *_: figures.page("spectrum"), "nothing to draw"),
        (lambda *_: figures.draw("spectrum", []), "nothing in one of the results"),
        (lambda *_: figures.draw("spectrum", 3), "a result is a int; give a record"),
        (lambda s, _: figures.draw("spectrum", {"a": s}), "'a' is no epoch"),
        (lambda s, _: figures.draw("spectrum", [s, s]), "several results of landscape.spectrum"),
        (lambda s, _: figures.draw("nonconvexity", s), "over training; give results .* by epoch"),
        (lambda s, _: figures.draw("cost", s), "'cost' reads run folders"),
        (lambda s, _: figures.draw("accuracy", s), "results of landscape.accuracy, and .*spectrum"),
        (
            lambda s, _: figures.draw("spectrum", replace(s, loss=s.loss)),
            "does not know what made it",
        ),
        (lambda _, p: figures.draw("spectrum", p), "is no run folder"),
        (lambda _, p: figures.draw("spectrum", p / "no.h5"), "no result file"),
    ],
)
def test_refusals(call, message, subject, tmp_path):
    spectrum = landscape.spectrum(subject, SpectrumConfig(steps=3), scopes="overall")
    with pytest.raises(InputError, match=message):
        call(spectrum, tmp_path)


def test_a_figure_can_be_written_after_it_is_drawn(subject, tmp_path):
    backend = plt.get_backend()
    style = plt.rcParams["font.size"]
    drawn = figures.draw("accuracy", landscape.accuracy(subject))
    drawn.savefig(tmp_path / "a.png")
    assert np.ptp(plt.imread(tmp_path / "a.png")[..., :3]) > 0.5
    assert (plt.get_backend(), plt.rcParams["font.size"]) == (backend, style)


def test_confusions_with_classes_beyond_the_labels():
    """Predictions of a class that has no samples count in the shares, without a column."""
    found = landscape.accuracy(landscape.Subject(mlp(outputs=5), toy_data((3,), (9, 7, 5))))
    assert found.confusion.shape == (3, 5)
    drawing = confusion.read(Request((InMemoryResults.of(found),), "last"))
    (panel,) = drawing.panels
    shares = found.confusion / found.confusion.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(panel.values, shares[:, :3])
    np.testing.assert_array_equal(panel.told, found.confusion[:, :3])


def test_no_module_takes_the_functions_places():
    modules = {m.name for m in pkgutil.iter_modules(figures.__path__)}
    assert not modules & set(figures.__all__)
    assert all(inspect.isfunction(getattr(figures, name)) for name in figures.__all__)
    assert set(figures.__all__) <= set(dir(figures))
    with pytest.raises(AttributeError, match="no attribute 'drawn'"):
        figures.drawn  # noqa: B018
