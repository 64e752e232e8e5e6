r"""Measure the similarity of representations: CCA, SVCCA, PWCCA and debiased CKA.

X (n, d) and Y (n, d') hold representations row by row. CCA's correlations are the singular values
of U_xᵀU_y, from thin singular value decompositions of the centred matrices in float64, with
directions below a relative tolerance dropped and correlations clipped to [0, 1] (Hotelling 1936;
Björck & Golub 1973). SVCCA first keeps the directions that explain 99 % of the *variance*, that is
of the squared singular values (Raghu et al. 2017). PWCCA weighs the correlations by how much of X
its canonical variates carry (Morcos et al. 2018); it is not symmetric, and X is the side. CKA is
the linear one, debiased (Kornblith et al. 2019; Nguyen et al. 2021).

Independent noise scores about √(d/n) in CCA, so every score comes with that of shuffled rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.errors import InputError, Setting

_TOLERANCE = 1e-10


def cca(x: Tensor, y: Tensor) -> float:
    """Compute the mean canonical correlation, over the smaller of the two ranks.

    Args:
        x: (n, d).
        y: (n, d').
    """
    return float(_canonical(x, y).correlations.mean())


def svcca(x: Tensor, y: Tensor, variance: float = 0.99) -> float:
    """Compute CCA of the main directions of each side.

    Args:
        x: (n, d).
        y: (n, d').
        variance: share of the variance, the squared singular values, that is kept.
    """
    return cca(_main(x, variance), _main(y, variance))


def pwcca(x: Tensor, y: Tensor) -> float:
    """Compute projection-weighted CCA, weighted on the side of ``x``.

    Args:
        x: (n, d).
        y: (n, d').
    """
    found = _canonical(x, y)
    weights = (found.variates.T @ _centred(x)).abs().sum(dim=1)
    return float((weights * found.correlations).sum() / weights.sum())


def cka(x: Tensor, y: Tensor) -> float:
    """Compute debiased linear centred kernel alignment; near 0 for independent rows, at most 1.

    Args:
        x: (n, d), n at least 4.
        y: (n, d').
    """
    kx, ky = _hollow(x), _hollow(y)
    return float(_hsic(kx, ky) / (_hsic(kx, kx) * _hsic(ky, ky)).sqrt())


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
    if rows < 5 * dimension:
        noise = min(1.0, (dimension / rows) ** 0.5) if rows else 1.0
        raise InputError(
            f"CCA needs n ≥ 5 d rows: there are n = {rows} samples a side and d = {dimension} "
            f"dimensions, and independent noise would score about {noise:.2f}; "
            "take more samples, or keep fewer dimensions with ",
            Setting("similarity.components"),
        )


@dataclass(frozen=True)
class _Canonical:
    correlations: Tensor  # (r,)
    variates: Tensor  # (n, r), orthonormal, of the side of x


def _canonical(x: Tensor, y: Tensor) -> _Canonical:
    ux, uy = _basis(x), _basis(y)
    left, correlations, _ = torch.linalg.svd(ux.T @ uy, full_matrices=False)
    return _Canonical(correlations.clamp(0, 1), ux @ left)


def _basis(x: Tensor) -> Tensor:
    u, s, _ = torch.linalg.svd(_centred(x), full_matrices=False)
    kept = s > _TOLERANCE * s[0]
    if not kept.any():
        raise InputError("all rows of a representation are the same; it has no directions")
    return u[:, kept]


def _main(x: Tensor, variance: float) -> Tensor:
    u, s, _ = torch.linalg.svd(_centred(x), full_matrices=False)
    reached = (s**2).cumsum(0) / (s**2).sum()
    kept = int((reached < variance).sum()) + 1
    return u[:, :kept] * s[:kept]


def _centred(x: Tensor) -> Tensor:
    x = x.double()
    return x - x.mean(dim=0)


def _hollow(x: Tensor) -> Tensor:
    x = x.double()
    return (x @ x.T).fill_diagonal_(0)


def _hsic(one: Tensor, other: Tensor) -> Tensor:
    """Estimate without bias (Song et al. 2012, Eq. 5) from Gram matrices with a zero diagonal."""
    n = len(one)
    total = (one * other).sum() + one.sum() * other.sum() / ((n - 1) * (n - 2))
    return (total - 2 * (one.sum(dim=0) @ other.sum(dim=0)) / (n - 2)) / (n * (n - 3))
