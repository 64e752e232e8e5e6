"""External models, data and losses, as the command line names them."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import v2


class Own(nn.Module):
    """Dropout, frozen layers, and a dictionary for output."""

    def __init__(self, num_classes, width=4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Tanh())
        self.drop = nn.Dropout(0.5)
        self.middle = nn.Linear(width, 6)
        self.out = nn.Linear(6, num_classes)
        for parameter in self.stem.parameters():
            parameter.requires_grad_(False)

    def forward(self, x):
        hidden = torch.tanh(self.middle(self.drop(self.stem(x).mean((2, 3)))))
        return {"logits": self.out(hidden), "hidden": hidden}


def broken():
    raise RuntimeError("no such thing")


def not_a_model():
    return 3


def digits(count=120):
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(found.target)
    keep = labels < 4
    images, labels = images[keep], labels[keep]
    return TensorDataset(images[:count], labels[:count]), TensorDataset(
        images[count : count + 80], labels[count : count + 80]
    )


def arrays():
    """Inputs and labels as NumPy arrays."""
    return tuple(part.numpy() for part in digits()[0].tensors)


def indexed():
    """Items of an image, its label and its number."""
    images, labels = digits()[0].tensors
    return TensorDataset(images, labels, torch.arange(len(labels)))


def named():
    """A mapping of loaders."""
    train, test = digits()
    return {"train": DataLoader(train, 16, shuffle=True), "val": DataLoader(test, 16)}


def colour():
    """Noise of 32 x 32 in three channels, four classes, ten samples each."""
    images = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return TensorDataset(images, torch.arange(40) % 4)


def noisy():
    """Adds noise at every reading."""

    class Noisy(TensorDataset):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image + torch.randn_like(image), label

    return Noisy(*digits()[0].tensors)


class Named(Own):
    """Called by keyword, as the models of transformers are."""

    def forward(self, pixel_values, labels=None):
        assert labels is None
        return super().forward(pixel_values)


class Mapped(Dataset):
    """Items of names; the targets of ``soft`` are shares of the classes, the labels are listed."""

    def __init__(self, images, labels, *, soft=False, damaged=None):
        self.images, self.targets, self.soft, self.damaged = images, labels, soft, damaged

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        image, label = self.images[i], self.targets[i]
        if i == self.damaged:
            image = image * torch.nan
        return {
            "pixel_values": image,
            "idx": i,
            "labels": F.one_hot(label, 4).float() if self.soft else int(label),
        }


def mapped():
    return tuple(Mapped(*part.tensors) for part in digits())


def soft():
    return tuple(Mapped(*part.tensors, soft=True) for part in digits())


def damaged():
    return tuple(Mapped(*part.tensors, damaged=37) for part in digits())


def compiled(num_classes):
    return torch.compile(Own(num_classes), backend="eager")


def smoothed(outputs, targets):
    return F.cross_entropy(outputs["logits"], targets, reduction="none", label_smoothing=0.1)


def of_batch(model, batch):
    inputs, targets = batch
    return F.cross_entropy(model(inputs)["logits"], targets, reduction="none")


def mean(outputs, targets):
    return F.cross_entropy(outputs["logits"], targets)


grey = v2.Compose([v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
