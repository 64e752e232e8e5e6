"""Made-up runs for the inspector, in folders as training and diagnosis write them."""

import json
import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np

from cli.inspector.library import Library
from cli.inspector.view import View
from landscape.results.accuracy import Accuracy
from landscape.results.hdf5 import save
from landscape.results.provenance import external_plan
from landscape.results.spectrum import Spectrum
from tests.figures import diagnostic_records, gradient_records, records, run_records

EPOCHS = (0, 100, 200)
HOME = "127.0.0.1:8050"
COMMAND = "tailscape diagnose --model mypkg.nets:build --weights 'my models/model_final.pt'"


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
    return Spectrum(**fields | {"lambda_min": low, "lowest": low - 0.1, "ritz_values": values})


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
        write_results(folder, f"epoch_{epoch:04d}", stored, share, classes, seed, kinds)
    if kinds is None:
        write_recording(folder, stored)
    return folder


def write_recording(folder, stored):
    """Write what a recorder leaves of the whole training."""
    origin = run_records.provenance("recording", "step_000600", folder.name, stored)
    save(run_records.recording(), origin, folder / "results" / "recording" / "last.h5")


def write_results(folder, name, stored, share=1.0, classes=10, seed=0, kinds=None):
    """Write the results of one checkpoint."""
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
        "spikes": diagnostic_records.spikes(classes, seed=seed),
        "stability": diagnostic_records.stability(share, classes),
        "gradient_noise": diagnostic_records.gradient_noise(classes),
        "path": diagnostic_records.path(classes, seed=seed),
    }
    for analysis in kinds or made:
        origin = run_records.provenance(analysis, name, folder.name, stored, classes)
        save(made[analysis], origin, folder / "results" / analysis / f"{name}.h5")


def write_external(folder, name="model_final", *, command=COMMAND, kinds=("spectrum", "accuracy")):
    """Write the folder that the diagnosis of an external model leaves: no checkpoint is in it."""
    stored = external_plan("build", "mydata", run_records.counts())
    config = {
        "plan": stored,
        "class_names": [str(c) for c in range(10)],
        "class_counts": run_records.counts(),
        "outside": {"model": "mypkg.nets:build", "weights": f"{name}.pt", "command": command},
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_results(folder, name, stored, kinds=kinds)
    return folder


def write_two_runs(folder):
    """Write runs 'a' and 'b', of two methods and seeds."""
    write_run(folder / "a", "ce")
    write_run(folder / "b", "ce-drw+sam", seed=1)
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


def callback(page, output, inputs, state=(), changed=(), outputs=None):
    """Ask for one callback as the page does; ``output`` is how its name begins."""
    known = page.get("/_dash-dependencies", headers={"Host": HOME}).get_json()
    (name,) = [d["output"] for d in known if d["output"].startswith(output)]
    body = {"output": name, "inputs": inputs, "state": list(state), "changedPropIds": list(changed)}
    parts = [p for p in name.strip(".").split("...") if p]
    split = [{"id": p.rpartition(".")[0], "property": p.rpartition(".")[2]} for p in parts]
    body["outputs"] = outputs or (split if name.startswith("..") else split[0])
    return page.post("/_dash-update-component", json=body, headers={"Host": HOME})


@contextmanager
def served(folder):
    """Serve a folder at a free port, and give its address."""
    from werkzeug.serving import make_server

    from cli.inspector.app import create

    probe = make_server("127.0.0.1", 0, lambda *_: [])
    port = probe.port
    probe.server_close()
    app, jobs = create(folder, port=port)
    server = make_server("127.0.0.1", port, app.server, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{port}/"
    server.shutdown()
    server.server_close()
    jobs.close()


def chromium():
    """Path of a Chromium, and of its driver; None where one is missing."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    return program, shutil.which("chromedriver")


@contextmanager
def opened():
    """Open a headless browser with a new profile, whose console must stay without errors."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    program, driver = chromium()
    options = ChromeOptions()
    options.binary_location = program
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument("--enable-unsafe-swiftshader")  # embeddings are drawn with WebGL
    options.add_argument("--window-size=1280,1000")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=ChromeService(driver))
    resize(browser, 1280)
    try:
        yield browser
        errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    finally:
        browser.quit()
    assert errors == []


def resize(browser, width, height=16_000):
    """Make the window so tall that every panel is in sight."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait(browser, condition, seconds=30):
    """Wait until something holds, and give it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(lambda _: condition())


def drawn(browser):
    """Every picture that is there."""
    selector = ".board .js-plotly-plot .main-svg:first-child"
    return browser.find_elements("css selector", selector)


def press(browser, word):
    """Press a button by its text or label."""
    xpath = f"//main//button[normalize-space()='{word}' or @aria-label='{word}']"
    button = browser.find_element("xpath", xpath)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def headings(browser):
    """Headings of the places of all panels."""
    script = "return [...document.querySelectorAll('.board h3')].map(h => h.textContent)"
    return browser.execute_script(script)


def quiet(browser):
    """Wait until nothing is being drawn."""
    busy = "return document.querySelectorAll('.board [data-dash-is-loading=true]').length"
    time.sleep(0.4)
    wait(browser, lambda: browser.execute_script(busy) == 0)
