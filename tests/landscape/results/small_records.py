"""Small records and their origin, for tests to vary."""

from dataclasses import fields

import numpy as np

from landscape.results.accuracy import Accuracy
from landscape.results.provenance import Provenance
from landscape.results.spectrum import Spectrum

NAN = float("nan")


def record(kind, **given):
    """A record with NaN in every field that is not given."""
    return kind(**{f.name: np.array(NAN) for f in fields(kind)} | given)


CLASSES = {
    "class_name": np.array(["cat", "dog"]),
    "training_count": np.array([40, 4]),
    "samples": np.array([20, 3]),
}
ACCURACY = record(
    Accuracy,
    **{name: CLASSES[name] for name in ("class_name", "training_count")},
    confusion=np.array([[9, 1, 0], [2, 1, 1]]),
    per_class=np.array([0.9, 0.25]),
    group_name=np.array(["overall", "tail"]),
    group=np.array([0.71428571, NAN]),
    ece=np.array([0.123456, 0.5]),
    split=np.array("saddle"),
    open_set=np.array([6.0, 2.0, 1.0, 3.0]),
)


def spectrum(**changes):
    plain = {
        "scope": np.array(["overall", "class/1"]),
        "training_count": np.array([44, 4]),
        "samples": np.array([23, 3]),
        "loss": np.array([0.5, 2.0]),
        "lambda_max": np.array([4.0, 2.0]),
        "lambda_min": np.array([-1.0, 0.5]),
        "lowest": np.array([-1.5, 0.25]),
        "highest": np.array([5.0, 2.5]),
        "noise_floor": np.array([0.25, 0.125]),
        "trace": np.array([10.0, 3.0]),
        "trace_sem": np.array([0.5, 0.0]),
        "converged": np.array([True, True]),
        "gradient_small": np.array([True, True]),
        "verdict": np.array(["saddle", "minimum"]),
    }
    return record(Spectrum, **plain | changes)


def origin(analysis="spectrum", **diagnose):
    names = ("created", "device", "torch", "weights_sha256", "data_sha256")
    config = {"diagnose": diagnose, "class_names": ["cat", "dog"], "plan": {"method": "ce"}}
    return Provenance(
        analysis=analysis,
        checkpoint="epoch_0200",
        config=config,
        seed=3,
        dtype="float32",
        loss="cross_entropy",
        bn_mode="eval",
        seconds=1.5,
        **dict.fromkeys(names, "x"),
    )
