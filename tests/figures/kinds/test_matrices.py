"""Spectra of other matrices than the Hessian: named in figures, and never mixed with it."""

import re
from dataclasses import replace

import pytest

import figures
import landscape
from figures.kinds import curvature, nonconvexity, spectrum
from figures.output import paper_style
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.config import SpectrumConfig
from landscape.errors import InputError
from landscape.results.hdf5 import save
from landscape.results.load import read_record
from landscape.results.matrix import MatrixSpec
from landscape.results.spectrum import Spectrum
from tests.oracles import mlp, toy_data

GGN = "results/spectrum-ggn/epoch_0004.h5"


def matrix(bn="eval", **options):
    return MatrixSpec.of(SpectrumConfig(**options), bn)


def test_every_matrix_has_a_name_and_a_folder_of_its_own():
    asked = [
        matrix(),
        matrix(curvature="ggn"),
        matrix(curvature="difference"),
        matrix(blocks=True),
        matrix(curvature="ggn", blocks=True),
        matrix(weight_decay=5e-4),
        matrix(weight_decay=5e-3),
        matrix(parameters=("layer3.*",)),
        matrix(parameters=("layer3?*",)),
        matrix(bn="batch"),
    ]
    assert len({one.suffix for one in asked}) == len({one.name for one in asked}) == len(asked)
    assert [one.suffix for one in asked[:6]] == [
        *("", "-ggn", "-difference", "-blocks", "-ggn-blocks", "-decay0.0005")
    ]
    assert all(re.fullmatch(r"[-\w.]*", one.suffix) for one in asked)
    assert [one.is_hessian for one in asked] == [True] + [False] * 9
    assert asked[4].name == "Gauss-Newton matrix (diagonal blocks)"
    assert asked[7].name == "Hessian (of layer3.*)"
    assert asked[7].flags == " --spectrum.parameters 'layer3.*'"


def test_what_does_not_change_the_matrix_does_not_change_its_name():
    assert matrix(parameters=("fc.*", "*")).is_hessian
    assert matrix(steps=7, tolerance=0.1, warm_start=True, memory_budget=0.0).is_hessian
    assert matrix(parameters=("a", "b")) == matrix(parameters=("b", "a"))


@pytest.fixture
def request_of(runs, tmp_path):
    """Runs 'plain' with a spectrum of the Gauss-Newton matrix, and 'sam' without."""
    record, origin = read_record(runs / "plain/results/spectrum/epoch_0004.h5", Spectrum)
    settings = origin.config["diagnose"]["spectrum"] | {"curvature": "ggn"}
    diagnose = origin.config["diagnose"] | {"spectrum": settings}
    other = replace(origin, config=origin.config | {"diagnose": diagnose})
    save(record, origin, tmp_path / "plain/results/spectrum/epoch_0004.h5")
    save(record, other, tmp_path / "plain" / GGN)
    opened = {"plain": RunResults.open(tmp_path / "plain"), "sam": RunResults.open(runs / "sam")}

    def build(*names, **options):
        return Request(tuple(opened[name] for name in names), options=options)

    return build


@pytest.mark.parametrize("module", [spectrum, nonconvexity, curvature])
def test_figures_name_the_matrix(module, request_of):
    for option, word in (("hessian", "Hessian"), ("ggn", "Gauss-Newton matrix")):
        request = request_of("plain", matrix=option)
        with paper_style():
            drawn = module.read(request).draw()
        words = [axes.get_xlabel() + axes.get_ylabel() for axes in drawn.axes]
        words += [drawn.get_suptitle(), module.read(request).page().to_json()]
        assert any(word in text for text in words) or word == "Hessian"
        assert word == "Hessian" or "Hessian" not in "".join(words)


def test_a_run_without_that_matrix_is_named(request_of):
    request = request_of("plain", "sam", matrix="ggn")
    with pytest.raises(InputError, match=r"Gauss-Newton matrix in 'sam'.*--spectrum.curvature ggn"):
        spectrum.spectra(request)[0]
    with pytest.raises(InputError, match="unknown --options matrix 'gnn'; did you mean 'ggn'"):
        spectrum.spectra(request_of("plain", matrix="gnn"))[0]


def test_a_folder_that_holds_another_matrix_is_refused(request_of):
    run = request_of("plain").runs[0].path
    (run / GGN).rename(run / "results/spectrum/epoch_0004.h5")
    for module in (spectrum, nonconvexity, curvature):
        with pytest.raises(InputError, match="of the Gauss-Newton matrix, which belongs in"):
            module.read(request_of("plain")).page()


def test_records_in_memory_are_not_mixed_either():
    data = toy_data((3,), (9, 6, 5))
    one, other = (landscape.Subject(mlp(outputs=3), data, name=name) for name in "ab")
    settings = SpectrumConfig(steps=3, trace_probes=2)
    whole = landscape.spectrum(one, settings, scopes="overall")
    part = landscape.spectrum(other, replace(settings, curvature="ggn"), scopes="overall")
    assert "Gauss-Newton" in figures.draw("spectrum", part).axes[0].get_xlabel()
    assert "Gauss-Newton" in str(part)
    assert "Hessian" in figures.draw("spectrum", whole).axes[0].get_xlabel()
    chosen = figures.draw("spectrum", [whole, part], matrix="ggn")
    assert "Gauss-Newton" in chosen.axes[0].get_xlabel()
    with pytest.raises(InputError, match=r"results given of 'b' hold no Spectrum .* Spectrum-ggn"):
        figures.draw("spectrum", whole, part)
