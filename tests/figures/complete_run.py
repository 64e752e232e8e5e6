"""A made-up run with a result of every analysis, for tests of all kinds of figures."""

from dataclasses import replace

from landscape.results.hdf5 import save
from landscape.results.load import load_provenance
from tests.figures import diagnostic_records, run_records
from tests.figures import gradient_records as over_training
from tests.figures.records import sharpness_record, surface_record, trajectory_fields

OPTIONS = {"sweep": {"y": "overall:tail:lambda_min:conflicts"}, "surface": {"directions": "random"}}


def complete_run(folder, rho, class_names=None):
    """Write a run with a result of every analysis."""
    records = [
        run_records.accuracy(),
        run_records.spectrum(),
        run_records.gradients(),
        over_training.features(embedded=60),
        over_training.similarity(),
        sharpness_record(),
        diagnostic_records.spikes(),
        diagnostic_records.path(),
        diagnostic_records.gradient_noise(),
        diagnostic_records.stability(),
        surface_record(**trajectory_fields()),
    ]
    run = run_records.write_run(
        folder, "ce+sam", *records, seconds=1, rule={"rho": rho}, class_names=class_names
    )
    origin = load_provenance(folder / "results/spectrum/epoch_0200.h5")
    path = folder / "results/spectrum-saddle/epoch_0200.h5"
    save(run_records.spectrum(-1.0), replace(origin, analysis="spectrum-saddle"), path)
    path = folder / "results/recording/last.h5"
    save(run_records.recording(), replace(origin, analysis="recording"), path)
    return run
