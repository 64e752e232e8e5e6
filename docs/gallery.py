"""Make the gallery again: train small runs, diagnose them, draw every kind, write docs/gallery.md.

python docs/gallery.py [RUNS]: the runs are trained into this folder, runs/gallery by default; what
is done already is kept.
"""

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits

import landscape
from cli.main import main
from figures.catalogue import FIGURES

PAGE = Path(__file__).with_suffix(".md")
PICTURES = PAGE.with_suffix("")
_TRAIN = "--data digits --imbalance 20 --eval-every 10 --device cpu"
_KEPT = "--checkpoints 1,3,10,30,60,90,119,122,135,150"
_PAIR = "ce-drw-0 ce-drw+sam-0"
_PLOT = "ldam-drw-0 ldam-drw+plot-0"
_FEATURES = "bcl-0 gkp-gsa-0"
_COST = "ce-0 ce-drw-0 ce-drw+sam-0 la+sam-0 la+focal-sam-0 la+imbsam-0 la+cc-sam-0"
_GAINS = "ce-0 ce-1 ce-drw-0 ce-drw-1 ce-drw+sam-0 ce-drw+sam-1 la-0 la-1 la+sam-0 la+sam-1"
_SEEDS = " ".join(f"{method}-{s}" for method in ("ce-drw", "ce-drw+sam") for s in range(5))
_RHO = (0.02, 0.05, 0.2, 0.5)
_SWEPT = " ".join(f"rho{rho}-{seed}" for rho in _RHO for seed in (0, 1))


@dataclass(frozen=True)
class Picture:
    """A kind in the gallery: what is diagnosed for it, of which runs, and how it is drawn."""

    runs: str
    says: str
    diagnose: str = ""
    options: str = ""


def runs() -> dict[str, str]:
    """List the runs: folder, and the flags that train it."""
    found = {}
    for name in dict.fromkeys(f"{_PAIR} {_PLOT} {_FEATURES} {_COST} {_GAINS} {_SEEDS}".split()):
        method, _, seed = name.rpartition("-")
        found[name] = f"--method {method} --seed {seed} {_KEPT}"
    found |= {
        f"rho{rho}-{seed}": f"--method ce-drw+sam --rho {rho} --seed {seed}"
        for rho in _RHO
        for seed in (0, 1)
    }
    return found | {"tail-only": "--method bcl --classes tail"}


