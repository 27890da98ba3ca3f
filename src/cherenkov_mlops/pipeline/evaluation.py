"""From DL2 files and facts to the content of ``metrics.json``."""

import csv
import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
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


def read_predictions(
    config: RunConfig, inputs: Inputs, run_dir: RunDir
) -> tuple[pd.DataFrame, int]:
    """Event table of all DL2 files, sorted by event, and the number of rows left out as invalid.

    The order is the same for all runs with the same test events: bootstraps of two runs then draw
    the same events.
    """
    parts, n_invalid = [], 0
    for label in inputs.files:
        for output in inputs.outputs(label, run_dir).values():
            if not output.exists():
                continue
            events, n_left_out = read_events(
                output, config.task, config.data.mode, signal=label == "signal"
            )
            parts.append(events)
            n_invalid += n_left_out
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(_keys(table), ignore_index=True, kind="stable"), n_invalid


def _keys(events: pd.DataFrame) -> list[str]:
    return [name for name in IDENTIFIERS if name in events]


def evaluate_run(
    config: RunConfig, run_dir: RunDir, events: pd.DataFrame, facts: dict[str, Any]
) -> Results:
    """Every metric and the arrays of every figure of the run.

    Parameters
    ----------
    config : RunConfig
        The run.
    run_dir : RunDir
        Its folder, with manifest and history.
    events : DataFrame
        Event table (``data.dl2.read_events``).
    facts : dict
        Epochs, sizes and times.
    """
    settings = EvaluationSettings.from_config(config)
    training = _read_training(run_dir, facts)
    # Once for both: what metrics compute from the events, figures need not compute again.
    kind = TASKS[config.task].kind
    columns = extract_events(events, kind)
    values, replicates = evaluate_metrics(columns, kind, settings)
    generic, _ = evaluate_metrics(facts, "generic", settings)
    figures = figure_data(columns, kind, settings)
    figures |= figure_data(training, "generic", settings)
    return Results(
        run=_describe_run(config),
        config=config.dump(),
        config_changes={key: list(pair) for key, pair in config.changes_from_defaults().items()},
        data=_describe_data(run_dir, events),
        evaluation=settings.dump(),
        facts=facts,
        metrics=generic | values,
        replicates=replicates,
        figures=figures,
        training=training,
        model={
            "name": config.model.type,
            "summary": run_dir.model_summary.read_text(encoding="utf-8"),
        },
        provenance=_describe_provenance(run_dir),
    )


def _describe_run(config: RunConfig) -> dict[str, Any]:
    return {
        "name": config.run.name,
        "task": config.task,
        "mode": config.data.mode,
        "created": timestamp(),
        "title": config.report.title or config.run.name,
        "seed": config.run.seed,
        "classes": config.data.classes.model_dump(),
    }


def _describe_data(run_dir: RunDir, events: pd.DataFrame) -> dict[str, Any]:
    manifest = json.loads(run_dir.manifest.read_text(encoding="utf-8"))
    n_signal = int(events["signal"].sum())
    return {
        "train": manifest["counts"]["sets"]["training"],
        "validation": manifest["counts"]["sets"]["validation"],
        "test": {"signal": n_signal, "background": len(events) - n_signal},
        "cuts": manifest["counts"]["cuts"],
        "energy": manifest["counts"]["energy"],
        "energy_edges_tev": manifest["counts"]["energy_edges_tev"],
        "simulation": manifest.get("classes", []),
        # Which files overlap at the test, the test itself finds out.
        "findings": [
            finding for finding in manifest.get("findings", []) if finding["check"] != "overlap"
        ],
        "test_digest": digest_of(events),
        "files": {
            label: [{key: file[key] for key in ("path", "sha256")} for file in files]
            for label, files in manifest["files"].items()
        },
    }


def digest_of(events: pd.DataFrame) -> str:
    """Digest of which events were evaluated (not of what was predicted for them)."""
    identity = np.ascontiguousarray(events[_keys(events)].to_numpy(dtype=np.int64))
    return hashlib.sha256(identity.tobytes()).hexdigest()


def _read_training(run_dir: RunDir, facts: dict[str, Any]) -> dict[str, Any]:
    with run_dir.history.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    history: dict[str, list[float]] = {name: [float(row[name]) for row in rows] for name in rows[0]}
    history["epoch"] = [int(epoch) for epoch in history["epoch"]]
    return {"history": history, "best_epoch": facts["best_epoch"], "attempts": [1]}


def _describe_provenance(run_dir: RunDir) -> dict[str, Any]:
    stages = RunRecord.read(run_dir).content["stages"]
    return {
        "machine": machine(),
        "versions": package_versions(),
        "stages": {name: entry["attempts"] for name, entry in stages.items()},
    }
