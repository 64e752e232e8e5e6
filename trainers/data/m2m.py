"""Major-to-minor translation (Kim et al. 2020, M2m): images of frequent classes made rare ones.

From its start on, batches are class-balanced. An image of class k keeps its place with probability
n_k / n_max; otherwise a seed of class j is drawn from the batch in proportion to
a_j = 1 - β^(n_j - n_k)+, moved by noise of length 0.5 and then ten times against the gradient of
CE(g(x), k) + λ f_j(x) by steps of length 0.1, in [0, 1]. It takes the place if g's p_k ≥ γ, with
probability a_j. f is the network in training and g a plain network.

The released code trains g for as many epochs beforehand. Here g is trained beside f, by the
cross-entropy and on the same batches, from weights of its own and on a schedule of its own that is
over when the translation starts.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.config import Plan
from trainers.data.catalogue import LongTailedData
from trainers.forward import ForwardPass
from trainers.models.catalogue import build_model
from trainers.recipes import learning_rate

_NOISE, _STEP, _STEPS = 0.5, 0.1, 10


@dataclass(frozen=True)
class Pixels:
    """Turn normalised images into pixels in [0, 1] and back.

    Args:
        mean: (C, 1, 1).
        std: (C, 1, 1).
    """

    mean: Tensor
    std: Tensor

    def of(self, inputs: Tensor) -> Tensor:
        """Return pixels of normalised images (B, C, H, W)."""
        return inputs * self.std + self.mean

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return normalised images of pixels (B, C, H, W)."""
        return (pixels - self.mean) / self.std


class MajorToMinor:
    """Put translated images of frequent classes in the place of rare ones.

    Args:
        start: share of the epochs after which images are translated.
        beta: β, of the acceptance.
        attraction: λ, of the seed's class in f.
        threshold: γ, least probability that g gives the rare class.
    """

    def __init__(
        self,
        start: float = 0.8,
        beta: float = 0.999,
        attraction: float = 0.5,
        threshold: float = 0.9,
    ) -> None:
        self._start, self._beta, self._attraction = start, beta, attraction
        self._threshold = threshold

    def begin(self, plan: Plan, data: LongTailedData, counts: Tensor) -> None:
        """Draw the weights of g from torch's global generator.

        Args:
            plan: of the run: network, precision and recipe of g and f.
            data: of the run.
            counts: (K,) training samples, on the device.
        """
        guide = build_model(plan.model, len(counts), data.channels)
        guide = guide.to(counts.device).to(memory_format=torch.channels_last)
        self._guide, self._counts = ForwardPass(guide, plan.precision), counts.double()
        scaling = (torch.tensor(values, device=counts.device) for values in data.train.scaling)
        self._pixels = Pixels(*(values.view(-1, 1, 1) for values in scaling))
        recipe = plan.recipe
        self._first = round(self._start * recipe.epochs)
        self._recipe = recipe.scaled(max(self._first, 1))
        self._optimizer = torch.optim.SGD(
            guide.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    def active(self, epoch: int) -> bool:
        """Return whether images are translated in an epoch, counted from 0."""
        return epoch >= self._first

    def __call__(
        self,
        network: ForwardPass,
        inputs: Tensor,
        labels: Tensor,
        epoch: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Train g, or translate images; return the images (B, C, H, W) that f is trained on.

        Args:
            network: forward pass of f.
            inputs: (B, C, H, W) normalised.
            labels: (B,).
            epoch: counted from 0.
            generator: on the labels' device.
        """
        if self.active(epoch):
            return self._translated(network, inputs, labels, generator)
        self._train_guide(inputs, labels, epoch)
        return inputs

    def _train_guide(self, inputs: Tensor, labels: Tensor, epoch: int) -> None:
        model = self._guide.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._recipe, epoch)
        self._optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model.head(self._guide.features(inputs)), labels).backward()
        self._optimizer.step()

    def _translated(
        self, network: ForwardPass, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        places, seeds, odds = self.draw_seeds(labels, generator)
        if not len(places):
            return inputs
        states = [(model, model.training) for model in (network.model, self._guide.model)]
        for model, _ in states:
            model.eval()
        noise = torch.empty_like(inputs[seeds]).normal_(generator=generator)
        pixels = self._pixels.of(inputs[seeds]) + _NOISE * _unit(noise)
        made = self.translate(network, pixels.clamp(0, 1), labels[seeds], labels[places])
        with torch.no_grad():
            sure = self._logits(self._guide, made).softmax(dim=1)
        for model, training in states:
            model.train(training)
        sure = sure.gather(1, labels[places][:, None]).squeeze(1)
        chance = torch.rand(len(places), generator=generator, device=labels.device)
        taken = (sure >= self._threshold) & (chance < odds)
        translated = inputs.clone()
        translated[places[taken]] = self._pixels.normalised(made[taken]).to(inputs.dtype)
        return translated

    def draw_seeds(
        self, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the places to fill (M,), the seed of each (M,) and its acceptance (M,).

        Args:
            labels: (B,) of a class-balanced batch.
            generator: on their device.
        """
        counts = self._counts.to(labels.device)[labels]
        kept = torch.rand(len(labels), generator=generator, device=labels.device)
        places = (kept >= counts / self._counts.max()).nonzero().flatten()
        excess = (counts[None, :] - counts[places][:, None]).clamp(min=0)
        acceptance = 1 - self._beta**excess
        fillable = acceptance.sum(dim=1) > 0
        places, acceptance = places[fillable], acceptance[fillable]
        if not len(places):
            return places, places, acceptance.sum(dim=1)
        seeds = torch.multinomial(acceptance, 1, generator=generator)
        return places, seeds.flatten(), acceptance.gather(1, seeds).flatten()

    def translate(
        self, network: ForwardPass, pixels: Tensor, sources: Tensor, targets: Tensor
    ) -> Tensor:
        """Move images (M, C, H, W) in [0, 1] towards the class that g is to see.

        Args:
            network: forward pass of f, in eval mode like g.
            pixels: the seeds.
            sources: (M,) their classes.
            targets: (M,) classes that g is to see.
        """
        for _ in range(_STEPS):
            pixels = pixels.detach().requires_grad_()
            seen = F.cross_entropy(self._logits(self._guide, pixels), targets)
            left = self._logits(network, pixels).gather(1, sources[:, None]).mean()
            (slope,) = torch.autograd.grad(seen + self._attraction * left, pixels)
            pixels = (pixels - _STEP * _unit(slope)).clamp(0, 1)
        return pixels.detach()

    def _logits(self, network: ForwardPass, pixels: Tensor) -> Tensor:
        logits: Tensor = network.model.head(network.features(self._pixels.normalised(pixels)))
        return logits

    def state(self) -> dict[str, Any]:
        """Return g and its optimiser."""
        return {
            "guide": self._guide.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self._guide.model.load_state_dict(state["guide"])
        self._optimizer.load_state_dict(state["optimizer"])


def _unit(directions: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(directions.flatten(1), dim=1)
    return directions / (norms.view(-1, *[1] * (directions.dim() - 1)) + 1e-12)