PICTURES_OF = {
    "head-tail": Picture(
        _PAIR,
        "Head and tail on one axis: the shaded side is where a loss curves down.",
        "--analyses spectrum,accuracy --checkpoints all --spectrum.steps 60",
    ),
    "spectrum": Picture(
        _PAIR,
        "Density of the Hessian's eigenvalues on one axis for all panels; both ends are marked "
        "with their brackets.",
    ),
    "nonconvexity": Picture(_PAIR, "|λmin/λmax| over training, with brackets."),
    "curvature": Picture(_PAIR, "Both ends and the trace over training."),
    "protocol": Picture(
        "ce-drw-0",
        "The released Saddle-LongTail analysis beside the exact one.",
        "--protocol saddle --analyses spectrum",
    ),
    "surface": Picture(
        _PAIR,
        "Filter-normalised loss around the checkpoint, on one scale.",
        "--analyses surface --surface.points 25",
        "--scopes overall,head,tail",
    ),
    "basin": Picture(
        _PAIR,
        "Share of the plane near each class's least loss, over three planes of random directions.",
        "--analyses surface --surface.points 25 --surface.refine 2 --surface.seeds 1,2",
    ),
    "trajectory": Picture(
        "bcl-0",
        "Path of the checkpoints in the plane of its principal directions, and a run on the tail "
        "alone.",
        "--analyses surface --surface.points 25 --surface.directions pca --surface.marks "
        "{runs}/tail-only",
    ),
    "conflicts": Picture(
        _PLOT,
        "Cosines of class gradients.",
        "--analyses gradients,sharpness,similarity --similarity.components 8 --checkpoints all",
    ),
    "gradient-similarity": Picture(
        _PLOT, "Cosine of each group's class gradients with the average over classes."
    ),
    "gradient-norm": Picture(_PLOT, "Norms of class gradients over that of the average."),
    "spikes": Picture(
        _PAIR,
        "Which class each outlier eigenvalue belongs to: its summands by class, and its overlap "
        "with class gradients. In one command with the spectrum it costs a few per cent more.",
        "--analyses spectrum,spikes --spectrum.steps 60",
    ),
    "stability": Picture(
        "ce-drw+sam-0",
        "Sharpness of each group over what the training's step can bear, SAM's own edge, and how "
        "far steps and gradients go along the extreme eigenvectors.",
        "--analyses stability --scopes overall,head,mid,tail --spectrum.steps 60 --checkpoints all",
    ),
    "gradient-noise": Picture(
        "ce-drw-0",
        "Noise scale of each class's gradient beside the samples that a batch holds of it, and "
        "each class's share of a batch's noise.",
        "--analyses gradient-noise",
    ),
    "path": Picture(
        "ce-drw-0",
        "Loss between two runs that differ in their seed, and the barrier of every class: on the "
        "plain line, once units are matched, and on a trained curve.",
        "--analyses path --path.to {runs}/ce-drw-1 --path.curve 200",
    ),
    "noise": Picture(
        _PAIR, "Loss under random noise on the weights.", "--analyses sharpness --checkpoints all"
    ),
    "class-loss": Picture(_PAIR, "What each class adds to the mean loss."),
    "feature-quality": Picture(
        _FEATURES,
        "Quality, separation and variance of penultimate features.",
        "--analyses features --features.embedding 60 --checkpoints all",
    ),
    "embedding": Picture(_FEATURES, "t-SNE of penultimate features."),
    "cca": Picture(
        _PLOT,
        "Similarity of head and tail features beside its shuffled baseline.",
    ),
    "recording": Picture(
        "recorded",
        "A recorded training of one's own: λmax η/2 against the edge of stability.",
    ),
    "accuracy": Picture(
        "ce-0 ce-1 ce-drw+sam-0 ce-drw+sam-1 la+sam-0 la+sam-1",
        "Accuracy of each class and group, over seeds; also as tables.",
        "--analyses accuracy",
    ),
    "confusion": Picture(_PAIR, "What each class of the test set is taken for."),
    "cost": Picture(
        _COST,
        "Accuracy against seconds an epoch, on the machine that trained them.",
        "--analyses accuracy",
    ),
    "flattening": Picture(_GAINS, "Gain in accuracy over the first run.", "--analyses accuracy"),
    "compare": Picture(
        _SEEDS,
        "How two settings differ in every number of every class, paired over seeds; "
        "`tailscape compare` prints the table and draws this.",
        "--analyses accuracy,gradients,sharpness,gradient-noise",
        "--options show=accuracy.group:accuracy.per_class:gradients.norm:gradient_noise.noise:"
        "sharpness.sam_sharpness:sharpness.characteristic_radius",
    ),
    "focal-weights": Picture("ce-0", "The weights (1 − π)^γ of Focal-SAM."),
    "sweep": Picture(
        f"{_SWEPT} ce-drw-0 ce-drw-1",
        "Any result against any setting.",
        "--analyses accuracy",
        "--options x=rho,y=overall:tail",
    ),
}


