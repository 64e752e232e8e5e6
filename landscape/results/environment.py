"""Versions, commit and time, as run folders keep them. No tensor library is imported here."""

import platform
import subprocess
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_VERSIONS = ("torch", "torchvision", "numpy")


def environment() -> dict[str, Any]:
    """Return versions, commit and time, as ``config.json`` keeps them."""
    return {
        "versions": {"tailscape": own_version()}
        | {name: version(name) for name in _VERSIONS}
        | {"python": platform.python_version()},
        "git_commit": _git_commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def own_version() -> str:
    """Return this package's version; in a checkout that is not installed, the tree's."""
    try:
        return version("tailscape")
    except PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def _git_commit() -> str | None:
    """Return the commit of the working directory, ``None`` outside a repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None
