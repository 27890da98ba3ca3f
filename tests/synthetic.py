"""Events and results of known quality, for tests that need no network and no file."""

import hashlib
import json

import numpy as np

from cherenkov_mlops.figures import figure_data
from cherenkov_mlops.metrics import EvaluationSettings, evaluate_metrics
from cherenkov_mlops.results import (
    Results,
    TaskResults,
    plain_values,
    results_from_json,
    results_to_json,
)
from cherenkov_mlops.tasks import TASKS as REGISTERED

TASKS = ("type", "energy", "cameradirection", "skydirection")
SETTINGS = EvaluationSettings(n_bootstrap=40)
STAGE = {
    "started": "2026-01-02T03:04:05+00:00",
    "ended": "2026-01-02T04:05:06+00:00",
    "state": "complete",
    "machine": {"host": "node-7"},
    "git": {"commit": "0123abc", "dirty": True},
    "slurm": {},
}
KIND_TASKS = {"type": "type", "energy": "energy", "direction": "skydirection"}


def make_events(
    n_events: int = 600, noise: float = 1.0, seed: int = 1, network: int = 0
) -> dict[str, np.ndarray]:
    """Event table for all tasks; ``noise`` scales the errors, ``network`` seeds them."""
    sky, net = np.random.default_rng(seed), np.random.default_rng([seed, network, 7])
    signal = sky.random(n_events) < 0.5
    energy = 10 ** sky.uniform(-1, 2, n_events)
    true_alt, true_az = sky.normal(70, 1, n_events), sky.normal(0, 3, n_events) % 360
    distance, width = 2 / noise, 1.5
    position = np.where(signal, distance, -distance) + net.normal(0, width, n_events)
    # The true log-odds of the two Gaussians, made the more over-confident the larger the noise.
    logit = position * 2 * distance / width**2 * (1 + 0.6 * noise)
    error = noise * (0.03 + 0.1 * net.normal(size=n_events))
    return {
        "obs_id": np.arange(n_events) // 100,
        "event_id": np.arange(n_events) % 100,
        "signal": signal,
        "gh_score": 1 / (1 + np.exp(-logit)),
        "true_energy": energy,
        "reco_energy": energy * np.exp(error),
        "true_alt": true_alt,
        "true_az": true_az,
        "reco_alt": true_alt + noise * 0.1 * net.normal(size=n_events),
        "reco_az": (true_az + noise * 0.2 * net.normal(size=n_events)) % 360,
        "pointing_alt": np.full(n_events, 70.0),
        "pointing_az": np.zeros(n_events),
    }


