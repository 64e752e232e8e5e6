"""A small training loop of anybody's: dropout, BatchNorm, augmentation, momentum."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.oracles import toy_data

DATA = toy_data((6,), (30, 12, 6))
PLAIN = TensorDataset(DATA.inputs.float(), DATA.labels)


class Noisy(Dataset):
    """Training items, augmented from the global generators of three libraries."""

    def __len__(self):
        return len(PLAIN)

    def __getitem__(self, index):
        inputs, label = PLAIN[index]
        shift = random.random() + float(np.random.rand()) + float(torch.rand(()))
        return inputs + 0.01 * shift, label


def network():
    return nn.Sequential(
        nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 3)
    )


def train(recorder=None, *, epochs=3, data=None, after=None):
    """Train; a recorder is told of every step. Returns the network."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        model.train()
        for inputs, labels in DataLoader(data or Noisy(), 16, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            if recorder is not None:
                recorder.step(model, loss=loss, optimizer=optimizer)
            if after is not None:
                after()
    return model
