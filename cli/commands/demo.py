"""``tailscape demo``: train, diagnose and draw on bundled data, in minutes on a laptop."""

from dataclasses import dataclass
from pathlib import Path

from cli.commands.diagnose import Diagnose
from cli.commands.figure import Figure
from cli.commands.train import Train
from cli.console import closing, console
from landscape.config import DiagnoseConfig, SpectrumConfig
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
            Train(train).run()
            out.rule(f"{method}: Hessian of every class")
            spectrum = SpectrumConfig(steps=self.steps)
            Diagnose(run, DiagnoseConfig(spectrum=spectrum, device="cpu")).run()
            runs.append(run)
        out.rule("figures")
        for kind in ("spectrum", "accuracy"):
            Figure(kind, tuple(runs)).run()
        first = quoted(runs[0])
        closing(
            out,
            [f"{run}: checkpoints, results" for run in runs],
            [f"tailscape show {first}", f"tailscape diagnose {first} --checkpoints all"],
        )
