"""Checkpoints as people have them: what their names and contents say, and what they do not."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cli.sources.checkpoint_files import checkpoint_files, part_files
from cli.sources.chosen import chosen_checkpoints
from landscape.errors import InputError
from landscape.results.checkpoint_names import course
from landscape.subject.state_dict import load_state, part_of_model
from landscape.subject.weights_file import read_weights, stored_counts


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))


def chosen(files, word):
    saved = course(files) or list(files)
    (name,) = chosen_checkpoints(saved, word, files)
    return files[name].name


def test_a_files_own_epoch_goes_before_its_name(tmp_path):
    for name, epoch in (("ckpt.pth.tar", 200), ("a_3.pt", 7), ("ckpt.best.pth.tar", 160)):
        torch.save({"state_dict": net().state_dict(), "epoch": epoch}, tmp_path / name)
    torch.save({"model": net().state_dict(), "global_step": 90}, tmp_path / "b.ckpt")
    files = checkpoint_files(tmp_path)
    assert list(files) == ["epoch_0007", "epoch_0200", "step_000090", "ckpt.best"]
    assert chosen(files, "last") == "ckpt.pth.tar"
    assert chosen(files, "best") == "ckpt.best.pth.tar"


@pytest.mark.parametrize("epoch", [torch.tensor(3), -1, 2.5, None, "3"])
def test_what_is_no_epoch_is_not_taken_for_one(epoch, tmp_path):
    torch.save({"state_dict": net().state_dict(), "epoch": epoch}, tmp_path / "w.pt")
    assert stored_counts(tmp_path / "w.pt") == {}


def test_the_last_of_unnumbered_files_is_not_guessed(tmp_path):
    for name in ("net_acc_0.823.pth", "net_acc_0.91.pth"):
        torch.save(net().state_dict(), tmp_path / name)
    with pytest.raises(InputError, match=r"which of net_acc_0\.823, net_acc_0\.91 is the last"):
        chosen(checkpoint_files(tmp_path), "last")
    torch.save(net().state_dict(), tmp_path / "net_final.pth")
    assert chosen(checkpoint_files(tmp_path), "last") == "net_final.pth"


def test_folders_of_hugging_faces_trainer(tmp_path):
    for step in (500, 1000):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file(net().state_dict(), folder / "model.safetensors")
        torch.save({"state": {}}, folder / "optimizer.pt")
        torch.save({}, folder / "training_args.bin")
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    assert list(checkpoint_files(tmp_path)) == ["step_000500", "step_001000"]
    assert list(checkpoint_files(tmp_path / "checkpoint-500")) == ["step_000500"]


def test_several_steps_of_one_epoch_are_told_apart_by_their_steps(tmp_path):
    """As Lightning saves them with every_n_train_steps."""
    for step in (100, 9000, 20000):
        content = {"state_dict": net().state_dict(), "epoch": 0, "global_step": step}
        torch.save(content, tmp_path / f"epoch=0-step={step}.ckpt")
    files = checkpoint_files(tmp_path)
    assert list(files) == ["step_000100", "step_009000", "step_020000"]
    assert chosen(files, "last") == "epoch=0-step=20000.ckpt"
    assert chosen(files, "9000") == "epoch=0-step=9000.ckpt"
    with pytest.raises(InputError, match="no checkpoint of epoch '7'; there are step_100"):
        chosen(files, "7")


def test_epochs_are_in_the_order_of_their_numbers(tmp_path):
    for epoch in (9, 10000, 9999):
        torch.save(net().state_dict(), tmp_path / f"epoch_{epoch}.pt")
    assert list(checkpoint_files(tmp_path)) == ["epoch_0009", "epoch_9999", "epoch_10000"]


def test_weights_in_several_files(tmp_path):
    state = net().state_dict()
    names = sorted(state)
    for k, part in enumerate((names[:2], names[2:])):
        file = f"model-0000{k + 1}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, tmp_path / file)
    where = {n: f"model-0000{1 + (n in names[2:])}-of-00002.safetensors" for n in names}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    (path,) = checkpoint_files(tmp_path).values()
    found = read_weights(path).state
    assert all(torch.equal(found[name], state[name]) for name in names)
    index.write_text("[]")
    with pytest.raises(InputError, match="is no index of weights"):
        read_weights(path)


def test_names_that_averaging_and_counters_add_are_left_out(tmp_path):
    state = {f"module.{n}": v for n, v in net().state_dict().items()}
    extra = {"n_averaged": torch.tensor(5), "module.0.total_ops": torch.zeros(1)}
    torch.save(state | extra | {"total_params": torch.zeros(1)}, tmp_path / "swa.pth")
    model = net()
    load_state(model, read_weights(tmp_path / "swa.pth").state, tmp_path / "swa.pth")
    assert torch.equal(model[0].weight, state["module.0.weight"])


def test_further_state_dicts_are_named_and_can_be_chosen(tmp_path):
    raw, averaged = net().state_dict(), net().state_dict()
    path = tmp_path / "w.pth"
    torch.save({"model": raw, "model_ema": averaged, "deep": {"er": {"x": raw["0.bias"]}}}, path)
    found = read_weights(path)
    assert (found.key, found.others) == ("model", ("model_ema", "deep.er"))
    chosen = read_weights(path, keys=("model_ema",))
    assert chosen.key == "model_ema"
    assert torch.equal(chosen.state["0.weight"], averaged["0.weight"])
    with pytest.raises(InputError, match="no weights under 'ema'; there are model, model_ema"):
        read_weights(path, keys=("ema",))


def test_parts_of_a_model_are_joined(tmp_path):
    state, path = net().state_dict(), tmp_path / "w.pth"
    back = {n: v for n, v in state.items() if n.startswith("0")}
    head = {n[2:]: v for n, v in state.items() if n.startswith("1")}
    torch.save({"best": {"feat": back, "head": head}}, path)
    with pytest.raises(InputError, match=r"tensors under best\.feat, best\.head: name some"):
        read_weights(path)
    found = read_weights(path, keys=("best.feat", "best.head=1")).state
    assert found.keys() == state.keys()
    assert torch.equal(found["1.weight"], state["1.weight"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html></html>", "is a web page"),
        (b"<html><body>404</body></html>", "is a web page"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_called_by_its_name(content, sentence, suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_weights(path)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_torchscript_program_is_called_one(tmp_path):
    torch.jit.trace(net(), torch.zeros(1, 2)).save(tmp_path / "w.pt")
    with pytest.raises(InputError, match="is a TorchScript program; save torch"):
        read_weights(tmp_path / "w.pt")


def test_a_file_for_each_part(tmp_path):
    """A backbone as DataParallel saves it with an old head, and the head of another file."""
    back, head = net().state_dict(), net()[1].state_dict()
    torch.save({f"net.module.{n}": v for n, v in back.items()}, tmp_path / "back.pt")
    torch.save({f"_orig_mod.{n}": v for n, v in head.items()}, tmp_path / "head.pt")
    ((path, prefix),) = part_files([f"1={tmp_path / 'head.pt'}"], "back").items()
    model, back_file = net(), tmp_path / "back.pt"
    part = part_of_model(read_weights(path).state, prefix)
    load_state(model, read_weights(back_file).state, back_file, part)
    assert torch.equal(model[0].weight, back["0.weight"])
    assert torch.equal(model[1].weight, head["weight"])


def test_parts_in_folders_are_those_of_the_same_name(tmp_path):
    folder = tmp_path / "heads"
    folder.mkdir()
    for epoch in (1, 2):
        torch.save({}, folder / f"epoch_{epoch}.pt")
    assert list(part_files([f"fc={folder}"], "epoch_0002")) == [folder / "epoch_2.pt"]
    with pytest.raises(InputError, match="none is called 'epoch_0003' as the file of --weights"):
        part_files([f"fc={folder}"], "epoch_0003")


def test_tied_weights_stand_once_in_a_file(tmp_path):
    """As safetensors of transformers hold them; those that are apart are still missed."""
    model, saved = (nn.ModuleDict({"in": nn.Linear(3, 3), "out": nn.Linear(3, 3)}) for _ in "ab")
    state = {n: v for n, v in saved.state_dict().items() if n != "out.weight"}
    with pytest.raises(InputError, match=r"missing: out\.weight"):
        load_state(model, state, tmp_path)
    model["out"].weight = model["in"].weight
    load_state(model, state, tmp_path)
    assert torch.equal(model["out"].weight, saved["in"].weight)
    assert model["out"].weight is model["in"].weight


def test_weights_of_half_the_precision_behind_several_wrappers(tmp_path):
    """bfloat16, compiled, of DataParallel, in a safetensors file."""
    own = {n: v.bfloat16() for n, v in net().state_dict().items()}
    path = tmp_path / "model.safetensors"
    save_file({f"module._orig_mod.{n}": v for n, v in own.items()}, path)
    model = net()
    load_state(model, read_weights(path).state, path)
    assert model[0].weight.dtype == torch.float32
    assert torch.equal(model[0].weight, own["0.weight"].float())
