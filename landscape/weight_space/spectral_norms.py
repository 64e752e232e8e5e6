"""Find the singular vectors by which spectral norms divide, where a model stands.

A spectral norm computes W / uᵀWv, and keeps in buffers what its power iteration has found of the
leading singular vectors u and v (Miyato et al. 2018, Sec. 2.1). At other weights they are others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm


@dataclass(frozen=True)
class _Divided:
    """A weight that is divided by its spectral norm."""

    names: tuple[str, str]  # of both buffers in the model
    matrix: Tensor  # (R, C)
    u: Tensor  # (R,)
    v: Tensor  # (C,)


def names_of_singular_vectors(model: nn.Module) -> set[str]:
    """Name the buffers that hold singular vectors."""
    return {name for one in _divided(model) for name in one.names}


def recompute_singular_vectors(model: nn.Module) -> None:
    """Replace singular vectors by those of the weights, by an eigendecomposition of W Wᵀ."""
    with torch.no_grad():
        for one in _divided(model):
            matrix = one.matrix.double()
            wide = matrix.shape[0] <= matrix.shape[1]
            matrix = matrix if wide else matrix.T
            left = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -1]
            right = nn.functional.normalize(matrix.T @ left, dim=0, eps=0.0)
            u, v = (left, right) if wide else (right, left)
            one.u.copy_(u)
            one.v.copy_(v)


def _divided(model: nn.Module) -> Iterator[_Divided]:
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, ParametrizationList):
            yield from _parametrised(module, prefix)
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):  # of torch.nn.utils.spectral_norm
                names = f"{hook.name}_u", f"{hook.name}_v"
                matrix = hook.reshape_weight_to_matrix(getattr(module, f"{hook.name}_orig"))
                u, v = (module.get_buffer(name) for name in names)
                yield _Divided((prefix + names[0], prefix + names[1]), matrix, u, v)


def _parametrised(module: ParametrizationList, prefix: str) -> Iterator[_Divided]:
    """Follow a weight through its parametrisations to each that is a spectral norm."""
    originals = [p for name, p in module.named_parameters(recurse=False) if "original" in name]
    for place, one in enumerate(module):
        weight = originals[0]
        if isinstance(one, _SpectralNorm) and weight.dim() > 1:
            names = f"{prefix}{place}._u", f"{prefix}{place}._v"
            yield _Divided(names, one._reshape_weight_to_matrix(weight), one._u, one._v)
        originals = [one(*originals)]
