"""Trained networks whose curvature is measured: on images, and on the text of the documentation."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from landscape.subject.data import TensorData
from landscape.subject.subject import Subject
from trainers.data.catalogue import open_data
from trainers.models.catalogue import build_model

BATCH = 128
_CLASSES, _PER_CLASS = 10, 256
_TEXT = Path(__file__).parents[2] / "docs"
_LENGTH, _BYTES = 64, 256


def trained_subject(name: str, epochs: int, device: torch.device) -> Subject:
    """Train briefly with Adam, so that the spectrum is that of a fitted network.

    Args:
        name: ``vit-tiny`` (5.4 million parameters), ``gpt`` (10.8 million), or a network of ours.
        epochs: of training.
        device: of network and data.
    """
    inputs, targets, labels = (_texts if name == "gpt" else _images)()
    inputs, targets = inputs.to(device), targets.to(device)
    torch.manual_seed(0)
    build = _OTHERS.get(name, partial(build_model, name, _CLASSES))
    network = build().to(device).train()
    rate = 2e-3 if name not in _OTHERS else 3e-4
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(epochs):
        for part in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs[part]), targets[part]).backward()
            optimizer.step()
    if name != "gpt":
        return Subject(network.eval(), TensorData(inputs, labels))
    return Subject(network.eval(), TensorData(inputs, labels, targets), _of_tokens)


def _images() -> tuple[Tensor, Tensor, Tensor]:
    """CIFAR-10's images where TAILSCAPE_CIFAR10_IMAGES names them, otherwise digits enlarged."""
    images = os.environ.get("TAILSCAPE_CIFAR10_IMAGES")
    source, imbalance = (f"folder:{images}", 100) if images else ("digits", 20)
    data = open_data(source, torch.device("cpu"), imbalance=imbalance)
    kept = [(data.train.labels == c).nonzero()[:_PER_CLASS, 0] for c in range(_CLASSES)]
    inputs, labels = next(iter(data.train.batches(torch.cat(kept), _PER_CLASS * _CLASSES)))
    wide = F.interpolate(inputs.expand(-1, 3, -1, -1), size=32, mode="bilinear")
    return wide, labels, labels.cpu()


def _texts() -> tuple[Tensor, Tensor, Tensor]:
    """Bytes of the longest pages, the next of each, and the page as a class."""
    pages = sorted((p.read_bytes() for p in _TEXT.rglob("*.md")), key=len)[-_CLASSES:]
    inputs, targets, labels = [], [], []
    for label, page in enumerate(pages):
        text = torch.frombuffer(bytearray(page), dtype=torch.uint8).long()
        count = min((len(text) - 1) // _LENGTH, _PER_CLASS)
        inputs.append(text[: count * _LENGTH].view(count, _LENGTH))
        targets.append(text[1 : count * _LENGTH + 1].view(count, _LENGTH))
        labels.append(torch.full((count,), label))
    return torch.cat(inputs), torch.cat(targets), torch.cat(labels)


def _of_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy (B,) of the tokens of each sequence."""
    return F.cross_entropy(outputs, targets, reduction="none").mean(dim=1)


class Gpt(nn.Module):
    """A causal transformer on bytes: six layers, 384 wide, outputs (B, 256, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(_BYTES, 384), nn.Embedding(_LENGTH, 384)
        layer = nn.TransformerEncoderLayer(
            384, 6, 4 * 384, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(384, _BYTES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the next byte at every place."""
        count = tokens.shape[1]
        mask = torch.ones(count, count, dtype=torch.bool, device=tokens.device).triu(1)
        hidden = self.tokens(tokens) + self.places(torch.arange(count, device=tokens.device))
        logits: Tensor = self.head(self.layers(hidden, mask=mask))
        return logits.transpose(1, 2)


_OTHERS: dict[str, Callable[[], nn.Module]] = {
    "gpt": Gpt,
    "vit-tiny": partial(
        VisionTransformer,
        image_size=32,
        patch_size=4,
        num_layers=12,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
        num_classes=_CLASSES,
    ),
}
