"""External models, through the command line."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch.func import functional_call, hessian

from cli.main import main
from cli.sources.checkpoint_files import checkpoint_files
from cli.sources.external import ExternalSource
from cli.sources.external_config import ExternalConfig
from cli.sources.external_data import ExternalData, open_external_data
from cli.sources.external_model import load_loss
from figures.catalogue import read_figure
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.analyses.accuracy import judge
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.features import Features
from landscape.results.load import read_record
from landscape.results.sharpness import Sharpness
from landscape.results.spectrum import Spectrum
from landscape.results.surface import Surface
from landscape.subject.data import TensorData
from tests.cli import external_nets
from tests.cli.external_nets import Own, colour, digits, smoothed

NETS = "tests.cli.external_nets"


def diagnose(tmp_path, **options):
    words = ["diagnose", "--device", "cpu", "--out", str(tmp_path / "out")]
    for name, value in options.items():
        words += [f"--{name.replace('__', '.').replace('_', '-')}", str(value)]
    return main(words)


def result(tmp_path, analysis, kind, checkpoint="best"):
    return read_record(tmp_path / "out" / "results" / analysis / f"{checkpoint}.h5", kind)[0]


def own(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Own(4)
        model.stem[1].running_mean.normal_()
        model.stem[1].running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def best(tmp_path):
    torch.save({"state_dict": torch.nn.DataParallel(own()).state_dict()}, tmp_path / "best.pth")
    return {
        "model": f"{NETS}:Own",
        "weights": tmp_path / "best.pth",
        "data": f"{NETS}:digits",
        "loss": f"{NETS}:smoothed",
    }


def dense_hessian_of(model, inputs, labels):
    """Over the trainable parameters, in float64, by autograd."""
    model = model.double()
    start = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    sizes = [p.numel() for p in start.values()]

    def loss(vector):
        parts = vector.split(sizes)
        moved = {n: v.view_as(start[n]) for n, v in zip(start, parts, strict=True)}
        outputs = functional_call(model, moved, (inputs.double(),))
        return smoothed(outputs, labels).mean()

    return hessian(loss)(torch.cat([p.flatten() for p in start.values()]))


def test_a_users_module_has_the_hessian_of_autograd(best, tmp_path, capsys):
    """With dropout, frozen layers, and a dictionary for output through a loss of its own."""
    assert diagnose(tmp_path, **best, scopes="overall,class/2", dtype="float64") == 0
    out = capsys.readouterr().out
    assert "best.pth" in out
    spectrum = result(tmp_path, "spectrum", Spectrum)
    inputs, labels = digits()[0].tensors
    for s, chosen in enumerate((labels >= 0, labels == 2)):
        values = torch.linalg.eigvalsh(dense_hessian_of(own(), inputs[chosen], labels[chosen]))
        assert spectrum.lambda_min[s] == pytest.approx(
            float(values[0]), abs=1e-3 * float(values[-1])
        )
        assert spectrum.lambda_max[s] == pytest.approx(float(values[-1]), rel=1e-3)
        assert abs(spectrum.trace[s] - values.sum()) < 5 * spectrum.trace_sem[s] + 1e-9
    test_images, test_labels = digits()[1].tensors
    confusion, _ = judge(own(), next(own().parameters()), TensorData(test_images, test_labels), 4)
    assert np.array_equal(result(tmp_path, "accuracy", Accuracy).confusion, confusion)


def test_every_analysis_and_the_figures(best, tmp_path, capsys):
    analyses = "surface,gradients,features,similarity,sharpness"
    more = {"surface__points": 3, "similarity__components": 2, "sharpness__draws": 1}
    assert diagnose(tmp_path, **best, analyses=analyses, **more) == 0
    surface = result(tmp_path, "surface", Surface)
    inputs, labels = digits()[0].tensors
    with torch.no_grad():
        outputs = own()(inputs)
        centre = smoothed(outputs, labels)
    for c in range(4):
        assert surface.loss[1, 1, c] == pytest.approx(float(centre[labels == c].mean()), rel=1e-5)
    hits = (outputs["logits"].argmax(dim=1) == labels).sum()
    assert surface.correct[1, 1].sum() == hits
    features = result(tmp_path, "features", Features)
    centroids = torch.stack([outputs["hidden"][labels == c].double().mean(0) for c in range(4)])
    gaps = torch.cdist(centroids, centroids).fill_diagonal_(torch.inf).min(dim=1).values
    assert features.separation == pytest.approx(gaps.numpy(), rel=1e-5)
    assert np.isfinite(result(tmp_path, "sharpness", Sharpness).characteristic_radius).all()
    out = str(tmp_path / "out")
    for kind in ("surface", "conflicts", "noise"):
        assert main(["figure", kind, out]) == 0
    assert main(["show", out]) == 0
    assert "tests.cli.external_nets:smoothed" in capsys.readouterr().out


def test_torchvision_network(tmp_path, capsys):
    """Random weights in a bare file; the numbers are those of the Python interface."""
    from landscape.analyses.spectrum import spectrum
    from landscape.config import SpectrumConfig
    from landscape.subject.subject import Subject

    torch.manual_seed(0)
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=4)
    torch.save(model.state_dict(), tmp_path / "best.pth")
    options = {"scopes": "class/1", "samples_per_class": 2, "spectrum__steps": 2}
    more = {"spectrum__probes": 1, "spectrum__trace_probes": 2, "analyses": "spectrum,features"}
    names = {"model": "torchvision:shufflenet_v2_x0_5", "weights": tmp_path / "best.pth"}
    assert diagnose(tmp_path, **names, data=f"{NETS}:colour", **options, **more) == 0
    assert "no test set" in capsys.readouterr().out
    found = result(tmp_path, "spectrum", Spectrum)
    subject = Subject(model.eval(), colour())
    config = SpectrumConfig(steps=2, probes=1, trace_probes=2)
    ours = spectrum(subject, config, scopes="class/1", samples_per_class=2)
    assert found.lambda_max == pytest.approx(ours.lambda_max, rel=1e-6)
    assert found.lambda_min == pytest.approx(ours.lambda_min, rel=1e-6)
    assert result(tmp_path, "features", Features).dimension == 1024


def test_timm_vision_transformer(tmp_path):
    """Attention has no fused double backward; the certificate has to hold all the same."""
    size = "img_size=32,patch_size=16,depth=2,num_classes=4"
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=16, depth=2, num_classes=4
    )
    content = {f"model.{n}": v for n, v in model.state_dict().items()}
    torch.save(
        {"state_dict": content, "pytorch-lightning_version": "2.5"}, tmp_path / "epoch=7.ckpt"
    )
    options = {"scopes": "class/0", "samples_per_class": 3, "spectrum__probes": 1}
    more = {"model_arguments": size, "data": f"{NETS}:colour", "spectrum__tolerance": 0.05}
    names = {"model": "timm:vit_tiny_patch16_224", "weights": tmp_path / "epoch=7.ckpt"}
    assert diagnose(tmp_path, **names, **options, **more) == 0
    found = result(tmp_path, "spectrum", Spectrum, "epoch_0007")
    assert found.converged.all()
    assert found.lambda_max[0] > 0


def test_a_folder_of_lightning_checkpoints_is_a_trajectory(best, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for epoch in (2, 10, 30):
        state = {f"net.{n}": v for n, v in own(epoch).state_dict().items()}
        content = {"state_dict": state | {"loss.weight": torch.ones(4)}, "epoch": epoch}
        torch.save(content, folder / f"epoch={epoch}-step={5 * epoch}.ckpt")
    options = {"checkpoints": "all", "scopes": "overall", "samples_per_class": 5}
    more = {"analyses": "spectrum,surface", "surface__directions": "pca", "surface__points": 3}
    assert diagnose(tmp_path, **(best | {"weights": folder}), **options, **more) == 0
    out = capsys.readouterr().out
    assert "prefix 'net.' removed from parameter names" in out
    assert "ignored loss.weight" in out
    torch.save(own(30).state_dict(), folder / "zlast.pt")  # a copy without an epoch is no last one
    again = {"checkpoints": "last", "analyses": "accuracy"}
    assert diagnose(tmp_path, **(best | {"weights": folder}), **again) == 0
    assert "zlast" in capsys.readouterr().out
    assert (tmp_path / "out/results/accuracy/epoch_0030.h5").is_file()
    run = RunResults.open(tmp_path / "out")
    assert run.checkpoints(Spectrum) == ["epoch_0002", "epoch_0010", "epoch_0030"]
    surface = read_record(tmp_path / "out/results/surface-pca/epoch_0030.h5", Surface)[0]
    assert surface.trajectory_epoch.tolist() == [2, 10, 30]
    assert surface.trajectory_residual == pytest.approx(0, abs=1e-4)  # three points span the plane
    assert main(["figure", "nonconvexity", str(tmp_path / "out")]) == 0


def test_results_are_kept_and_others_not_mixed_in(best, tmp_path, capsys):
    options = {"analyses": "accuracy"}
    assert diagnose(tmp_path, **best, **options) == 0
    assert diagnose(tmp_path, **best, **options) == 0
    assert "kept" in capsys.readouterr().out
    shutil.copy(tmp_path / "best.pth", tmp_path / "other.pth")
    assert diagnose(tmp_path, **(best | {"weights": tmp_path / "other.pth"}), **options) == 2
    assert "results of another weights" in capsys.readouterr().err
    assert diagnose(tmp_path, **(best | {"data": f"{NETS}:noisy"}), **options) == 2
    assert "the data differ from those" in capsys.readouterr().err
    stored = json.loads((tmp_path / "out" / "config.json").read_text())
    assert main(["diagnose", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert stored["outside"]["command"] in error
    assert main([*shlex.split(stored["outside"]["command"])[1:], "--analyses", "accuracy"]) == 0


def test_images_in_folders_with_a_transform(best, tmp_path):
    for part in ("train", "test"):
        images, labels = digits()[part == "test"].tensors
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = tmp_path / "tree" / part / f"digit {int(label)}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image[0].numpy() * 255).astype(np.uint8)).save(folder / f"{i:03}.png")
    options = {"transform": f"{NETS}:grey", "analyses": "accuracy", "workers": 0}
    where = {"data": f"folder:{tmp_path / 'tree'}"}
    assert diagnose(tmp_path, **(best | where), **options) == 0
    found = result(tmp_path, "accuracy", Accuracy)
    assert found.class_name.tolist() == [f"digit {c}" for c in range(4)]
    images, labels = digits()[1].tensors
    confusion, _ = judge(
        own(), next(own().parameters()), TensorData((images * 255).floor() / 255, labels), 4
    )
    assert np.array_equal(found.confusion, confusion)
    alone = {"data": f"folder:{tmp_path / 'tree' / 'test'}", "out": tmp_path / "alone"}
    assert diagnose(tmp_path, **(best | alone), **options) == 0
    again = read_record(tmp_path / "alone/results/accuracy/best.h5", Accuracy)[0]
    assert np.array_equal(again.confusion, found.confusion)


@pytest.mark.parametrize("option", ["imbalance", "image_size"])
@pytest.mark.parametrize("tree", ["with train", "alone"])
def test_options_that_a_folder_would_ignore_are_refused(option, tree, best, tmp_path, capsys):
    root = tmp_path / "tree"
    for label in range(4):
        folder = root / ("train" if tree == "with train" else "") / str(label)
        folder.mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "0.png")
    options = {"transform": f"{NETS}:grey", "data": f"folder:{root}", option: 100}
    assert diagnose(tmp_path, **(best | options)) == 2
    name = option.replace("_", "-")
    assert f"--{name} is not for folder:{root} with --transform" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_training_part_is_not_cut(best, tmp_path, capsys):
    (tmp_path / "tree" / "0").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "tree" / "0" / "0.png")
    options = {"data": f"folder:{tmp_path / 'tree'}", "imbalance": 100}
    assert diagnose(tmp_path, **(best | options)) == 2
    assert "which has no folder 'train'" in capsys.readouterr().err


@pytest.mark.parametrize(("function", "part"), [("arrays", 0), ("named", 1), ("digits", 1)])
def test_what_a_function_of_data_may_return(function, part, best, tmp_path):
    chosen = best | {"data": f"{NETS}:{function}"}
    assert diagnose(tmp_path, **chosen, analyses="accuracy") == 0
    confusion, _ = judge(own(), next(own().parameters()), TensorData(*digits()[part].tensors), 4)
    assert np.array_equal(result(tmp_path, "accuracy", Accuracy).confusion, confusion)


def test_the_label_is_found_after_what_the_model_takes():
    config = ExternalConfig(model=f"{NETS}:Own", data=f"{NETS}:indexed")
    found = open_external_data(config, torch.device("cpu"), None, 0)
    assert torch.equal(found.train.labels, digits()[0].tensors[1])


@pytest.mark.parametrize(
    ("function", "counts", "judged"),
    [("arrays", "", "training"), ("arrays", "9,9,5,1", "training"), ("named", "", "test")],
)
def test_accuracy_says_on_which_data_it_was_judged(
    function, counts, judged, best, tmp_path, capsys
):
    options = best | {"data": f"{NETS}:{function}", "analyses": "accuracy"}
    assert diagnose(tmp_path, **options, **({"class_counts": counts} if counts else {})) == 0
    printed = capsys.readouterr().out
    other = {"training": "test", "test": "training"}[judged]
    stored = tmp_path / "out"
    asked = Request((RunResults.open(stored),))
    drawn = read_figure("accuracy", asked), read_figure("confusion", asked)
    assert drawn[0].label == f"{judged} accuracy, %"
    assert drawn[1].title == f"share of the true class's {judged} samples"
    written = drawn[0].tables()
    tables = [printed.partition("split")[2], written["md"], written["tex"]]
    assert all(("training data" in text) == (judged == "training") for text in tables)
    assert main(["report", str(stored), "--out", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "nan %" not in page
    assert f"{judged} accuracy, %" in page
    assert f"{other} accuracy" not in page
    assert ("of training data (best)" in page) == (judged == "training")


def test_losses_of_pytorch_by_name_and_in_python_are_one(monkeypatch):
    weight = torch.tensor([1.0, 2.0])
    built = torch.nn.CrossEntropyLoss(weight, ignore_index=1)
    monkeypatch.setattr(external_nets, "weighted", built, raising=False)
    found = load_loss(f"{NETS}:weighted")
    assert (found.name, found.ignore_index, found.takes_logits) == (f"{NETS}:weighted", 1, True)
    assert torch.equal(found.class_weights, weight)


def test_classes_without_a_name_get_one_of_their_own():
    data = ExternalData(TensorData(torch.zeros(2, 1), torch.arange(2)), None, ("1", "2"))
    config = ExternalConfig(model_arguments=("num_classes=4",))
    source = ExternalSource(config, data, torch.device("cpu"), {})
    assert source.class_names == ("1", "2", "unnamed 2", "3")


def test_a_loss_of_model_and_batch_and_a_torch_loss(best, tmp_path):
    plain = {"analyses": "spectrum", "scopes": "class/0", "spectrum__steps": 5}
    answers = []
    for k, loss in enumerate((f"{NETS}:of_batch", None)):
        chosen = {k: v for k, v in best.items() if k != "loss"} | ({"loss": loss} if loss else {})
        assert diagnose(tmp_path, **chosen, **plain, out=tmp_path / f"out{k}") == 0
        answers.append(read_record(tmp_path / f"out{k}/results/spectrum/best.h5", Spectrum)[0])
    assert answers[0].lambda_max == pytest.approx(answers[1].lambda_max, rel=1e-5)


@pytest.mark.filterwarnings("always::landscape.errors.DataWarning")
def test_data_drawn_anew_are_refused_where_the_matrix_would_change(best, tmp_path, capsys):
    assert diagnose(tmp_path, **(best | {"data": f"{NETS}:noisy"}), scopes="class/0") == 2
    said = capsys.readouterr().err
    assert "spectrum of best: the same samples came out differently the second time" in said
    assert "tailscape: warning: the largest logit of the same sample came out differently" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "x"}, "not of the form MODULE:NAME"),
        ({"model": "no.such:net"}, "no module 'no'"),
        ({"model": f"{NETS}:Nown"}, "did you mean 'Own'"),
        ({"model": f"{NETS}:broken"}, "raised RuntimeError: no such thing"),
        ({"model": f"{NETS}:not_a_model"}, "returned a int"),
        ({"model": "torchvision:resnet81"}, "did you mean 'resnet18'"),
        ({"model": "timm:vit_tiny_patch16"}, "did you mean 'vit_tiny_patch16_"),
        ({"model_arguments": "width:3"}, "not of the form name=value"),
        ({"model_arguments": "height=3"}, "raised TypeError"),
        ({"model_arguments": "width=7"}, "of another shape: stem.0.weight"),
        ({"loss": f"{NETS}:mean"}, "one value a sample"),
        ({"data": "folder:nowhere"}, "there is no folder 'nowhere'"),
        ({"data": f"{NETS}:broken"}, "raised RuntimeError"),
        ({"data": "digit"}, "did you mean 'digits'"),
        ({"transform": f"{NETS}:grey"}, "--transform is not for"),
        ({"image_size": "8"}, "--image-size is not for"),
        ({"imbalance": "10"}, "--imbalance is not for"),
        ({"data": "digits", "image_size": "8"}, "--image-size is not for digits"),
        ({"data": "digits", "transform": f"{NETS}:grey"}, "--transform is not for digits"),
        ({"model_arguments": "num_classes=ten"}, "num_classes=ten is not a whole number"),
        ({"model_arguments": "num_classes=0"}, "num_classes=0 is not a whole number"),
        ({"classifier": "exit"}, "unknown module 'exit'"),
        ({"checkpoints": "3"}, "no checkpoint of epoch '3'; there are best"),
        ({"protocol": "saddle"}, "known only for runs of tailscape train"),
        ({"logit_scale": "2"}, "--logit-scale is for runs"),
        ({"spectrum__curvature": "ggn"}, "returns a dict"),
    ],
)
def test_input_that_cannot_be_used(options, words, best, tmp_path, capsys):
    analyses = "features" if "classifier" in options else "spectrum"
    assert diagnose(tmp_path, **({"analyses": analyses} | best | options)) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("there", [True, False])
def test_a_diagnosis_that_computes_nothing_leaves_no_folder(there, best, tmp_path):
    options = best | {"analyses": "similarity", "similarity__against": tmp_path / "no.pth"}
    if there:
        (tmp_path / "out").mkdir()
    assert diagnose(tmp_path, **options) == 2
    assert list((tmp_path / "out").glob("*")) == []
    assert (tmp_path / "out").exists() == there
    assert diagnose(tmp_path, **best | {"analyses": "accuracy"}) == 0
    assert diagnose(tmp_path, **options) == 2
    assert result(tmp_path, "accuracy", Accuracy).confusion.sum() == 80


def test_what_is_missing_is_named(best, capsys, runs):
    assert main(["diagnose", "--model", best["model"]]) == 2
    assert "needs --weights, --data, --out too" in capsys.readouterr().err
    assert main(["diagnose", str(runs / "plain"), "--loss", f"{NETS}:mean"]) == 2
    assert "--loss is for a model of your own" in capsys.readouterr().err
    assert main(["diagnose"]) == 2


def test_a_malicious_checkpoint(best, tmp_path, capsys):
    from tests.landscape.subject.test_state_dict import CreatesAFile

    mark = tmp_path / "ran"
    torch.save({"state_dict": own().state_dict(), "x": CreatesAFile(mark)}, best["weights"])
    assert diagnose(tmp_path, **best) == 2
    assert "--trust-pickle" in capsys.readouterr().err
    assert not mark.exists()
    assert not (tmp_path / "out").exists()


EVERY = "spectrum,accuracy,surface,gradients,features,similarity,sharpness"
QUICK = {
    "spectrum__steps": 5,
    "surface__points": 3,
    "similarity__components": 2,
    "sharpness__draws": 1,
    "scopes": "overall",
}


def test_items_and_models_with_names(best, tmp_path):
    options = {n: v for n, v in best.items() if n != "loss"}
    options |= {"model": f"{NETS}:Named", "analyses": EVERY, **QUICK}
    assert diagnose(tmp_path / "plain", **options | {"data": f"{NETS}:mapped"}) == 0
    inputs, labels = digits()[1].tensors
    found = result(tmp_path / "plain", "accuracy", Accuracy)
    right = own()(inputs)["logits"].argmax(dim=1) == labels
    assert found.group[0] == pytest.approx(float(right.float().mean()))
    assert diagnose(tmp_path / "soft", **options | {"data": f"{NETS}:soft"}) == 0
    soft = result(tmp_path / "soft", "accuracy", Accuracy)
    assert np.array_equal(soft.confusion, found.confusion)


@pytest.mark.parametrize("analysis", EVERY.split(","))
def test_weights_and_samples_that_are_no_numbers(analysis, best, tmp_path, capsys):
    options = {n: v for n, v in best.items() if n != "loss"} | QUICK | {"analyses": analysis}
    model = own()
    model.middle.weight.data[1, 1] = torch.nan
    torch.save(model.state_dict(), tmp_path / "nan.pth")
    assert diagnose(tmp_path, **options | {"weights": tmp_path / "nan.pth"}) == 2
    assert "error: parameter middle.weight is nan" in capsys.readouterr().err
    options |= {"model": f"{NETS}:Named", "data": f"{NETS}:damaged"}
    assert diagnose(tmp_path / "damaged", **options) == 2
    assert "of sample 37 is nan" in capsys.readouterr().err


def test_a_compiled_model_and_its_own_checkpoint(best, tmp_path):
    wrapped = torch.compile(own(), backend="eager")
    torch.save(wrapped.state_dict(), tmp_path / "compiled.pth")
    for weights in (best["weights"], tmp_path / "compiled.pth"):
        out = tmp_path / weights.stem
        options = best | {"model": f"{NETS}:compiled", "weights": weights, "analyses": "accuracy"}
        assert diagnose(out, **options) == 0
    plain, compiled = (
        result(tmp_path / stem, "accuracy", Accuracy, stem) for stem in ("best", "compiled")
    )
    assert np.array_equal(plain.confusion, compiled.confusion)


def test_modules_are_found_in_the_working_directory(best, tmp_path, monkeypatch):
    source = (external_nets.__file__, tmp_path / "mine_alone.py")
    shutil.copy(*source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))  # restores sys.path afterwards
    chosen = {n: str(v).replace(NETS, "mine_alone") for n, v in best.items()}
    assert diagnose(tmp_path, **chosen, analyses="accuracy") == 0


def test_a_file_named_as_an_installed_package_hides_none_and_is_named(
    best, tmp_path, monkeypatch, capsys
):
    shutil.copy(external_nets.__file__, tmp_path / "figures.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert diagnose(tmp_path, **(best | {"model": "figures:Own"})) == 2
    assert "comes before 'figures.py' of the working directory; rename" in capsys.readouterr().err
    assert diagnose(tmp_path, **best, analyses="accuracy") == 0
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a_10.pt", "a_9.pt"], ["epoch_0009", "epoch_0010"]),
        (["epoch=3-step=90.ckpt", "last.ckpt"], ["epoch_0003", "last"]),
        (["resnet18_best.pth", "notes.txt"], ["resnet18_best"]),
        (["checkpoint-500.safetensors"], ["epoch_0500"]),
        (["net.0012.pt", "ckpt_ep007.pth.tar"], ["epoch_0007", "net.0012"]),
        (["net_acc_0.823.pth", "net_acc_0.9.pth"], ["net_acc_0.823", "net_acc_0.9"]),
        (["vit_tiny_patch16_224.pth"], ["vit_tiny_patch16_224"]),
        (["vit_patch16_224_5.pth", "vit_patch16_224_10.pth"], ["epoch_0005", "epoch_0010"]),
        (["ckpt.pth.tar", "ckpt.best.pth.tar"], ["ckpt", "ckpt.best"]),
        (["net_1.pt", "optimizer_1.pt", "scheduler.pt", "rng_state.pth"], ["net_1"]),
        (["model.safetensors", "training_args.bin", "pytorch_model.bin"], ["model"]),
        (["model-00001-of-00002.safetensors", "model.safetensors.index.json"], ["model"]),
        (["my model!.pt"], ["my_model_"]),
    ],
)
def test_names_of_checkpoints(files, names, tmp_path):
    for file in files:
        (tmp_path / file).write_bytes(b"")
    assert list(checkpoint_files(tmp_path)) == names


def test_checkpoints_of_one_epoch(tmp_path):
    for word in ("epoch", "ep"):
        (tmp_path / f"{word}=3.ckpt").write_bytes(b"")
    with pytest.raises(InputError, match="all of one epoch"):
        checkpoint_files(tmp_path)
    with pytest.raises(InputError, match="holds no checkpoint"):
        checkpoint_files(Path(__file__).parent)
