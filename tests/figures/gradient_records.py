"""Synthetic run folders of gradients, features and similarities, plausible in shape and trend."""

from dataclasses import replace

import numpy as np

from figures.runs.folder import RunResults
from landscape.results.features import Features
from landscape.results.gradients import Gradients
from landscape.results.hdf5 import save
from landscape.results.provenance import Provenance
from landscape.results.similarity import Similarity

EPOCHS = (0, 5, 10, 20, 40, 80, 120, 160, 200)


def counts(classes, head=5000, imbalance=100):
    return np.array([int(head * imbalance ** (-c / (classes - 1))) for c in range(classes)])


def gradients(progress=0.5, classes=10, seed=0, absent=()):
    """Gradients whose tail turns against the head as training progresses from 0 to 1."""
    rng = np.random.default_rng(seed)
    place = np.linspace(-1, 1, classes)
    common = 1.2 - 1.4 * progress
    vectors = 0.25 * rng.normal(size=(classes, 40))
    vectors[:, 0] += common
    vectors[:, 1] += place * (0.4 + 1.2 * progress)
    vectors *= np.exp(1.5 * progress * place)[:, None]
    vectors[list(absent)] = np.nan
    norm = np.linalg.norm(vectors, axis=1)
    mean = np.nanmean(vectors, axis=0)
    unit = vectors / norm[:, None]
    similarity = unit @ unit.T
    to_mean = unit @ (mean / np.linalg.norm(mean))
    pairs = np.argwhere(np.triu(np.isfinite(similarity), 1))
    negative = [(i, j) for i, j in pairs if similarity[i, j] < 0]
    shorter = [i if norm[i] < norm[j] else j for i, j in negative]
    names = np.array([str(c) for c in range(classes)])
    layers = np.stack([similarity, -np.abs(similarity)])
    return Gradients(
        class_name=names,
        training_count=counts(classes),
        samples=np.where(np.isnan(norm), 0, 50),
        share=np.where(np.isnan(norm), 0, 1) / np.isfinite(norm).sum(),
        loss=0.1 + norm,
        similarity=similarity,
        similarity_std=np.full_like(similarity, 0.05),
        similarity_to_mean=to_mean,
        similarity_to_unit_mean=to_mean,
        similarity_to_batch=np.clip(to_mean - 0.3 * place, -1, 1),
        similarity_to_direction=np.full(classes, np.nan),
        norm=norm,
        norm_ratio=norm / np.linalg.norm(mean),
        conflicts=np.array(len(negative)),
        dominated_unit=np.array(0),
        dominated=np.array(sum(to_mean[c] < 0 for c in shorter)),
        pairs=np.array(len(pairs)),
        batches=np.array(8),
        mode=np.array("eval"),
        layer=np.array(["stem", "layer3"]),
        layer_similarity=layers,
        layer_norm=np.stack([norm, norm[::-1]]),
        layer_similarity_to_mean=np.stack([to_mean, -np.abs(to_mean)]),
    )


def features(progress=0.5, classes=10, seed=0, embedded=0):
    """Features whose tail gets worse past the middle of training."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, 1, classes)
    separation = 2 + 6 * progress - 5 * place * progress**2 + 0.1 * rng.normal(size=classes)
    variance = np.exp(1 - 2 * progress + 1.5 * place)
    label = np.sort(rng.integers(0, classes, embedded))
    angle = 2 * np.pi * label / classes
    centres = 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Features(
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=counts(classes),
        samples=np.full(classes, 50),
        quality=separation - 0.5 * np.log(variance),
        quality_released=-1 / separation - np.log(variance),
        separation=separation,
        variance=variance,
        nc1=np.array(0.5),
        nc1_class=np.full(classes, 0.05),
        nc2_norms=np.array(0.1),
        nc2=np.array(0.2),
        nc3=np.array(0.3),
        nc4=np.array(0.9),
        dimension=np.array(64),
        embedding=centres + 5 * rng.normal(size=(embedded, 2)),
        label=label,
        split=np.array("saddle"),
    )


def similarity(progress=0.5, classes=10, seed=0, measures=("cca", "svcca", "pwcca", "cka")):
    """Head and tail that grow apart."""
    rng = np.random.default_rng(seed)
    many = np.arange(len(measures))
    matrix = np.broadcast_to(0.5, (len(measures), classes, classes))
    return Similarity(
        measure=np.array(measures),
        class_name=np.array([str(c) for c in range(classes)]),
        training_count=counts(classes),
        score=matrix,
        shuffled_baseline=matrix / 2,
        head_tail=0.75 - 0.25 * progress - 0.05 * many + 0.01 * rng.normal(size=len(measures)),
        head_tail_sem=np.full(len(measures), 0.015),
        head_tail_baseline=0.33 + 0.01 * rng.normal(size=len(measures)),
        rows=np.array(600),
        dimension=np.array(64),
        draws=np.array(20),
        paired=np.array("class-balanced draws"),
    )


def save_run(folder, build, *, method="ce-drw", epochs=EPOCHS, names=None, **options):
    """Write a run whose record at each epoch is ``build(progress, seed=…, **options)``."""
    for seed, epoch in enumerate(epochs):
        record = build(epoch / max(max(epochs), 1), seed=seed + 100 * len(method), **options)
        if names is not None:
            record = replace(record, class_name=np.array(names))
        analysis = type(record).__name__.lower()
        checkpoint = f"epoch_{epoch:04d}"
        path = folder / "results" / analysis / f"{checkpoint}.h5"
        save(record, provenance(folder.name, method, analysis, checkpoint, record), path)
    return RunResults.open(folder)


def provenance(run, method, analysis, checkpoint, record):
    plan = {"method": method, "reweighting_epoch": 160 if "drw" in method else None}
    return Provenance(
        analysis=analysis,
        checkpoint=checkpoint,
        config={"run": run, "plan": plan, "class_names": [str(n) for n in record.class_name]},
        created="2026-01-01T00:00:00+00:00",
        seed=0,
        dtype="float32",
        device="cpu",
        torch="2.6",
        weights_sha256="a",
        data_sha256="b",
        bn_mode="eval",
        loss="cross_entropy",
        seconds=1.5,
    )
