r"""Measure the similarity of representations: CCA, SVCCA, PWCCA and debiased CKA.

X (n, d) and Y (n, d') hold representations row by row. CCA's correlations are the singular values
of U_xᵀU_y, from thin singular value decompositions of the centred matrices in float64, with
directions below a relative tolerance dropped and correlations clipped to [0, 1] (Hotelling 1936;
Björck & Golub 1973). SVCCA first keeps the directions that explain 99 % of the *variance*, that is
of the squared singular values (Raghu et al. 2017): the first columns of the same U. PWCCA weighs
the correlations by how much of X its canonical variates carry (Morcos et al. 2018); it is not
symmetric, and X is the side. CKA is the linear one, debiased (Kornblith et al. 2019; Nguyen et al.
2021): with centred rows of squared lengths a and b, Song et al.'s estimate (2012, Eq. 5) is

    HSIC = (‖XᵀY‖² - n/(n-2) aᵀb + Σa Σb / ((n-1)(n-2))) / (n(n-3))

Independent noise scores about √(d/n) in CCA, so every score comes with that of shuffled rows. What
only depends on one side is computed once a side, whatever it is compared with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from landscape.errors import InputError, Setting

ROWS_A_DIMENSION = 5  # at least, for canonical correlations
_TOLERANCE = 1e-10
_ENTRIES = 2**22  # of what is held of a slice of pairs, float64: 32 MiB


@dataclass(frozen=True)
class Sides:
    """What comparisons need of C representations of n rows each."""

    rows: Tensor  # (C, n, d) float64, centred
    squares: Tensor  # (C, n) their squared lengths
    basis: Tensor  # (C, n, r) left singular vectors, zero beyond the rank; r = 0 where not needed
    rank: Tensor  # (C,)
    main: Tensor  # (C,) directions that hold 99 % of the variance
    alignment: Tensor  # (C,) HSIC with itself; 0 where not needed

    @staticmethod
    def of(rows: Tensor, measures: Sequence[str], variance: float = 0.99) -> "Sides":
        """Decompose representations.

        Args:
            rows: (C, n, d).
            measures: that they are compared by.
            variance: share of the squared singular values that SVCCA keeps.

        Raises:
            InputError: all rows of one are the same.
        """
        rows = rows.double()
        rows = rows - rows.mean(dim=1, keepdim=True)
        squares, zeros = rows.square().sum(dim=2), torch.zeros(len(rows), dtype=torch.int64)
        own = _hsic(rows, rows, squares, squares) if "cka" in measures else zeros
        if set(measures) <= {"cka"}:
            return Sides(rows, squares, rows[:, :, :0], zeros, zeros, own)
        basis, s, _ = torch.linalg.svd(rows, full_matrices=False)
        kept = s > _TOLERANCE * s[:, :1]
        if not kept.any(dim=1).all():
            raise InputError("all rows of a representation are the same; it has no directions")
        rank, shares = kept.sum(dim=1), s.square().cumsum(dim=1) / s.square().sum(dim=1)[:, None]
        main = ((shares < variance).sum(dim=1) + 1).minimum(rank)
        return Sides(rows, squares, basis * kept[:, None], rank, main, own)

    def __getitem__(self, chosen: slice) -> "Sides":
        return Sides(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def reordered(self, orders: Tensor) -> "Sides":
        """Take the rows of each in another order, (C, n)."""
        columns = orders[:, :, None]
        return replace(
            self,
            rows=self.rows.take_along_dim(columns, dim=1),
            squares=self.squares.take_along_dim(orders, dim=1),
            basis=self.basis.take_along_dim(columns, dim=1),
        )


def compare(measures: Sequence[str], x: Sides, y: Sides, orders: Tensor) -> Tensor:
    """Compare one representation with several, matched row by row.

    Args:
        measures: of :data:`MEASURES`.
        x: the one.
        y: C others.
        orders: (C, n) in which the rows of each of ``y`` are matched with those of ``x``.

    Returns:
        Scores (M, C).
    """
    count, rows, width = y.rows.shape
    step = max(_ENTRIES // ((rows + width) * width), 1)
    parts = [
        _compare(measures, x, y[at].reordered(orders[at]))
        for at in (slice(start, start + step) for start in range(0, count, step))
    ]
    return torch.cat(parts, dim=1)


def cca(x: Tensor, y: Tensor) -> float:
    """Compute the mean canonical correlation, over the smaller of the two ranks.

    Args:
        x: (n, d).
        y: (n, d').
    """
    return _of_two("cca", x, y)


def svcca(x: Tensor, y: Tensor, variance: float = 0.99) -> float:
    """Compute CCA of the main directions of each side.

    Args:
        x: (n, d).
        y: (n, d').
        variance: share of the variance, the squared singular values, that is kept.
    """
    return _of_two("svcca", x, y, variance)


def pwcca(x: Tensor, y: Tensor) -> float:
    """Compute projection-weighted CCA, weighted on the side of ``x``.

    Args:
        x: (n, d).
        y: (n, d').
    """
    return _of_two("pwcca", x, y)


def cka(x: Tensor, y: Tensor) -> float:
    """Compute debiased linear centred kernel alignment; near 0 for independent rows, at most 1.

    Args:
        x: (n, d), n at least 4.
        y: (n, d').
    """
    return _of_two("cka", x, y)


MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "cca": cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "cka": cka,
}


def check_enough_samples(rows: int, dimension: int) -> None:
    """Check that there are enough samples for canonical correlations.

    Raises:
        InputError: n < 5 d.
    """
    if rows < ROWS_A_DIMENSION * dimension:
        noise = min(1.0, (dimension / rows) ** 0.5) if rows else 1.0
        raise InputError(
            f"CCA needs n ≥ 5 d rows: there are n = {rows} samples a side and d = {dimension} "
            f"dimensions, and independent noise would score about {noise:.2f}; "
            "take more samples, or keep fewer dimensions with ",
            Setting("similarity.components"),
        )


def _of_two(measure: str, x: Tensor, y: Tensor, variance: float = 0.99) -> float:
    one, other = (Sides.of(rows[None], (measure,), variance) for rows in (x, y))
    return float(_compare((measure,), one, other))


def _compare(measures: Sequence[str], x: Sides, y: Sides) -> Tensor:
    """Compare one representation with others whose rows are matched, (M, C)."""
    found = {}
    if "cka" in measures:
        crossed = _hsic(x.rows[0], y.rows, x.squares, y.squares)
        found["cka"] = crossed / (x.alignment * y.alignment).sqrt()
    if set(measures) - {"cka"}:
        found |= _canonical(measures, x, y)
    return torch.stack([found[name] for name in measures])


def _canonical(measures: Sequence[str], x: Sides, y: Sides) -> dict[str, Tensor]:
    """Compute the measures that are of canonical correlations, (C,) each."""
    cross, found = x.basis[0].T @ y.basis, {}
    if "svcca" in measures:
        wide, high = (
            (torch.arange(side.basis.shape[2]) < side.main[:, None]).double() for side in (x, y)
        )
        part = cross * wide[:, :, None] * high[:, None, :]
        fewer = x.main.minimum(y.main)
        found["svcca"] = torch.linalg.svdvals(part).clamp(0, 1).sum(dim=1) / fewer
    fewer = x.rank.minimum(y.rank)
    if "pwcca" not in measures:
        found["cca"] = torch.linalg.svdvals(cross).clamp(0, 1).sum(dim=1) / fewer
        return found
    left, correlations, _ = torch.linalg.svd(cross, full_matrices=False)
    correlations = correlations.clamp(0, 1)
    weights = (left.mT @ (x.basis.mT @ x.rows)).abs().sum(dim=2)
    weights = weights * (torch.arange(correlations.shape[1]) < fewer[:, None])
    found["cca"] = correlations.sum(dim=1) / fewer
    found["pwcca"] = (weights * correlations).sum(dim=1) / weights.sum(dim=1)
    return found


def _hsic(one: Tensor, other: Tensor, squares: Tensor, others: Tensor) -> Tensor:
    """Estimate without bias, (C,), from centred rows and their squared lengths."""
    n = torch.tensor(float(one.shape[-2]), dtype=torch.float64)
    total = (one.mT @ other).square().sum(dim=(1, 2)) - n / (n - 2) * (squares * others).sum(dim=1)
    sums = squares.sum(dim=1) * others.sum(dim=1)
    return (total + sums / ((n - 1) * (n - 2))) / (n * (n - 3))
