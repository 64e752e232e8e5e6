"""``tailscape demo``: train, diagnose and draw on bundled data, in minutes on a laptop."""

from dataclasses import dataclass
from pathlib import Path

from cli.commands.diagnose import Diagnose, Options
from cli.commands.figure import Figure
from cli.commands.train import Train
from cli.console import closing, console
from figures.report.conclusion import conclusions
from figures.request import Request
from figures.runs.folder import RunResults
from landscape.config import SpectrumConfig
from landscape.errors import quoted
from trainers.config import TrainConfig


@dataclass(frozen=True)
class Demo:
    """Train with and without SAM on handwritten digits, diagnose every class, and draw."""

    out: Path = Path("runs/demo")
    """Folder of the demo's runs."""
    epochs: int = 150
    """Epochs of each training run."""
    steps: int = 60
    """Maximum number of Lanczos steps."""
    overwrite: bool = False
    """Delete the runs of an earlier demo and start over."""

    def run(self) -> None:
        """Execute the command."""
        out = console()
        runs = []
        for method in ("ce-drw", "ce-drw+sam"):
            out.rule(f"{method}: train on long-tailed digits")
            run = self.out / method
            train = TrainConfig(
                method=method,
                data="digits",
                epochs=self.epochs,
                eval_every=10,
                device="cpu",
                out=run,
                overwrite=self.overwrite,
            )
            Train(train, only_evaluations=True).run()
            out.rule(f"{method}: Hessian of every class")
            spectrum = SpectrumConfig(steps=self.steps)
            Diagnose(run, Options(spectrum=spectrum, device="cpu")).run()
            runs.append(run)
        out.rule("figures")
        for kind in ("spectrum", "accuracy"):
            Figure(kind, tuple(runs)).run()
        out.rule("what it found")
        found = Request(tuple(RunResults.open(run) for run in runs))
        for sentence in conclusions(found):
            out.print(sentence, soft_wrap=True)
        first = quoted(runs[0])
        closing(
            out,
            [f"{run}: checkpoints, results" for run in runs],
            [
                f"tailscape inspect {quoted(self.out)}",
                f"tailscape diagnose {first} --checkpoints all",
            ],
        )
