"""The matrix of a spectrum: in words, in a folder's name, in the flags that ask for it.

No tensor library is imported here.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from landscape.config import SpectrumConfig
from landscape.results.provenance import Provenance

_NAMES = {
    "hessian": "Hessian",
    "ggn": "Gauss-Newton matrix",
    "fisher": "Fisher matrix",
    "empirical-fisher": "empirical Fisher matrix",
    "difference": "Hessian less Gauss-Newton matrix",
}
_ALL = ("*",)
_MOST_LETTERS = 24  # of the parameters' names in a folder's name


@dataclass(frozen=True)
class MatrixSpec:
    """Specify a matrix as a diagnosis names it; the default is the whole Hessian."""

    curvature: str = "hessian"  # or another of SpectrumConfig's
    parameters: tuple[str, ...] = _ALL  # names or globs
    blocks: bool = False  # the diagonal blocks alone
    weight_decay: float = 0.0  # times the identity, added
    bn: str = "eval"  # BatchNorm by its running statistics, or by each batch's

    @staticmethod
    def of(settings: SpectrumConfig, bn: str = "eval") -> "MatrixSpec":
        """Name the matrix that settings ask for."""
        chosen = _sorted(settings.parameters)
        decay = float(settings.weight_decay)
        return MatrixSpec(settings.curvature, chosen, settings.blocks, decay, bn)

    @staticmethod
    def stored(origin: Provenance) -> "MatrixSpec":
        """Name the matrix of a stored spectrum; by default the Hessian."""
        own = origin.config.get("diagnose", {}).get("spectrum", {})
        plain = MatrixSpec()
        return MatrixSpec(
            str(own.get("curvature", plain.curvature)),
            _sorted(own.get("parameters", plain.parameters)),
            bool(own.get("blocks", plain.blocks)),
            float(own.get("weight_decay", plain.weight_decay)),
            origin.bn_mode,
        )

    @property
    def is_hessian(self) -> bool:
        """Whether it is the whole Hessian in eval mode, the only matrix that has a verdict."""
        return self == MatrixSpec()

    @property
    def key(self) -> str:
        """Short name, as a figure's option ``matrix`` takes it: hessian, ggn, ggn-blocks."""
        parts = [] if self.curvature == "hessian" else [self.curvature]
        if self.parameters != _ALL:
            text = ",".join(self.parameters)
            letters = re.sub(r"[^\w.]+", "-", text).strip("-._")[:_MOST_LETTERS]
            parts += ["of", *([letters] if letters else []), sha256(text.encode()).hexdigest()[:6]]
        parts += ["blocks"] if self.blocks else []
        parts += [f"decay{self.weight_decay!r}"] if self.weight_decay else []
        parts += ["bn", self.bn] if self.bn != "eval" else []
        return "-".join(parts) or "hessian"

    @property
    def suffix(self) -> str:
        """End of its folder's name; empty for the Hessian."""
        return "" if self.is_hessian else f"-{self.key}"

    @property
    def name(self) -> str:
        """Name for people, as titles and axes have it."""
        parts = ["diagonal blocks"] if self.blocks else []
        parts += [f"of {', '.join(self.parameters)}"] if self.parameters != _ALL else []
        parts += [f"plus {self.weight_decay!r} I"] if self.weight_decay else []
        parts += ["BatchNorm by batch"] if self.bn != "eval" else []
        return _NAMES.get(self.curvature, self.curvature) + (
            f" ({'; '.join(parts)})" if parts else ""
        )

    @property
    def flags(self) -> str:
        """Flags of ``tailscape diagnose`` that ask for it, each after a space."""
        found = "" if self.curvature == "hessian" else f" --spectrum.curvature {self.curvature}"
        if self.parameters != _ALL:
            found += f" --spectrum.parameters '{','.join(self.parameters)}'"
        found += " --spectrum.blocks" if self.blocks else ""
        found += f" --spectrum.weight-decay {self.weight_decay!r}" if self.weight_decay else ""
        return found + ("" if self.bn == "eval" else f" --bn {self.bn}")


def _sorted(patterns: "tuple[str, ...] | list[str]") -> tuple[str, ...]:
    """Sort patterns: neither order nor anything beside ``*`` changes the parameters meant."""
    return _ALL if "*" in patterns else tuple(sorted({str(p) for p in patterns}))
