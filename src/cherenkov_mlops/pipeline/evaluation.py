"""From DL2 files and facts to the content of ``metrics.json``."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.examples import pick_examples, read_example_images
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.data.predictions import describe_predictions
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.figures import figure_data
from cherenkov_mlops.metrics import EvaluationSettings, evaluate_metrics
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.provenance import machine, package_versions, timestamp
from cherenkov_mlops.results import Results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS

IDENTIFIERS = ["signal", "obs_id", "event_id", "tel_id"]


@dataclass(frozen=True)
class Predicted:
    """Predictions of one task with their truth.

    Parameters
    ----------
    events : DataFrame
        Event table, sorted by event.
    n_invalid : int
        Rows left out because they have no prediction.
    source : RunDir
        Run whose model predicted them.
    """

    events: pd.DataFrame
    n_invalid: int
    source: RunDir


def tasks_of(config: RunConfig) -> list[str]:
    """Tasks of the run's own model."""
    return list(getattr(config, "tasks", None) or [config.task])


def read_predictions(config: RunConfig, inputs: Inputs, run_dir: RunDir) -> dict[str, Predicted]:
    """Read the DL2 files: a table for each task, those of ``test.with_runs`` after the run's own.

    Tables are sorted by event, so that the order is the same for all runs with the same test
    events: bootstraps of two runs then draw the same ones. A task that is learnt without
    background is evaluated without, whatever else the files hold.
    """
    sources = dict.fromkeys(tasks_of(config), run_dir)
    for folder in config.test.with_runs:
        other, place = open_run(Path(folder))
        sources |= dict.fromkeys(tasks_of(other), place)
    found = {}
    for task, source in sources.items():
        labels = [name for name in inputs.files if name == "signal" or TASKS[task].needs_background]
        parts = [
            read_events(path, task, config.data.mode, signal=label == "signal")
            for label in labels
            for path in inputs.outputs(label, run_dir).values()
            if path.exists()
        ]
        table = pd.concat([events for events, _ in parts], ignore_index=True)
        table = table.sort_values(_keys(table), ignore_index=True, kind="stable")
        found[task] = Predicted(table, sum(n for _, n in parts), source)
    return found


def _keys(events: pd.DataFrame) -> list[str]:
    return [name for name in IDENTIFIERS if name in events]


def digest_of(events: pd.DataFrame) -> str:
    """Digest of which events were evaluated (not of what was predicted for them)."""
    identity = np.ascontiguousarray(events[_keys(events)].to_numpy(dtype=np.int64))
    return hashlib.sha256(identity.tobytes()).hexdigest()


def evaluate_run(
    config: RunConfig,
    run_dir: RunDir,
    predicted: Mapping[str, Predicted],
    facts: Mapping[str, Any],
    *,
    testing: Inputs | None = None,
    overlap: Sequence[str] = (),
    findings: Sequence[Mapping[str, str]] = (),
) -> Results:
    """Compute every metric and the arrays of every figure of the run, task by task.

    Parameters
    ----------
    config : RunConfig
        The run.
    run_dir : RunDir
        Its folder, with manifest and history.
    predicted : mapping of str to Predicted
        From `read_predictions`.
    facts : mapping
        Epochs, sizes and times; ``attempt_epochs`` are the first epochs of the attempts to train.
    testing : Inputs, optional
        Test files, for images of examples.
    overlap : sequence of str
        Test files that were trained on.
    findings : sequence of mapping
        What is odd about the test files.
    """
    settings = EvaluationSettings.from_config(config)
    facts = dict(facts)
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
            "tasks": list(predicted),
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
            "overlap": list(overlap),
            "files": {
                label: [{key: file[key] for key in ("path", "sha256")} for file in files]
                for label, files in manifest["files"].items()
            },
            "simulation": manifest.get("classes", []),
            # Which files overlap at the test, the test itself finds out.
            "findings": [
                *(each for each in manifest.get("findings", []) if each["check"] != "overlap"),
                *findings,
            ],
        },
        "evaluation": settings.dump(),
        "facts": facts,
        "metrics": evaluate_metrics(facts, "generic", settings)[0],
        "figures": figure_data(training, "generic", settings),
        "tasks": {
            task: _evaluate_task(config, run_dir, task, each, settings, testing)
            for task, each in predicted.items()
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


def _evaluate_task(
    config: RunConfig,
    run_dir: RunDir,
    task: str,
    predicted: Predicted,
    settings: EvaluationSettings,
    testing: Inputs | None,
) -> dict[str, Any]:
    """Evaluate one task: the content of `TaskResults`."""
    events, source = predicted.events, predicted.source
    # Once for both: what metrics compute from the events, figures need not compute again.
    columns = extract_events(events, TASKS[task].kind)
    metrics, replicates = evaluate_metrics(columns, task, settings)
    n_signal = int(events["signal"].sum())
    trained = read_manifest(source).inputs.all_files() if testing is not None else []
    energies = [file.energy_range_tev for file in trained if any(file.energy_range_tev)]
    found = {
        "source": "" if source == run_dir else source.name,
        "test": {"signal": n_signal, "background": len(events) - n_signal},
        "n_invalid": predicted.n_invalid,
        "test_digest": digest_of(events),
        "metrics": metrics,
        "replicates": replicates,
        "figures": figure_data(columns, task, settings),
        "predictions": describe_predictions(
            events,
            task,
            (min(low for low, _ in energies), max(high for _, high in energies))
            if energies
            else (0.0, 0.0),
        ),
    }
    if testing is not None:
        found["examples"] = read_example_images(
            pick_examples(events, task),
            {label: testing.paths(label) for label in testing.files},
            testing.telescopes,
            config.data.focal_length_choice,
        )
    return found
