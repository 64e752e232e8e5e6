"""Count how often a spectrum's claims hold: python -m tests.benchmarks.coverage [--seeds 300].

Matrices whose eigenvalues are known, at four lengths of the run in turn. By column: ends whose
residual contains an eigenvalue; runs whose brackets contain λmin and λmax; traces within the 99 %
interval of the standard error (Student's t); runs whose band contains the share of eigenvalues up
to every point of a grid; runs that prove no more negative directions than there are.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

from landscape.analyses.spectrum import padded_ritz
from landscape.config import SpectrumConfig
from landscape.curvature.operator_spectrum import OperatorSpectrum, operator_spectrum
from landscape.results.density import ritz_rounding, share_bounds
from tests.landscape.curvature.test_coverage import WHOLE
from tests.landscape.references import (
    Diagonal,
    exact_eigenvalues,
    generator,
    small_operator,
)

COLUMNS = ("residuals", "brackets", "trace", "share band", "proved index")
STEPS = (3, 8, 25, 80)
Claims = tuple[float, float, float, float, float]


def spectra(name: str, seeds: int) -> Iterator[OperatorSpectrum]:
    """Yield the spectra of a matrix, a seed each."""
    network = small_operator() if name == "network" else None
    for seed in range(seeds):
        steps = STEPS[seed % len(STEPS)]
        config = SpectrumConfig(steps=steps, probes=1 + seed % 3, tolerance=1e-3)
        operator = network or Diagonal(torch.as_tensor(np.sort(WHOLE[name])))
        yield operator_spectrum(operator, config, generator(seed))


def claims(found: OperatorSpectrum, exact: np.ndarray, rounding: float) -> Claims:
    """Tell the share of each claim that holds in one spectrum."""
    noise = max(found.noise.rounding, found.noise.repeatability, rounding)
    near = [np.abs(exact - e.value).min() <= e.residual + noise for e in (found.low, found.high)]
    inner = found.low.value + noise >= exact[0] and found.high.value - noise <= exact[-1]
    outer = found.lowest - noise <= exact[0] and found.highest + noise >= exact[-1]
    reach = 0.0
    if found.trace.sem:
        reach = student.ppf(0.995, max(len(found.trace.samples) - 1, 1)) * found.trace.sem
    size = len(exact)
    close = abs(found.trace.value - exact.sum()) <= reach + noise * size
    values, weights = padded_ritz([found.quadrature])
    off = ritz_rounding(values[0], found.orthogonality_loss, noise)
    span = exact[-1] - exact[0]
    grid = np.sort(np.r_[np.linspace(exact[0] - 0.1 * span, exact[-1] + 0.1 * span, 400), exact])
    low, high = share_bounds(values[0], weights[0], grid, size, rounding=off)
    # rounding decides on which side of a jump a point at an eigenvalue lies
    before, behind = (np.searchsorted(exact, grid + o, side="right") / size for o in (-off, off))
    band = np.all((low <= behind + 1e-12) & (high >= before - 1e-12))
    proved = (values[0] < -off).sum(axis=1).max() <= (exact < 0).sum()
    return float(np.mean(near)), float(inner and outer), float(close), float(band), float(proved)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300)
    seeds = parser.parse_args().seeds
    table = Table(title=f"what held, in % of {seeds} seeds; 99 is what the last four promise")
    table.add_column("matrix")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    rows = []
    for name in (*WHOLE, "network"):
        exact = exact_eigenvalues() if name == "network" else np.sort(WHOLE[name])
        eps = 3e-6 if name == "network" else 1e-13
        held = [claims(s, exact, eps * np.abs(exact).max()) for s in spectra(name, seeds)]
        rows.append(np.mean(held, axis=0) * 100)
        table.add_row(f"{name} ({len(exact)})", *(f"{value:.1f}" for value in rows[-1]))
    table.add_section()
    table.add_row("all", *(f"{value:.2f}" for value in np.mean(rows, axis=0)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
