"""From DL2 files and facts to the content of ``metrics.json``."""

import csv
import hashlib
import json
import logging
from typing import Any

import numpy as np
import pandas as pd

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.examples import pick_examples, read_example_images
from cherenkov_mlops.data.predictions import describe_predictions
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.figures import figure_data
from cherenkov_mlops.metrics import EvaluationSettings, evaluate_metrics
from cherenkov_mlops.metrics.base import GENERIC
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.pipeline.predictions import Predictions
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.provenance import machine, package_versions, timestamp
from cherenkov_mlops.results import Results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS

log = logging.getLogger(__name__)

IDENTIFIERS = ["signal", "obs_id", "event_id", "tel_id"]


def read_events_of(
    task: str, predictions: Predictions, mode: str, run_dir: RunDir
) -> tuple[pd.DataFrame, int]:
    """Read the event table of a task from all DL2 files, and count its rows without prediction.

    The table is sorted by event, so that the order is the same for all runs with the same test
    events: bootstraps of two runs then draw the same ones. A task that is learnt without
    background is evaluated without, whatever else the files hold.
    """
    inputs = predictions.inputs
    labels = [name for name in inputs.files if name == "signal" or TASKS[task].needs_background]
    parts = [
        read_events(path, task, mode, signal=label == "signal")
        for label in labels
        for path in inputs.outputs(label, run_dir).values()
        if path.exists()
    ]
    table = pd.concat([events for events, _ in parts], ignore_index=True)
    table = table.sort_values(_keys(table), ignore_index=True, kind="stable")
    return table, sum(n_invalid for _, n_invalid in parts)


def _keys(events: pd.DataFrame) -> list[str]:
    return [name for name in IDENTIFIERS if name in events]


def digest_of(events: pd.DataFrame) -> str:
    """Digest of which events were evaluated (not of what was predicted for them)."""
    identity = np.ascontiguousarray(events[_keys(events)].to_numpy(dtype=np.int64))
    return hashlib.sha256(identity.tobytes()).hexdigest()


def evaluate_run(config: RunConfig, run_dir: RunDir, predictions: Predictions) -> Results:
    """Compute every metric and the arrays of every figure of a predicted run, task by task.

    Parameters
    ----------
    config : RunConfig
        The run.
    run_dir : RunDir
        Its folder, with manifest, history and DL2 files.
    predictions : Predictions
        What ``predict`` noted.

    Raises
    ------
    DataError
        A prediction is not finite, or an event has no truth.
    """
    settings = EvaluationSettings.from_config(config)
    facts = predictions.facts | predictions.measured_costs(run_dir)
    with run_dir.history.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    history: dict[str, list] = {name: [float(row[name]) for row in rows] for name in rows[0]}
    history["epoch"] = [int(epoch) for epoch in history["epoch"]]
    training = {
        "history": history,
        "best_epoch": facts["best_epoch"],
        # Trainings of older versions did not record it.
        "attempts": facts.pop("attempt_epochs", None) or [1],
    }
    manifest = json.loads(run_dir.manifest.read_text(encoding="utf-8"))
    counts = manifest["counts"]
    stages = RunRecord.read(run_dir).content["stages"]
    content = {
        "run": {
            "name": config.run.name,
            "tasks": list(predictions.tasks),
            "created": timestamp(),
            "classes": config.data.classes.model_dump(),
            "mode": config.data.mode,
            "seed": config.run.seed,
            "title": config.report.title or config.run.name,
        },
        "config": config.dump(),
        "config_changes": {k: list(pair) for k, pair in config.changes_from_defaults().items()},
        "data": {
            "train": counts["sets"]["training"],
            "validation": counts["sets"]["validation"],
            "cuts": counts["cuts"],
            "energy": counts["energy"],
            "energy_edges_tev": counts["energy_edges_tev"],
            "overlap": predictions.overlap,
            "files": {
                label: [{key: file[key] for key in ("path", "sha256")} for file in files]
                for label, files in manifest["files"].items()
            },
            "simulation": manifest.get("classes", []),
            # Which files overlap at the test, the test itself finds out.
            "findings": [
                *(each for each in manifest.get("findings", []) if each["check"] != "overlap"),
                *predictions.findings,
            ],
        },
        "evaluation": settings.dump(),
        "facts": facts,
        "metrics": evaluate_metrics(facts, GENERIC, settings)[0],
        "figures": figure_data(training, GENERIC, settings),
        "tasks": {
            task: evaluate_task(config, run_dir, task, predictions, settings)
            for task in predictions.tasks
        },
        "training": training,
        "model": {
            "name": config.model.type,
            "summary": run_dir.model_summary.read_text(encoding="utf-8"),
        },
        "provenance": {
            "machine": machine(),
            "versions": package_versions(),
            "stages": {name: entry["attempts"] for name, entry in stages.items()},
        },
    }
    return Results.model_validate(content)


def evaluate_task(
    config: RunConfig,
    run_dir: RunDir,
    task: str,
    predictions: Predictions,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Evaluate one task of a run: the content of its `TaskResults`."""
    events, n_invalid = read_events_of(task, predictions, config.data.mode, run_dir)
    kind, predicted = TASKS[task].kind, predictions.tasks[task]
    # Once for both: what metrics compute from the events, figures need not compute again.
    columns = extract_events(events, kind)
    metrics, replicates = evaluate_metrics(columns, kind, settings)
    n_signal = int(events["signal"].sum())
    # From the test files, where they still are: a page without example images is a page, too.
    files = {label: predictions.inputs.paths(label) for label in predictions.inputs.files}
    gone = [path for paths in files.values() for path in paths if not path.is_file()]
    if gone:
        log.warning("evaluate: %s is gone: no example images", gone[0])
        examples = {"cameras": {}, "events": []}
    else:
        examples = read_example_images(
            pick_examples(events, task),
            files,
            predictions.inputs.telescopes,
            config.data.focal_length_choice,
        )
    return {
        "source": predicted.source,
        "test": {"signal": n_signal, "background": len(events) - n_signal},
        "n_invalid": n_invalid,
        "test_digest": digest_of(events),
        "metrics": metrics,
        "replicates": replicates,
        "figures": figure_data(columns, kind, settings),
        "predictions": describe_predictions(events, task, predicted.trained_tev),
        "examples": examples,
    }