def make(folder: Path) -> None:
    """Train, diagnose and draw.

    Args:
        folder: of the runs.
    """
    for name, flags in runs().items():
        _run(f"train {flags} {_TRAIN} --out {shlex.quote(str(folder / name))}")
    record(folder / "recorded")
    for kind, picture in PICTURES_OF.items():
        paths = [folder / name for name in picture.runs.split()]
        for path in paths if picture.diagnose else []:
            flags = picture.diagnose.format(runs=shlex.quote(str(folder)))
            _run(f"diagnose {shlex.quote(str(path))} {flags} --device cpu")
        drawn = shlex.join(map(str, paths))
        _run(
            f"figure {kind} {drawn} {picture.options} --out {shlex.quote(str(folder / 'figures'))}"
        )
        shutil.copy(folder / "figures" / f"{kind}.png", PICTURES / f"{kind}.png")
    pair = shlex.join(str(folder / name) for name in _PAIR.split())
    _run(f"figure head-tail {pair} --animate --out {shlex.quote(str(folder / 'figures'))}")
    shutil.copy(folder / "figures" / "head-tail.gif", PICTURES / "head-tail.gif")


def record(run: Path) -> None:
    """Train a small network on long-tailed digits by plain gradient descent, and record it."""
    if (run / "config.json").is_file():
        return
    images, labels = map(torch.tensor, load_digits(return_X_y=True))
    kept = [(labels == c).nonzero().flatten()[: int(170 * 20 ** (-c / 9))] for c in range(10)]
    chosen = torch.cat(kept)
    inputs, labels = images[chosen].float() / 16, labels[chosen]
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    data = torch.utils.data.TensorDataset(inputs, labels)
    options = {"every": 40, "budget": None, "samples_per_class": 64, "name": "MLP"}
    with landscape.Recorder(run, data, data_name="digits", **options) as recorder:
        for _ in range(1200):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            recorder.step(model, loss=loss, optimizer=optimizer)


_HEAD = f"""# Gallery

Every kind of figure, from runs on scikit-learn's digits (imbalance 20), each below its commands.
`make gallery` trains the runs, draws the pictures and writes this page. The runs:

```sh
for run in {{ce,ce-drw,ce-drw+sam,la,la+sam,ldam-drw,ldam-drw+plot,bcl,gkp-gsa}}-{{0,1}}; do  # …
  tailscape train --method ${{run%-?}} --seed ${{run##*-}} {_KEPT} \\
      {_TRAIN} --out $run
done
tailscape train --method bcl --classes tail {_TRAIN} --out tail-only
```

The run `recorded` is a [loop of one's own](howto/recorder.md).
"""
_FOOT = """
## Films, grids, reports, and figures of the papers

```sh
tailscape figure head-tail ce-drw-0 ce-drw+sam-0 --animate   # as GIF, and as MP4 with ffmpeg
tailscape figure surface ce-drw-0   # also writes surface.vtk, for ParaView
tailscape report ce-drw-0 ce-drw+sam-0 --out report   # one page, which opens offline
tailscape figure paper:saddle-2 ce-drw-0 ce-drw+sam-0 --scopes class/0,class/9 --options data=given
tailscape list figures   # every kind, and every figure of the papers by its number
```

![head and tail over training](gallery/head-tail.gif)
"""


def page() -> str:
    """Write the page: each picture below the commands that make it."""
    lines = [_HEAD.rstrip()]
    for kind, picture in PICTURES_OF.items():
        drawn = f"tailscape figure {kind} {picture.runs} {picture.options}".rstrip()
        commands = [_folded(drawn)]
        if picture.diagnose:
            flags = picture.diagnose.format(runs=".")
            commands.insert(0, _folded(f"tailscape diagnose {picture.runs.split()[0]} {flags}"))
        lines += ["", f"## {kind}", "", picture.says, "", "```sh", *commands, "```", ""]
        lines.append(f"![{FIGURES[kind].summary}](gallery/{kind}.png)")
    return "\n".join([*lines, _FOOT])


def _folded(command: str, width: int = 100) -> str:
    """Break a command over lines."""
    lines, line = [], ""
    for word in command.split():
        if line and len(line) + len(word) > width:
            lines.append(f"{line} \\")
            line = "   "
        line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


def _run(command: str) -> None:
    print(f"$ tailscape {command}", flush=True)
    if main(shlex.split(command)):
        raise SystemExit(1)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/gallery"))
    PAGE.write_text(page(), encoding="utf-8")
