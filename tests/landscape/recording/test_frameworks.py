"""Real libraries: a LightningModule, a fine-tuning by the Trainer, TensorBoard and W&B offline."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import landscape
from cli.inspector.library import Library
from tests.landscape.recording.loops import PLAIN, Noisy, network, train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the libraries
]
OPTIONS = {"every": 3, "budget": None, "scopes": ("overall", "tail")}


def opens(run):
    """Whether the inspector lists the run, and finds nothing wrong with it."""
    library = Library.open(run.parent)
    return library.names() == [run.name] and not library.facts(run.name).problem


def lit(callbacks, root):
    pl = pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")

    class Lit(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _):
            inputs, labels = batch
            return F.cross_entropy(self(inputs), labels)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    pl.seed_everything(0, verbose=False)
    module = Lit()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=root,
        callbacks=callbacks,
    )
    trainer.fit(module, DataLoader(Noisy(), 16, shuffle=True))
    return module


@pytest.mark.parametrize("part", ["", "net"])
def test_lightning(part, tmp_path):
    pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")
    from landscape.recording.lightning import RecorderCallback

    run = tmp_path / "runs/lit"
    callback = RecorderCallback(run, PLAIN, module=part, **OPTIONS)
    recorded, plain = lit([callback], tmp_path), lit([], tmp_path)
    for a, b in zip(recorded.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    course = landscape.open_run(run).result("recording")
    assert course.step.tolist() == [3, 6]
    assert course.edge.tolist() == pytest.approx([1.9, 1.9])
    assert np.isfinite(course.batch_loss).all()
    assert (course.lambda_max > 0).all()
    assert opens(run)
    landscape.Recorder(run, PLAIN).close()  # the callback gave the folder back


class Items(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        tokens = torch.randint(0, 20, (6,), generator=torch.Generator().manual_seed(index))
        return {"input_ids": tokens, "labels": int(tokens.sum() % 3)}


def finetuned(root, callbacks):
    transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
    pytest.importorskip("accelerate", reason="needs the extra transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    model = transformers.BertForSequenceClassification(config)
    arguments = transformers.TrainingArguments(
        str(root),
        max_steps=6,
        per_device_train_batch_size=8,
        logging_steps=2,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        optim="sgd",
        learning_rate=0.05,
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=Items(), callbacks=callbacks)
    trainer.train()
    return model


def test_the_trainer_of_hugging_face(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra transformers")
    from landscape.recording.hugging_face import RecorderCallback

    run = tmp_path / "runs/bert"
    recorded = finetuned(tmp_path / "a", [RecorderCallback(run, Items(), **OPTIONS)])
    plain = finetuned(tmp_path / "b", [])
    for a, b in zip(recorded.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    course = landscape.open_run(run).result("recording")
    assert course.step.tolist() == [3, 6]
    assert np.isfinite(course.learning_rate).all()
    assert np.isfinite(course.batch_loss).any()
    assert (course.lambda_max > 0).all()
    assert opens(run)


def test_tensorboard_and_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    wandb = pytest.importorskip("wandb", reason="needs wandb")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    monkeypatch.setenv("WANDB_SILENT", "true")
    log = wandb.init(mode="offline", dir=str(tmp_path), project="t")
    board = SummaryWriter(str(tmp_path / "board"))
    options = OPTIONS | {"writers": (board, log), "analyses": ("spectrum",)}
    with landscape.Recorder(tmp_path / "r", PLAIN, **options) as recorder:
        train(recorder, epochs=1)
    board.close()
    log.finish()
    (written,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert b"stability/overall" in written.read_bytes()
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    (event,) = events.Scalars("lambda_max/tail")
    course = landscape.open_run(tmp_path / "r").result("recording")
    assert event.step == 3
    assert event.value == pytest.approx(course.lambda_max[0, 1], rel=1e-6)


def test_a_part_that_is_not_there():
    pytest.importorskip("lightning.pytorch", reason="needs the extra lightning")
    from landscape.recording.lightning import _part

    with pytest.raises(landscape.InputError, match="no part 'backbone'; it has 0"):
        _part(nn.Sequential(nn.Linear(2, 2)), "backbone")
