"""CLIP fine-tuned: its encoder and classifier against transformers, what is trained, diagnoses."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from cli.main import main
from landscape.analyses.spectrum import spectrum
from landscape.config import SpectrumConfig
from landscape.errors import InputError
from landscape.results.accuracy import Accuracy
from landscape.results.load import load
from landscape.results.spectrum import Spectrum
from tests.oracles import dense_hessian
from tests.tiny_clip import SIDE, save_tiny_clip
from tests.trainers.data.test_data import write_image
from trainers.config import TrainConfig
from trainers.models.adapter import bottleneck_of
from trainers.models.clip import CLIP
from trainers.models.clip_files import clip_folder, vision_shape
from trainers.models.clip_weights import class_weights, load_clip
from trainers.reopen import load_model, open_run_data, open_subject, rule_direction
from trainers.resolve import resolve
from trainers.runs.checkpoint import load_checkpoint
from trainers.training import train

transformers = pytest.importorskip("transformers")
NAMES = ("cat", "grey dog", "owl")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    return folder, save_tiny_clip(folder)


def network(source, bottleneck=0):
    model = CLIP(vision_shape(source[0]), len(NAMES), 25.0, bottleneck)
    load_clip(model, source[0], NAMES, "a photo of a {}.")
    return model.eval()


@pytest.mark.parametrize("bottleneck", [0, 2])
def test_features_are_those_of_transformers(source, bottleneck):
    """The written-out attention, and adapters that are zero at first, in float64."""
    images = torch.randn(3, 3, SIDE, SIDE, dtype=torch.float64)
    reference = source[1].vision_model.double()
    reference.set_attn_implementation("eager")
    model = network(source, bottleneck).double()
    features = model.features(images)
    assert torch.allclose(features, reference(images).pooler_output, rtol=0, atol=1e-6)
    assert features.dtype == torch.float64
    reference.float()


def test_classifier_is_that_of_the_texts(source):
    """With an orthogonal projection the cosines are CLIP's own between images and texts."""
    images = torch.randn(3, 3, SIDE, SIDE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source[0])
    texts = [f"a photo of a {name}." for name in NAMES]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        outputs = source[1](pixel_values=images, **tokens)
        cosines = outputs.logits_per_image / source[1].logit_scale.exp()
        assert torch.allclose(network(source)(images), 25 * cosines, atol=1e-4)
        assert (cosines.max() - cosines.min()) > 1e-3
        apart = torch.cat([class_weights(source[1], tokenizer, [text]) for text in texts])
        together = class_weights(source[1], tokenizer, texts)
    assert torch.allclose(apart, together, atol=1e-5)  # padding changes no text's features


def test_other_sizes_and_grey_images(source):
    model, generator = network(source), torch.Generator().manual_seed(0)
    small = torch.rand(2, 1, 8, 8, generator=generator)
    enlarged = torch.nn.functional.interpolate(
        small.repeat(1, 3, 1, 1), (SIDE, SIDE), mode="bicubic", antialias=True
    )
    assert torch.equal(model(small), model(enlarged))


def test_bottlenecks_of_the_released_lift_code():
    assert [bottleneck_of(k, 12) for k in (10, 100, 365, 1000, 8142)] == [1, 4, 8, 32, 256]


def config(source, out, **given):
    usual = {"method": "la", "epochs": 2, "batch_size": 32, "device": "cpu", "imbalance": 20}
    return TrainConfig(**usual | given, model=f"clip:{source[0]}", out=out)


def moved(run, epoch):
    """Names of the weights that differ from those at the start."""
    first, last = (
        load_checkpoint(run / "checkpoints" / f"epoch_{e:04d}.pt")["model"] for e in (0, epoch)
    )
    return {name for name, value in first.items() if not torch.equal(value, last[name])}


def test_what_is_trained(source, tmp_path):
    """Adapters and classifier; or all of the encoder and the classifier."""
    train(config(source, tmp_path / "lift", epochs=1))
    found = moved(tmp_path / "lift", 1)
    assert "head.weight" in found
    assert {name.partition(".")[0] for name in found} == {"adapters", "head"}
    train(config(source, tmp_path / "full", epochs=1, tuning="full"))
    found = moved(tmp_path / "full", 1)
    encoder = dict(source[1].vision_model.named_parameters())
    biases = {f"encoder.{name}" for name in encoder if name.endswith("k_proj.bias")}
    # a softmax does not see what all keys have in common
    assert found | biases == {f"encoder.{name}" for name in encoder} | {"head.weight"} | biases


