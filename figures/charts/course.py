"""Hold the path of a run's checkpoints in a plane, and choose its arrows and names."""

from dataclasses import dataclass

import numpy as np

from figures.charts.surface_panels import SurfacePanel
from landscape.results.fields import Array

ROUNDING = 1e-5  # share of a path's length below which a distance is rounding
_ARROWS = 4
_DOT = 0.05  # share of the plane below which a path is a dot


@dataclass(frozen=True)
class Course:
    """The plane of one run, and the points that are projected on it."""

    panel: SurfacePanel
    at: Array  # (T,) epochs or steps, in order of training
    unit: str  # which of them
    path: Array  # (T, 2) steps of the directions
    residual: Array  # (T,) Euclidean, off the plane
    names: list[str]  # (M,) of the marks
    marks: Array  # (M, 2)
    mark_residual: Array  # (M,)

    @property
    def length(self) -> float:
        """Distance of the farthest point of the path from the checkpoint, in the plane."""
        norms = np.array(self.panel.norms if len(self.panel.norms) == 2 else (1.0, 1.0))
        return float(np.linalg.norm(self.path * norms, axis=1).max(initial=0))

    @property
    def spans(self) -> Array:
        """Width and height of the path as shares of the plane's (2,)."""
        plane = np.array([np.ptp(self.panel.x), np.ptp(self.panel.y)])
        found: Array = np.ptp(self.path, axis=0) / plane
        return found

    @property
    def is_dot(self) -> bool:
        """Whether the path is too short to be seen here."""
        return len(self.path) > 1 and bool((self.spans < _DOT).all())

    @property
    def note(self) -> str:
        """Say that the path is too short to be seen here, or that it lies in the plane."""
        if self.is_dot:
            return (
                f"the path is a dot: {100 * self.spans.max():.2g} % of the\n"
                "plane's width, as its directions hold\nhardly any of it. Diagnose with\n"
                "--surface.directions pca"
            )
        if (self.residual <= ROUNDING * self.length).all():
            return "every checkpoint lies in this plane"
        return ""

    @property
    def points(self) -> Array:
        """Points that must be in sight (T + M + 2, 2), two corners of the grid among them."""
        corners = np.array([[self.panel.x[k], self.panel.y[k]] for k in (0, -1)])
        return np.concatenate([self.path, self.marks, corners])


def arrows(course: Course) -> list[tuple[Array, Array]]:
    """Place a few short arrows, foot and tip, evenly over the length of the path."""
    if len(course.path) < 2:
        return []
    steps = np.diff(course.path, axis=0)
    lengths = np.linalg.norm(steps / np.ptp(course.points, axis=0), axis=1)
    reached = np.cumsum(lengths)
    wanted = reached[-1:] * (np.arange(_ARROWS) + 0.5) / _ARROWS
    chosen = np.unique(np.searchsorted(reached, wanted))
    starts = course.path[:-1]
    return [(starts[k] + 0.55 * steps[k], starts[k] + 0.65 * steps[k]) for k in chosen]


def end_labels(course: Course) -> list[tuple[str, Array, bool]]:
    """Name the ends of the path, and tell whether the texts stand above, away from the path."""
    path, found = course.path, []
    ends = ((-1, -2),) if len(path) == 1 or course.is_dot else ((0, 1), (-1, -2))
    for end, beside in ends:
        next_to = path[beside] if len(path) > 1 else path[end]
        found.append(
            (f"{course.unit} {course.at[end]}", path[end], bool(next_to[1] <= path[end][1]))
        )
    return found


def is_left(course: Course, point: Array) -> bool:
    """Tell whether a point is in the left half, where its name stands to the right of it."""
    return bool(point[0] < np.mean(course.panel.x))
