"""Play a figure over the checkpoints of its runs: an animated GIF, and an MP4 where ffmpeg is."""

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from figures.catalogue import FIGURES, read_figure
from figures.output import Drawing, paper_style, rendered
from figures.request import Request
from landscape.results import InputError
from landscape.results.atomic import atomic_write
from landscape.results.checkpoint_names import checkpoint_label, course
from landscape.results.remedy import remedy

_DPI = 150
_SHOWN, _LAST = 700, 2500  # milliseconds of a frame and of the last one
_RATE = 10  # frames of the video a second


def animate(kind: str, request: Request, folder: Path) -> list[Path]:
    """Draw a figure of every checkpoint, on the same scales, and write them as a film.

    Args:
        kind: of the figure, one that shows a single checkpoint.
        request: the runs and options; its checkpoint is passed over.
        folder: created if needed.

    Returns:
        The path of the GIF, and that of the MP4 if the machine has ffmpeg.

    Raises:
        InputError: the kind shows no single checkpoint, or the runs share fewer than two.
    """
    frames = _frames(kind, request)
    paths = [folder / f"{kind}.gif"]
    atomic_write(paths[0], _gif(frames))
    if shutil.which("ffmpeg") is not None:
        paths.append(folder / f"{kind}.mp4")
        atomic_write(paths[1], _mp4(frames))
    return paths


def film(kind: str, request: Request) -> bytes:
    """Draw a figure of every checkpoint as an animated GIF; see :func:`animate`."""
    return _gif(_frames(kind, request))


def _frames(kind: str, request: Request) -> list[Image.Image]:
    if not FIGURES[kind].animates:
        able = ", ".join(name for name, one in FIGURES.items() if one.animates)
        raise InputError(f"figure '{kind}' cannot be played over checkpoints; these can: {able}")
    found = _drawings(kind, request)
    with paper_style():
        plt.rcParams["figure.max_open_warning"] = 0
        return _same_size([_frame(drawing, name) for name, drawing in found.items()])


def _drawings(kind: str, request: Request) -> dict[str, Drawing]:
    """Read the figure of every checkpoint all runs have; each knows the others for its scales."""
    names = course(
        path.stem
        for run in request.runs
        for path in (run.path / "results").glob(f"{FIGURES[kind].shows}*/*.h5")
    )
    shared = []
    for name in dict.fromkeys(names):
        try:
            read_figure(kind, replace(request, checkpoint=name))
        except InputError:
            continue
        shared.append(name)
    if len(shared) < 2:
        on_each = "on each, " if len(request.runs) > 1 else ""
        raise InputError(
            f"figure '{kind}' is played over two checkpoints or more, and these runs share "
            f"{len(shared)}; {on_each}{remedy(request.runs[0].path, FIGURES[kind].shows, 'all')}"
        )
    asked = replace(request, over=tuple(shared))
    return {name: read_figure(kind, replace(asked, checkpoint=name)) for name in shared}


def _frame(drawing: Drawing, name: str) -> Image.Image:
    figure = drawing.fitted()
    figure.suptitle(checkpoint_label(name), x=0.01, ha="left", fontsize=8)
    picture = Image.open(io.BytesIO(rendered(figure, "png", dpi=_DPI))).convert("RGB")
    plt.close(figure)
    return picture


def _same_size(frames: list[Image.Image]) -> list[Image.Image]:
    """Lay frames on white paper of the largest one, whose sides are even, as videos want them."""
    width, height = (max(frame.size[k] for frame in frames) for k in (0, 1))
    found = []
    for frame in frames:
        paper = Image.new("RGB", (width + width % 2, height + height % 2), "white")
        paper.paste(frame)
        found.append(paper)
    return found


def _gif(frames: list[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    first, *others = (frame.quantize(256) for frame in frames)
    shown = [_SHOWN] * len(others) + [_LAST]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=shown, loop=0)
    return buffer.getvalue()


def _mp4(frames: list[Image.Image]) -> bytes:
    """Encode frames by ffmpeg, each as often as it is shown.

    Raises:
        InputError: ffmpeg fails.
    """
    width, height = frames[0].size
    often, last = _SHOWN * _RATE // 1000, _LAST * _RATE // 1000
    raw = b"".join(frame.tobytes() * often for frame in frames[:-1]) + frames[-1].tobytes() * last
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(_RATE)]
    target = ["-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"]
    command = ["ffmpeg", "-loglevel", "error", *source, "-i", "-", *target, "-"]
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode:
        raise InputError(f"ffmpeg could not write the video: {done.stderr.decode().strip()}")
    return done.stdout
