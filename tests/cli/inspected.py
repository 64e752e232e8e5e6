"""Made-up runs for the inspector, in folders as training and diagnosis write them."""

import json

import numpy as np

from cli.inspector.library import Library
from cli.inspector.state import View
from landscape.results import Accuracy, Spectrum, save
from tests.figures import gradient_records, records, run_records

EPOCHS = (0, 100, 200)
HOME = "127.0.0.1:8050"


def write_config(folder, method="ce", *, classes=10, seed=0, accuracy=0.71, **changes):
    """Write config.json and metrics.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = run_records.plan(method, seed=seed, **changes)
    config = {
        "plan": stored,
        "class_names": [str(c) for c in range(classes)],
        "class_counts": run_records.counts(classes),
    }
    (folder / "config.json").write_text(json.dumps(config))
    line = {"epoch": 200, "train_loss": 0.1, "test_accuracy": accuracy}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return stored


def write_checkpoints(folder, epochs=EPOCHS):
    """Write files that stand for checkpoints; the inspector must not open them."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    for epoch in epochs:
        (folder / "checkpoints" / f"epoch_{epoch:04d}.pt").write_bytes(b"not to be opened")


def spectrum(classes=10, share=1.0, seed=0):
    """A spectrum of all scopes whose tail is the more negative the later it is."""
    scopes = ("overall", "head", "mid", "tail", *(f"class/{c}" for c in range(classes)))
    found = run_records.spectrum(-2.0, scopes, seed)
    low = -1 - share * 9 * np.linspace(0.1, 1, len(scopes))
    values = found.ritz_values.copy()
    values[..., 0] = low[:, None]
    fields = {name: getattr(found, name) for name in Spectrum.__dataclass_fields__}
    return Spectrum(**fields | {"lambda_min": low, "ritz_values": values})


def accuracy(classes=10, seed=0):
    """A confusion that spreads from head to tail."""
    rng = np.random.default_rng(seed)
    found = run_records.accuracy(classes=classes)
    confusion = np.stack(
        [rng.multinomial(100, 0.9 * np.eye(classes)[c] + 0.1 / classes) for c in range(classes)]
    )
    fields = {name: getattr(found, name) for name in Accuracy.__dataclass_fields__}
    return Accuracy(**fields | {"confusion": confusion, "per_class": np.diag(confusion) / 100})


def write_run(folder, method="ce", *, classes=10, seed=0, epochs=EPOCHS, kinds=None, **changes):
    """Write a run with every result, or those of ``kinds``, at every epoch."""
    stored = write_config(folder, method, classes=classes, seed=seed, **changes)
    write_checkpoints(folder, epochs)
    for epoch in epochs:
        share = epoch / max(epochs[-1], 1)
        path = {} if classes != 10 else records.trajectory_fields()
        kind = path.pop("kind", ("random", "random"))
        made = {
            "spectrum": spectrum(classes, share, seed),
            "accuracy": accuracy(classes, seed),
            "surface": records.surface_record(
                sharp=1 + share, kind=kind, counts=tuple(run_records.counts(classes)), **path
            ),
            "gradients": gradient_records.gradients(share, classes, seed),
            "features": gradient_records.features(share, classes, seed, embedded=20 * classes),
            "similarity": gradient_records.similarity(share, classes, seed),
        }
        for analysis in kinds or made:
            name = f"epoch_{epoch:04d}"
            origin = run_records.provenance(analysis, name, folder.name, stored, classes)
            save(made[analysis], origin, folder / "results" / analysis / f"{name}.h5")
    return folder


def client(folder):
    """Open the server of a folder without a browser."""
    from cli.inspector.app import create

    app, jobs = create(folder)
    return app.server.test_client(), jobs


def said(folder, panel, *names, **view):
    """Sentences of a panel, and how many pictures it has."""
    from cli.inspector.panels import cells

    rows = cells(Library.open(folder), View(runs=names, **view), panel)
    places = [cell for row in rows for cell in row]
    return [c.sentence for c in places if c.sentence], sum(c.figure is not None for c in places)


def callback(page, output, inputs, state=(), changed=()):
    """Ask for one callback as the page does; ``output`` is how its name begins."""
    known = page.get("/_dash-dependencies", headers={"Host": HOME}).get_json()
    (name,) = [d["output"] for d in known if d["output"].startswith(output)]
    body = {"output": name, "inputs": inputs, "state": list(state), "changedPropIds": list(changed)}
    parts = [p for p in name.strip(".").split("...") if p]
    split = [{"id": p.rpartition(".")[0], "property": p.rpartition(".")[2]} for p in parts]
    body["outputs"] = split if name.startswith("..") else split[0]
    return page.post("/_dash-update-component", json=body, headers={"Host": HOME})
