"""Rows of a recording: what the analyses of one step say, and all steps in one record."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import SGD, Optimizer

from landscape.results.fields import Array
from landscape.results.gradients import Gradients
from landscape.results.recording import Recording
from landscape.results.result import Result
from landscape.results.spectrum import Spectrum

_OF_SCOPES = ("lambda_max", "lambda_max_bound", "lambda_min", "lambda_min_bound", "grad_norm")


def row_of(
    found: Mapping[str, Result],
    loss: float | Tensor | None,
    optimizer: Optimizer | None,
    **facts: Any,
) -> dict[str, Any]:
    """Collect the numbers of one step.

    Args:
        found: records by analysis.
        loss: of the batch.
        optimizer: of the training.
        facts: further columns.
    """
    rate, edge = _rate_and_edge(optimizer)
    spectrum, gradients = found.get("spectrum"), found.get("gradients")
    scopes = spectrum.scope.tolist() if isinstance(spectrum, Spectrum) else []
    row = {name: getattr(spectrum, name).tolist() if scopes else [] for name in _OF_SCOPES}
    share = math.nan
    if isinstance(gradients, Gradients) and gradients.pairs:
        share = float(gradients.conflicts) / float(gradients.pairs)
    batch_loss = loss.detach() if isinstance(loss, Tensor) else math.nan if loss is None else loss
    return row | {
        "scope": scopes,
        "batch_loss": float(batch_loss),
        "learning_rate": rate,
        "edge": edge,
        "conflicts": share,
        **facts,
    }


def recording(rows: Sequence[Mapping[str, Any]], before: Recording | None) -> Recording:
    """Build the record of all steps, behind those of a folder that is continued."""
    scopes = rows[-1]["scope"]
    columns = {
        item.name: np.array([row[item.name] for row in rows])
        for item in fields(Recording)
        if item.name != "scope"
    }
    for name in _OF_SCOPES:
        columns[name] = columns[name].reshape(len(rows), len(scopes)).astype(float)
    found = Recording(scope=np.array(scopes, dtype=str), **columns)
    return found if before is None else _joined(before, found)


def _joined(before: Recording, found: Recording) -> Recording:
    """Put records behind those of before; a scope that one of them lacks has no numbers there."""
    scopes = list(dict.fromkeys([*before.scope.tolist(), *found.scope.tolist()]))
    joined = {
        item.name: np.concatenate([_over(scopes, part, item.name) for part in (before, found)])
        for item in fields(Recording)
        if item.name != "scope"
    }
    return Recording(scope=np.array(scopes, dtype=str), **joined)


def _over(scopes: Sequence[str], part: Recording, name: str) -> Array:
    """Spread the columns of a recording's own scopes over others (T, S)."""
    values: Array = getattr(part, name)
    if name not in _OF_SCOPES:
        return values
    own = part.scope.tolist()
    spread = np.full((len(values), len(scopes)), np.nan)
    spread[:, [scopes.index(scope) for scope in own]] = values
    return spread


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Name the numbers of a row, as TensorBoard and Weights & Biases show them."""
    found = {n: float(row[n]) for n in ("batch_loss", "learning_rate", "edge", "conflicts")}
    for s, scope in enumerate(row["scope"]):
        for name in ("lambda_max", "lambda_min", "grad_norm"):
            found[f"{name}/{scope}"] = row[name][s]
        found[f"stability/{scope}"] = row["lambda_max"][s] * row["learning_rate"] / 2
    found["recorder_share"] = row["recorder_seconds"] / max(row["training_seconds"], 1e-9)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _rate_and_edge(optimizer: Optimizer | None) -> tuple[float, float]:
    """Learning rate, and where λmax η/2 is at the edge of stability, of plain SGD alone."""
    if optimizer is None:
        return math.nan, math.nan
    group = optimizer.param_groups[0]
    plain = isinstance(optimizer, SGD) and not group["nesterov"] and not group["dampening"]
    return float(group["lr"]), 1 + float(group["momentum"]) if plain else math.nan
