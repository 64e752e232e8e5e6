"""An analysis as somebody would add it: a record, a function, a figure."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from figures.output import Drawing
from landscape.analyses.analysis import analysis, precision
from landscape.analyses.catalogue import Analysis
from landscape.results.fields import Array, axes
from landscape.results.result import Result
from landscape.results.table import numbers, words


@dataclass(frozen=True)
class Toy(Result):
    """Share of each class."""

    class_name: Array = axes("class", path="class")  # noqa: RUF009
    share: Array = axes("class")  # noqa: RUF009

    def table_columns(self):
        return {"class": words(self.class_name), "share": numbers(self.share)}, "toy shares"


@analysis("toy")
def toy(subject, *, data=None, dtype=None, batch_size=256, seed=0):
    labels = subject.on(data).data.labels
    counts = np.bincount(labels, minlength=subject.num_classes) + 0 * batch_size + 0 * seed
    assert precision(dtype, subject)
    return Toy(class_name=np.array(subject.class_names), share=counts / counts.sum())


class Bars(Drawing):
    """The shares of each run."""

    def __init__(self, shares):
        self.shares = shares

    def draw(self):
        figure = Figure()
        for share in self.shares:
            figure.add_subplot().bar(range(len(share)), share)
        return figure

    def page(self):
        return go.Figure([go.Bar(y=share) for share in self.shares])


def read(request):
    return Bars([run.load(Toy, request.checkpoint)[0].share for run in request.runs])


ENTRY = Analysis(
    "toy",
    "share of each class",
    ("toy-bars", "toy-bars"),
    ("dtype", "batch_size", "seed"),
    ("data",),
    function=f"{__name__}:toy",
    record=f"{__name__}:Toy",
)
