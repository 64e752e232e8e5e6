"""Permute the units of one network so that it lies as near as it can to another.

Weight matching (Ainsworth, Hayase and Srinivasa 2023, Alg. 1) raises the inner product of the two
networks' parameters, one layer's permutation after the other, each the solution of a linear
assignment problem; it begins from the identity and from the permutations found from inputs to
outputs, which recover those of a permuted copy, and keeps the better end. Activation matching (Li
et al. 2016) assigns units by the correlation of their outputs on the same data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from landscape.errors import InputError, Setting
from landscape.subject.batch import Batch
from landscape.subject.calling import outputs_of
from landscape.weight_space.axes import Atom
from landscape.weight_space.symmetry import Symmetry, find_symmetry

Permutations = dict[Atom, Tensor]
State = Mapping[str, Tensor]
_ROUNDING = 1e-6  # of the outputs, in float64
_MOST_SWEEPS = 50
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Aligned:
    """A network whose units are permuted; its outputs are the same."""

    permutations: Permutations
    moved: int  # units that stand elsewhere now
    units: int  # that can be moved


def align(
    model: nn.Module, other: nn.Module, batches: Iterable[Batch], method: str, seed: int = 0
) -> Aligned:
    """Permute the units of ``other`` in place, towards ``model``.

    Args:
        model: in eval mode, BatchNorm as torch computes it.
        other: of the same architecture.
        batches: of samples; the first serves to see the architecture, all for activations.
        method: ``weights`` or ``activations``.
        seed: of the order in which layers are matched.

    Raises:
        InputError: the outputs are not the same afterwards.
    """
    held = list(batches)
    symmetry, _ = find_symmetry(model, held[0])
    ours, theirs = _state(model), _state(other)
    if method == "activations":
        found = match_activations(model, other, held)
    else:
        found = match_weights(symmetry, ours, theirs, seed)
    before = outputs_of(other, held[0])
    with torch.no_grad():
        for name, value in theirs.items():
            value.copy_(symmetry.permuted(name, value.clone(), found))
    _check_same(before, outputs_of(other, held[0]))
    moved = sum(int((p != torch.arange(len(p))).sum()) for p in found.values())
    return Aligned(found, moved, sum(symmetry.sizes.values()))


def match_weights(symmetry: Symmetry, ours: State, theirs: State, seed: int = 0) -> Permutations:
    """Find the permutations of the second network's units by coordinate ascent.

    Args:
        symmetry: of both.
        ours: parameters by name.
        theirs: likewise.
        seed: of the order of layers.
    """
    generator = np.random.default_rng(seed)
    names = [n for n in symmetry.places if not n.endswith(_STATISTICS)]
    a, b = ({n: s[n].detach().double().cpu() for n in names} for s in (ours, theirs))
    ends = [
        _ascended(symmetry, a, b, start, generator)
        for start in (_identity(symmetry), _forward(symmetry, a, b))
    ]
    return max(ends, key=lambda found: _agreement(symmetry, a, b, found))


def match_activations(model: nn.Module, other: nn.Module, batches: Iterable[Batch]) -> Permutations:
    """Find the permutations by the correlation of units' outputs over all samples and places.

    Args:
        model: in eval mode.
        other: likewise.
        batches: of the same samples for both.
    """
    sums: dict[tuple[Atom, int], _Moments] = {}
    symmetry = None
    for batch in batches:
        symmetry, first = find_symmetry(model, batch)
        _, second = find_symmetry(other, batch)
        for k, ((x, axes), (y, _)) in enumerate(zip(first, second, strict=True)):
            for atom in symmetry.sizes:
                for dim, start, repeat in symmetry.occurrences(atom, axes):
                    size = symmetry.sizes[atom]
                    rows = (_rows(v.double().cpu(), dim, start, repeat, size) for v in (x, y))
                    sums.setdefault((atom, k), _Moments()).add(*rows)
    assert symmetry is not None
    found = {}
    for atom, size in symmetry.sizes.items():
        parts = [m.correlation() for (own, _), m in sums.items() if own == atom]
        found[atom] = _assigned(sum(parts, torch.zeros(size, size, dtype=torch.float64)))
    return found


class _Moments:
    """Sums from which the correlations of units follow."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[Tensor] = []

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add observations, (n, m) each: n units, m samples or places."""
        parts = [x @ y.T, x.sum(1), y.sum(1), x.square().sum(1), y.square().sum(1)]
        self.count += x.shape[1]
        self.sums = [s + p for s, p in zip(self.sums, parts, strict=True)] if self.sums else parts

    def correlation(self) -> Tensor:
        """Correlation of every unit of the one with every unit of the other; 0 for dead ones."""
        both, x, y, xx, yy = (s / self.count for s in self.sums)
        spread = ((xx - x**2)[:, None] * (yy - y**2)[None]).clamp(min=0).sqrt()
        covariance = both - x[:, None] * y[None]
        return torch.where(spread > 0, covariance / spread, 0.0)


def _ascended(
    symmetry: Symmetry, a: State, b: State, start: Permutations, generator: np.random.Generator
) -> Permutations:
    """Match layer after layer, in random order, until no permutation changes."""
    found, atoms = dict(start), list(symmetry.sizes)
    for _ in range(_MOST_SWEEPS):
        changed = False
        for k in generator.permutation(len(atoms)):
            own = _assigned(_gains(symmetry, a, b, atoms[k], found))
            changed |= not torch.equal(own, found[atoms[k]])
            found[atoms[k]] = own
        if not changed:
            break
    return found


def _forward(symmetry: Symmetry, a: State, b: State) -> Permutations:
    """Match from inputs to outputs, each layer by weights whose other axes are settled."""
    settled, left, found = set[Atom](), list(symmetry.sizes), _identity(symmetry)
    while left:
        scores = {atom: _gains(symmetry, a, b, atom, found, settled | {atom}) for atom in left}
        known = [atom for atom in left if scores[atom].any()] or left
        atom = known[0]
        found[atom] = _assigned(scores[atom])
        settled.add(atom)
        left.remove(atom)
    return found


def _gains(
    symmetry: Symmetry,
    a: State,
    b: State,
    atom: Atom,
    found: Permutations,
    settled: set[Atom] | None = None,
) -> Tensor:
    """Inner product gained by putting each unit of the second network at each place (n, n)."""
    size = symmetry.sizes[atom]
    total = torch.zeros(size, size, dtype=torch.float64)
    for name, value in a.items():
        axes = symmetry.places[name]
        for dim, start, repeat in symmetry.occurrences(atom, axes):
            if settled is not None and not _movable(symmetry, axes, dim) <= settled:
                continue
            theirs = symmetry.permuted(name, b[name], found, but=dim)
            total += _rows(value, dim, start, repeat, size) @ (
                _rows(theirs, dim, start, repeat, size).T
            )
    return total


def _movable(symmetry: Symmetry, axes: tuple[object, ...], but: int) -> set[Atom]:
    found = set[Atom]()
    for dim, axis in enumerate(axes):
        pieces = getattr(axis, "pieces", ()) if dim != but else ()
        found |= {atom for atom, _ in pieces if atom in symmetry.sizes}
    return found


def _rows(value: Tensor, dim: int, start: int, repeat: int, size: int) -> Tensor:
    """Entries of each unit of an atom (size, m)."""
    part = value.movedim(dim, 0)[start : start + size * repeat]
    return part.reshape(size, -1)


def _assigned(gains: Tensor) -> Tensor:
    _, columns = linear_sum_assignment(gains.numpy(), maximize=True)
    return torch.from_numpy(columns.astype(np.int64))


def _identity(symmetry: Symmetry) -> Permutations:
    return {atom: torch.arange(size) for atom, size in symmetry.sizes.items()}


def _agreement(symmetry: Symmetry, a: State, b: State, found: Permutations) -> float:
    return sum(
        float((value * symmetry.permuted(name, b[name], found)).sum()) for name, value in a.items()
    )


def _state(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _check_same(before: object, after: object) -> None:
    """Check that a permutation left the outputs as they were.

    Raises:
        InputError: it did not.
    """
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return
    scale = float(before.detach().double().abs().max())
    apart = float((before.detach().double() - after.detach().double()).abs().max())
    rounding = _ROUNDING if before.dtype == torch.float64 else 1e3 * _ROUNDING
    if apart > rounding * max(scale, 1e-30):
        raise InputError(
            f"the network's outputs change by {apart:.2g} when its units are permuted, so that its "
            "weights are used in a way that is not seen in one forward pass; leave it out with ",
            *(Setting("path.align"), " none"),
        )
