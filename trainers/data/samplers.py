"""The order in which an epoch draws the training samples.

- ``instance``: each sample once.
- ``balanced``: class-aware sampling (Shen et al. 2016; the code of Kang et al. 2020): classes take
  turns, in a new order each round, and a class hands out its samples in a random order, a new one
  whenever all were handed out. Rounds and orders go on from epoch to epoch.
- ``balanced-4``: likewise, each turn handing out four samples (released code of Kang et al. 2020).
- ``reversed``: class probability proportional to 1/n_c (Zhou et al. 2020, BBN).
- ``sqrt``: class probability proportional to √n_c (Kang et al. 2020, Eq. 1 with q = 1/2).

The last two draw with replacement, uniformly within a class.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from landscape.errors import InputError, unknown
from landscape.results.plugins import PLUGINS
from trainers.methods.base import SAMPLERS

SamplerName = Literal["instance", "balanced", "balanced-4", "reversed", "sqrt"]
_EXPONENTS = {"reversed": -1.0, "sqrt": 0.5}  # of the samplers that draw
_SHARES = {"instance": 1.0, "balanced": 0.0, "balanced-4": 0.0, **_EXPONENTS}


@dataclass
class Cycles:
    """Keep what ``balanced`` has drawn up and not handed out.

    Args:
        turns: classes (of those that occur) left of the present round.
        samples: of each class, those left of its present order.
    """

    turns: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    samples: dict[int, Tensor] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Return tensors and plain types."""
        return {"turns": self.turns, "samples": dict(self.samples)}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`."""
        self.turns, self.samples = state["turns"], dict(state["samples"])


def epoch_order(
    name: SamplerName,
    labels: Tensor,
    num_classes: int,
    generator: torch.Generator,
    cycles: Cycles | None = None,
) -> Tensor:
    """Draw an epoch of N sample indices, (N,) int64 on the CPU.

    Args:
        name: of the sampler.
        labels: (N,) int64, CPU; classes that do not occur are never drawn.
        num_classes: K.
        generator: on the CPU; the only source of chance.
        cycles: of the epochs before, for ``balanced``; it goes on from them.

    Raises:
        InputError: the name is unknown.
        ValueError: a label is not below ``num_classes``.
    """
    if name not in get_args(SamplerName):
        return _of_a_plugin(name, labels, num_classes, generator)
    counts = torch.bincount(labels, minlength=num_classes)
    if len(counts) > num_classes:
        raise ValueError(f"label {len(counts) - 1} is not below num_classes, {num_classes}")
    if name == "instance":
        return torch.randperm(len(labels), generator=generator)
    by_class, present = labels.argsort(stable=True), counts[counts > 0]
    if name == "balanced":
        return _take_turns(by_class, present, generator, cycles or Cycles())
    if name == "balanced-4":
        return _take_turns(by_class, present, generator, cycles or Cycles(), 4)
    return _draw(by_class, present, _EXPONENTS[name], generator)


def class_shares(name: str, class_counts: Tensor) -> Tensor | None:
    """Return the share of each class (K,) in what a sampler draws; ``None`` for other packages'.

    Args:
        name: of the sampler.
        class_counts: (K,) training samples; a class without any is never drawn.
    """
    if name not in _SHARES:
        return None
    counts = class_counts.double()
    shares = torch.where(counts > 0, counts ** _SHARES[name], 0.0)
    return shares / shares.sum()


def _of_a_plugin(name: str, labels: Tensor, num_classes: int, generator: torch.Generator) -> Tensor:
    """Draw by another package's function of labels, number of classes and generator.

    Raises:
        InputError: there is no such sampler, or it returns no indices.
    """
    added = [plugin.name for plugin in PLUGINS if plugin.group == "samplers"]
    if name not in added:
        raise unknown("sampler", name, [*get_args(SamplerName), *added])
    order: Tensor = SAMPLERS[name].load()(labels, num_classes, generator)
    whole = isinstance(order, Tensor) and order.dtype == torch.int64 and order.dim() == 1
    if not whole or not len(order) or not 0 <= int(order.min()) <= int(order.max()) < len(labels):
        raise InputError(
            f"sampler '{name}' must return indices of the {len(labels)} samples, one int64 tensor; "
            f"mend {SAMPLERS[name].implementation}"
        )
    return order


def _take_turns(
    by_class: Tensor, counts: Tensor, generator: torch.Generator, cycles: Cycles, each: int = 1
) -> Tensor:
    """Cycle through classes of ``counts`` samples, which ``by_class`` lists, ``each`` a turn."""
    total, classes = len(by_class), torch.arange(len(counts))
    turns, cycles.turns = _hand_out(classes, total, cycles.turns, generator, each)
    wanted = torch.bincount(turns, minlength=len(counts)).tolist()
    handed_out = []
    for c, members in enumerate(by_class.split(counts.tolist())):
        left = cycles.samples.get(c, members[:0])
        drawn, cycles.samples[c] = _hand_out(members, wanted[c], left, generator)
        handed_out.append(drawn)
    order = torch.empty_like(by_class)
    order[turns.argsort(stable=True)] = torch.cat(handed_out)
    return order


def _hand_out(
    members: Tensor, count: int, left: Tensor, generator: torch.Generator, each: int = 1
) -> tuple[Tensor, Tensor]:
    """Return ``count`` of the members, after those left of the last order, and those then left."""
    rounds = -(-max(count - len(left), 0) // (len(members) * each))
    orders = members[_permutations(rounds, len(members), generator).flatten()]
    drawn = torch.cat([left, orders.repeat_interleave(each)])
    return drawn[:count], drawn[count:].clone()


def _permutations(rows: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, size, dtype=torch.float64, generator=generator).argsort(dim=1)


def _draw(by_class: Tensor, counts: Tensor, exponent: float, generator: torch.Generator) -> Tensor:
    """Draw classes with probability proportional to counts^exponent, then a sample of each."""
    total = len(by_class)
    weights = counts.double() ** exponent
    classes = torch.multinomial(weights, total, replacement=True, generator=generator)
    within = torch.rand(total, dtype=torch.float64, generator=generator) * counts[classes]
    first = counts.cumsum(0) - counts
    return by_class[first[classes] + within.long()]
