"""An analysis as somebody would add it: a record, a function, a figure."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

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


def draw(request):
    figure = Figure()
    for run in request.runs:
        figure.add_subplot().plot(run.load(Toy, request.checkpoint)[0].share)
    return figure


ENTRY = Analysis(
    "toy",
    "share of each class",
    ("toy-bars", "toy-bars"),
    ("dtype", "batch_size", "seed"),
    ("data",),
    function=f"{__name__}:toy",
    record=f"{__name__}:Toy",
)
