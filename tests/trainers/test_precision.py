"""Precision of the stages: what runs in bfloat16, what stays in float32, and what a run records."""

import warnings

import pytest
import torch
from torch import nn

from cli.main import main
from landscape.errors import InputError, ReproducibilityWarning
from trainers.config import TrainConfig
from trainers.forward import ForwardPass, channels_last
from trainers.models.catalogue import build_model
from trainers.training import train


class Stop(Exception):
    """Raised in place of a kill."""


def config(out, **given):
    return TrainConfig(epochs=3, device="cpu", eval_every=3, out=out, **given)


def stop(_entry):
    raise Stop


def seen_dtypes(forward, inputs):
    seen = {}

    def note(name):
        def hook(_module, given, output):
            seen[name] = given[0].dtype, output.dtype

        return hook

    for name, module in forward.model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear)):
            module.register_forward_hook(note(name))
    logits = forward.logits(inputs)
    return seen, logits


def test_stages_run_in_bfloat16_and_heads_in_float32():
    model = build_model("resnet8", 4, 1).train()
    inputs = torch.randn(6, 1, 8, 8)
    seen, logits = seen_dtypes(ForwardPass(model, "bfloat16"), inputs)
    assert seen.pop("head") == (torch.float32, torch.float32)
    assert logits.dtype == torch.float32
    assert {output for _, output in seen.values()} == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {b.dtype for b in model.buffers()} == {torch.float32, torch.int64}
    logits.sum().backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_full_precision_is_that_of_the_model_itself(precision):
    model = build_model("resnet8", 4, 1).double().eval()
    inputs = torch.randn(6, 1, 8, 8, dtype=torch.float64)
    forward = ForwardPass(model, precision)
    assert torch.allclose(forward.logits(inputs), model(inputs), rtol=0, atol=1e-12)
    assert torch.equal(forward.last(forward.shared(inputs)), forward.features(inputs))


def trained_statistics(model):
    for _ in range(3):
        model.train()(torch.randn(32, 1, 8, 8) * 2 + 1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-1, 1)
    return model.eval()


def test_an_evaluation_in_bfloat16_folds_batchnorm_and_rounds_no_more():
    torch.manual_seed(0)
    model = trained_statistics(build_model("resnet8", 4, 1))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    inputs = torch.randn(64, 1, 8, 8)
    forward = ForwardPass(model, "bfloat16")
    with torch.no_grad():
        exact, plain = model(inputs), forward.logits(inputs)
        folded = forward.folded(lambda: inputs[:2])
        with torch.profiler.profile() as profile:
            found = folded.logits(inputs)
    assert not any("batch_norm" in event.key for event in profile.key_averages())
    assert not torch.equal(found, plain)
    assert (found - exact).norm() < 1.2 * (plain - exact).norm()
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert torch.equal(forward.logits(inputs), plain)


def test_an_evaluation_in_full_precision_is_the_models_own():
    forward = ForwardPass(build_model("resnet8", 4, 1))
    assert forward.folded(lambda: torch.randn(2, 1, 8, 8)) is forward


def test_a_step_in_tf32_allows_it_and_puts_it_back():
    model = build_model("resnet8", 4, 1)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    for precision, allowed in (("float32", False), ("tf32", True), ("bfloat16", False)):
        with ForwardPass(model, precision).step():
            assert torch.backends.cuda.matmul.allow_tf32 is allowed
            assert torch.backends.cudnn.allow_tf32 is allowed
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)


def test_images_go_channels_last_and_other_inputs_stay():
    images, points = torch.randn(2, 3, 4, 4), torch.randn(2, 3)
    assert channels_last(images).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(channels_last(images), images)
    assert channels_last(points) is points


def test_precision_threads_and_compilation_stand_in_the_run(tmp_path):
    folder = train(config(tmp_path / "run", precision="bfloat16")).folder
    stored = folder.config()
    assert stored["plan"]["precision"] == "bfloat16"
    assert stored["computed"]["threads"] == torch.get_num_threads()
    assert stored["computed"]["compile"] is False
    assert stored["computed"]["machine"]
    assert folder.plan().precision == "bfloat16"


def test_another_precision_is_another_run(tmp_path):
    train(config(tmp_path / "run"))
    with pytest.raises(InputError, match="precision is float32, asked for bfloat16"):
        train(config(tmp_path / "run", precision="bfloat16"))


def test_a_run_of_before_precisions_goes_on_in_float32(tmp_path):
    import json

    folder = train(config(tmp_path / "run")).folder
    stored = json.loads(folder.config_path.read_text(encoding="utf-8"))
    del stored["plan"]["precision"], stored["plan"]["states"], stored["computed"]
    folder.config_path.write_text(json.dumps(stored), encoding="utf-8")
    assert train(config(tmp_path / "run")).resumed_from == 3


def test_other_threads_are_a_warning_with_the_numbers(tmp_path, capsys, monkeypatch):
    with pytest.raises(Stop):
        train(config(tmp_path / "run"), stop)
    threads = torch.get_num_threads()
    # a second thread on one core would wait for the first at every operation
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    with pytest.warns(ReproducibilityWarning, match=f"threads was {threads}, is {threads + 1}"):
        train(config(tmp_path / "run"))
    command = ["train", "--epochs", "3", "--device", "cpu", "--eval-every", "3"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main([*command, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("tailscape: warning: ")
    assert said.count("\n") == 1


def test_the_same_conditions_are_no_warning(tmp_path):
    with pytest.raises(Stop):
        train(config(tmp_path / "run"), stop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(config(tmp_path / "run")).resumed_from == 1