def make_results(
    task: str | tuple[str, ...] = "type",
    name: str = "study",
    noise: float = 1.0,
    n_events: int = 600,
    network: int = 0,
    settings: EvaluationSettings = SETTINGS,
) -> Results:
    """Results of a run with errors of this size, as the test stage would write them."""
    tasks = (task,) if isinstance(task, str) else task
    events = make_events(n_events, noise, network=network)
    background = 900 if "type" in tasks else 0
    facts = make_facts(noise, n_events)
    training = make_training(noise)
    parts = {}
    for each in tasks:
        metrics, replicates = evaluate_metrics(events, REGISTERED[each].kind, settings)
        parts[each] = {
            "test": {"signal": n_events // 2, "background": n_events // 2},
            "n_invalid": 12,
            "test_digest": hashlib.sha256(b"test files").hexdigest(),
            "metrics": metrics,
            "replicates": replicates,
            "figures": figure_data(events, REGISTERED[each].kind, settings),
            "predictions": {"n": n_events, "n_distinct": n_events, "n_most_common": 1},
            "examples": make_examples(each),
        }
    content = {
        "run": {
            "name": name,
            "tasks": list(tasks),
            "mode": "stereo" if "skydirection" in tasks else "mono",
            "created": "2026-01-02T03:04:05+00:00",
            "title": "",
            "seed": 0,
            "classes": {"signal": "gamma", "background": "proton"},
        },
        "config": {
            "run": {"name": name, "seed": 0},
            "train": {"n_epochs": 8, "optimizer": {"name": "Adam", "base_learning_rate": noise}},
            "model": {"type": "ResNet", "head_layers": {each: [64, 1] for each in tasks}},
        },
        "config_changes": {"train.n_epochs": [10, 8], "model.head_layers": [None, {"a": [64, 1]}]},
        "data": {
            "train": {"signal": 1000, "background": background},
            "validation": {"signal": 100, "background": background // 10},
            "cuts": [
                {"cut": "all", "signal": 1500, "background": 1300},
                {"cut": "> 50 phe", "signal": 1100, "background": 990},
            ],
            "energy": {"signal": [300, 500, 300], "background": [background // 3] * 3},
            "energy_edges_tev": [0.1, 1.0, 10.0, 100.0],
            "overlap": [],
            "simulation": make_simulation(("gamma", "proton") if background else ("gamma",)),
            "findings": [
                {"level": "hint", "check": "telescopes", "text": "Telescopes 7 have no images."},
            ],
            "files": {},
        },
        "evaluation": settings.dump(),
        "facts": facts,
        "metrics": evaluate_metrics(facts, "generic", settings)[0],
        "figures": figure_data(training, "generic", settings),
        "tasks": parts,
        "training": training,
        "model": {"name": "ResNet", "summary": "Layer   Parameters\nconv <1>     1,234,567"},
        "provenance": {
            "versions": {"python": "3.12.1", "keras": "3.11"},
            "machine": {"host": "node-7", "cpus": 2},
            "stages": {"train": [STAGE], "test": [STAGE | {"state": "running"}]},
        },
    }
    content["schema_version"] = 2
    # By way of JSON, as every reader gets them.
    return results_from_json(json.dumps(plain_values(content)), name)


def only_task(run: Results) -> TaskResults:
    """Results of the run's only task."""
    (task,) = run.tasks.values()
    return task


def as_version_1(run: Results) -> dict:
    """Content of a ``metrics.json`` of schema 1 with these results of one task."""
    content = results_to_json(run)
    ((name, task),) = content.pop("tasks").items()
    content["run"]["task"] = content["run"].pop("tasks")[0]
    content["data"] |= {key: task[key] for key in ("test", "n_invalid", "test_digest")}
    content["data"]["predictions"] = task["predictions"]
    for section in ("metrics", "figures"):
        content[section] = {**task[section], **content[section]}
    return content | {
        "replicates": task["replicates"],
        "examples": task["examples"],
        "schema_version": 1,
    }


def make_simulation(names: tuple[str, ...]) -> list[dict]:
    """Section ``data.simulation``: what was thrown for each class."""
    thrown = {
        "spectral_index": -2.0,
        "energy_min_tev": 0.5,
        "energy_max_tev": 300.0,
        "viewcone_deg": [0.0, 5.0],
        "scatter_radius_m": 400.0,
        "n_thrown": 5000,
    }
    return [
        {
            "label": label,
            "name": name,
            "has_showers": True,
            "productions": [thrown],
            "pointings": [[20.0, 180.0]],
            "particles": {name: 900},
            "n_files": 2,
            "n_showers": 900,
        }
        for label, name in zip(("signal", "background"), names, strict=False)
    ]


def make_facts(noise: float = 1.0, n_events: int = 600) -> dict[str, float]:
    """Section ``facts``."""
    return {
        "scheduled_epochs": 8,
        "effective_epochs": 8,
        "batch_size": 64,
        "n_training_events": 1900,
        "n_testing_events": n_events,
        "n_layers": 31,
        "n_parameters": 1_234_567,
        "n_trainable_parameters": 1_230_000,
        "n_nonzero_parameters": 1_234_000,
        "sparsity": 0.0,
        "gflops": 0.512,
        "mmacs": 256.1,
        "effective_mmacs": 255.9,
        "model_size_mb": 4.94,
        "model_size_zipped_mb": 4.51,
        "model_size_packed_mb": 1.21,
        "training_time_s": 73.4 * noise,
        "testing_time_s": 4.2,
        "reading_time_ms": 0.61,
        "network_time_ms": 0.21,
    }


def make_examples(task: str = "type") -> dict:
    """Section ``examples``: one image of each kind in a camera of seven pixels."""
    angle = np.radians(60 * np.arange(6))
    camera = {
        "x": [0.0, *np.cos(angle).round(4).tolist()],
        "y": [0.0, *np.sin(angle).round(4).tolist()],
        "area": 0.866,
        "shape": "hexagon",
        "rotation_deg": 0.0,
    }
    values = {"gh_score": 0.7, "true_energy": 3.2, "reco_energy": 2.5}
    values |= {"true_alt": 70.0, "true_az": 0.5, "reco_alt": 69.5, "reco_az": 359.5}
    event = {"obs_id": 1, "tel_id": 2, "camera": "Seven", "error": 0.3, "values": values}
    if "direction" in task:
        event |= {"true": [0.5, 0.1], "reco": [0.1, 0.5]}
    events = [
        event | {"kind": kind, "event_id": number, "signal": number < 2, "image": [9.5, *range(6)]}
        for number, kind in enumerate(("best", "typical", "worst"))
    ]
    return {"cameras": {"Seven": camera}, "events": events}


def make_training(noise: float = 1.0, n_epochs: int = 8) -> dict:
    """Section ``training`` with a resumed training whose validation loss rises at the end."""
    epoch = np.arange(1, n_epochs + 1)
    loss = noise * np.exp(-epoch / 3) + 0.2
    val_loss = loss + 0.02 * (epoch - 4) ** 2 / 4 + 0.03
    return {
        "history": {
            "epoch": epoch.tolist(),
            "loss": loss.tolist(),
            "val_loss": val_loss.tolist(),
            "learning_rate": (1e-4 / 2 ** (epoch // 4)).tolist(),
            "accuracy": (1 - 0.4 * loss).tolist(),
            "val_accuracy": (1 - 0.4 * val_loss).tolist(),
            "seconds": (9.5 + epoch % 2).tolist(),
            "events_per_s": (310.0 - epoch).tolist(),
            "share_never_seen": [0.0] * n_epochs,
            "sparsity": (0.8 * (1 - np.exp(-epoch / 2))).tolist(),
            "sparsity/conv_1": (0.7 * (1 - np.exp(-epoch / 2))).tolist(),
            "threshold/conv_1": (0.01 * epoch).tolist(),
        },
        "best_epoch": int(epoch[np.argmin(val_loss)]),
        "attempts": [1, 5],
    }