METHODS = (
    "la+sam",
    "la+imbsam",
    "la+cc-sam",
    "la+focal-sam",
    "ldam-drw+asam",
    "ce-mixup+plot",
    "la+gsa",
    "crt",
    "ce-lws",
    "bcl+gkp+gsa",
    "ce+swa",
    "ce+lpf-sgd",
)


@pytest.mark.parametrize("tuning", ["adapter", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_methods_train_it(source, tmp_path, method, tuning):
    settings = ("refresh=0.5", "group_count=2") if "gkp" in method else ()
    given = config(source, tmp_path / "run", method=method, tuning=tuning, settings=settings)
    folder = train(given).folder
    entries = folder.metrics()
    assert all(0 < entry["train_loss"] < 100 for entry in entries)
    if tuning == "adapter":
        changed = moved(tmp_path / "run", entries[-1]["epoch"])
        assert not {name for name in changed if name.startswith("encoder.")}


def test_a_stopped_run_goes_on_bit_for_bit(source, tmp_path):
    def stop(entry):
        if entry["epoch"] == 1:
            raise KeyboardInterrupt

    train(config(source, tmp_path / "whole", method="la+sam"))
    stopped = config(source, tmp_path / "stopped", method="la+sam")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, stop)
    assert train(stopped).resumed_from == 1
    ends = [
        load_checkpoint(tmp_path / name / "checkpoints" / "last.pt")["model"]
        for name in ("whole", "stopped")
    ]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_diagnoses_need_the_checkpoint_alone(source, tmp_path):
    """The folder that it was fine-tuned from is gone."""
    copied, run = tmp_path / "copied", tmp_path / "run"
    shutil.copytree(source[0], copied)
    command = f"train --method la --model clip:{copied} --epochs 1 --imbalance 20 --device cpu"
    assert main(f"{command} --out {run}".split()) == 0
    shutil.rmtree(copied)
    command = f"diagnose {run} --analyses spectrum,accuracy,features,gradients --device cpu"
    options = "--scopes overall --samples-per-class 4 --spectrum.steps 12 --spectrum.probes 1"
    assert main(f"{command} {options} --spectrum.trace-probes 2".split()) == 0
    found = load(run / "results" / "spectrum" / "epoch_0001.h5", Spectrum)
    assert torch.isfinite(torch.tensor(found.lambda_max)).all()
    overall = load(run / "results" / "accuracy" / "epoch_0001.h5", Accuracy).group[0]
    stated = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["test_accuracy"]
    assert float(overall) == pytest.approx(stated)


def test_spectrum_is_that_of_the_trained_parameters(source, tmp_path):
    outcome = train(config(source, tmp_path / "run", epochs=1))
    device = torch.device("cpu")
    data = open_run_data(outcome.folder, device)
    few = replace(data, train=data.train.subset(torch.arange(0, len(data.train.labels), 20)))
    subject = open_subject(outcome.folder, "epoch_0001", few, device)
    settings = SpectrumConfig(steps=80, probes=1, trace_probes=2)
    found = spectrum(subject, settings, scopes=["overall"], dtype="float64")
    (inputs, labels), *_ = few.train.batches(torch.arange(len(few.train.labels)), 1000)
    model = subject.model.double()
    exact = dense_hessian(
        model, lambda out: torch.nn.functional.cross_entropy(out, labels), inputs.double()
    )
    adapters = sum(p.numel() for p in model.adapters.parameters())
    assert len(exact) == adapters + model.head.weight.numel()
    values = torch.linalg.eigvalsh(exact)
    assert float(found.lambda_max[0]) == pytest.approx(float(values[-1]), rel=1e-3)
    assert float(found.lambda_min[0]) == pytest.approx(
        float(values[0]), abs=1e-3 * float(values[-1])
    )


def test_the_direction_of_a_rule_is_over_what_is_trained(source, tmp_path):
    outcome = train(config(source, tmp_path / "run", method="la+sam", epochs=1))
    device = torch.device("cpu")
    data = open_run_data(outcome.folder, device)
    judged = load_model(outcome.folder, "epoch_0001", data)
    inputs, labels = next(iter(data.train.batches(torch.arange(8), 8)))
    found = rule_direction(outcome.folder, "epoch_0001", data)(inputs, labels)
    assert [d.shape for d in found] == [p.shape for p in judged.parameters() if p.requires_grad]


def test_settings_of_focal_sam(source):
    def rule(classes, method="la+focal-sam", data="cifar10", **given):
        chosen = TrainConfig(method=method, data=data, model=f"clip:{source[0]}", **given)
        return resolve(chosen, classes).settings["rule"]

    usual = {"rho": 0.05, "schedule": "constant"}
    for classes, expected in (
        (10, {"gamma": 1.5, "strength": 0.7}),
        (100, {"gamma": 5.5, "strength": 0.8}),
        (1000, {"gamma": 0.5, "strength": 0.8}),
        (8142, {"rho": 0.02, "gamma": 0.2, "strength": 1.0}),
    ):
        assert rule(classes).items() >= (usual | expected).items()
    assert rule(1000, "ce-drw+sam").items() >= usual.items()
    assert rule(10, "la+sam", rho=0.3)["rho"] == 0.3


def test_recipes(source):
    def found(**given):
        return resolve(TrainConfig(data="cifar10", model=f"clip:{source[0]}", **given), 10)

    lift, full = found(), found(tuning="full")
    values = [(p.recipe.epochs, p.recipe.batch_size, p.recipe.lr) for p in (lift, full)]
    assert values == [(20, 128, 0.01), (20, 128, 0.001)]
    assert {p.recipe.weight_decay for p in (lift, full)} == {5e-4}
    assert (lift.normalisation, lift.tuning, lift.prompt) == ("clip", "adapter", "a photo of a {}.")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"model": "clip:nowhere"}, "there is no folder or file 'nowhere'"),
        ({"model": "clip:tests"}, r"no config\.json; give a folder that save_pretrained"),
        ({"model": "resnet32", "tuning": "full"}, "--tuning is for a CLIP model"),
        ({"model": "resnet32", "prompt": "{}"}, "--prompt is for a CLIP model"),
        ({"prompt": "a photo"}, r"has no \{\}, which the name"),
        ({"pretrained": "x.pth"}, "clip: names its own weights"),
        ({"method": "ce-m2m"}, "m2m builds a second network"),
        ({"method": "bbn"}, "bilateral builds a second network"),
    ],
)
def test_bad_input(source, given, sentence):
    chosen = {"model": f"clip:{source[0]}", "data": "cifar10"} | given
    with pytest.raises(InputError, match=sentence):
        resolve(TrainConfig(**chosen), 10)


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def fetch(name, *, local_files_only, **_):
        asked.append((name, local_files_only))
        raise huggingface_hub.errors.LocalEntryNotFoundError("no")

    model = "clip:openai/clip-vit-base-patch16"
    with monkeypatch.context() as offline:
        offline.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(InputError, match=r"nor in the cache of .*, add --download to fetch"):
            clip_folder(model)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    for download, sentence in ((False, "add --download"), (True, "and cannot be fetched; give a")):
        with pytest.raises(InputError, match=sentence):
            clip_folder(model, download=download)
    assert [local for _, local in asked] == [True, False]


def test_damaged_folders(source, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(source[0], folder)
    (folder / "model.safetensors").write_bytes(b"none")
    with pytest.raises(InputError, match="does not hold weights and tokeniser"):
        train(config((folder,), tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    (folder / "config.json").write_text('{"model_type": "siglip", "vision_config": {}}')
    with pytest.raises(InputError, match="is of a 'siglip' model"):
        vision_shape(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="no configuration of a CLIP model"):
        vision_shape(folder)


def test_the_weights_file_names_its_folder(source):
    assert clip_folder(f"clip:{source[0]}/model.safetensors") == source[0]


def test_classes_without_names_are_refused(source, tmp_path):
    for split in ("train", "test"):
        write_image(tmp_path / f"{split}.png", 90, side=20)
        (tmp_path / f"{split}.txt").write_text(f"{split}.png 0\n")
    given = {"data": f"filelist:{tmp_path}", "imbalance": 1, "image_size": SIDE, "workers": 0}
    chosen = config(source, tmp_path / "run", **given, epochs=1)
    with pytest.raises(InputError, match=r"put class_names\.txt beside the lists"):
        train(chosen)
    (tmp_path / "class_names.txt").write_text("grey_square\n")
    train(chosen)
