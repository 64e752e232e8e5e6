"""The clock, the folders and the child processes of the session on a GPU."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# parts, in order, and what share of the time each may take; rows take what is left
SHARES = {
    "tests": 0.15,
    "speed": 0.2,
    "at-once": 0.1,
    "curvature": 0.15,
    "large": 0.1,
    "rows": 0.3,
}


@dataclass
class Session:
    """What is asked for, and the clock."""

    out: Path
    scratch: Path  # what does not come back: images
    runs: Path  # whole runs; trainings that stand there go on
    images: Path | None
    device: str
    minutes: float
    tiny: bool
    parts: tuple[str, ...]
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.started + 60 * self.minutes - time.monotonic()

    def share(self, part: str) -> float:
        """Seconds that a part may take, of what is left: the rest of the parts share alike."""
        rest = self.parts[self.parts.index(part) :]
        return self.left * SHARES[part] / sum(SHARES[p] for p in rest)

    def data(self) -> list[str]:
        """Options that name the data."""
        if self.images is None:
            return ["--data", "digits", "--imbalance", "20"]
        return ["--data", f"folder:{self.images}", "--imbalance", "100"]

    def environment(self) -> dict[str, str]:
        """Variables of a child process."""
        known = {"TAILSCAPE_CIFAR10_IMAGES": str(self.images)} if self.images else {}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return os.environ | known | {"PYTHONPATH": path, "TAILSCAPE_GPU": self.device}

    def say(self, text: str) -> None:
        """Print, and append to the log."""
        line = f"[{time.monotonic() - self.started:6.1f} s] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def start(self, arguments: list[str], log: str) -> subprocess.Popen[bytes]:
        """Start a module of this checkout, its output in a file."""
        with (self.out / log).open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env=self.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def run(self, arguments: list[str], log: str, seconds: float) -> None:
        """Run a module for some seconds at most, its output in a file."""
        process = self.start(arguments, log)
        try:
            said = f"exit {process.wait(max(seconds, 1))}"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            said = f"stopped after {seconds:.0f} s"
        self.say(f"{log}: {said}")
