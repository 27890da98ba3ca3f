"""Metrics, cost, configuration and provenance of a page, as plain tables for the template."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from cherenkov_mlops.metrics import EvaluationSettings, Metric, evaluate_metrics, metrics_of
from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.tables import (
    MISSING,
    differing_keys,
    flatten,
    format_measured,
    format_number,
    format_value,
)
from cherenkov_mlops.reporting.views import RunView, TaskView
from cherenkov_mlops.results import LEVELS, Finding, Measured

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0", "none": ""}
#: Keys that have a table of their own.
_OWN_TABLES = ("stages", "versions")
#: Packages that a reader asks for first.
_MAIN_PACKAGES = (
    "python",
    "cherenkov-mlops",
    "ctlearn",
    "dl1-data-handler",
    "dl1_data_handler",
    "ctapipe",
    "keras",
    "tensorflow",
    "numpy",
    "scikit-learn",
    "pyirf",
)
#: Metrics at the top of a page at most.
_MAX_CARDS = 4


def key_cards(views: Sequence[TaskView]) -> list[dict[str, Any]]:
    """The key metrics of a task with interval: of the run, or of the best of several runs."""
    cards = []
    for entry in views[0].metrics:
        if entry.key:
            values = [view.part.value(entry.name) for view in views]
            best = views[int(np.argmin(entry.badness(values)))]
            cards.append({"metric": entry, "label": best.label, **_measured(best, entry)})
    return cards[:_MAX_CARDS]


def _measured(view: TaskView, entry: Metric) -> dict[str, Any]:
    stored = view.part.metrics.get(entry.name, Measured())
    value, interval = format_measured(stored.value, stored.low, stored.high)
    number = view.part.value(entry.name)
    return {
        "value": value,
        "interval": interval,
        "number": number,
        "lost": not np.isfinite(number),
    }


def collect_notices[View: RunView](
    views: Sequence[View], find: Callable[[View], list[Finding]]
) -> list[tuple[str, Finding]]:
    """Labels of runs and finding, for all findings, the worst first; equal ones only once."""
    labels: dict[Finding, list[str]] = {}
    for view in views:
        for notice in find(view):
            labels.setdefault(notice, []).append(view.label)
    found = [(", ".join(names), notice) for notice, names in labels.items()]
    return sorted(found, key=lambda item: LEVELS.index(item[1].level))


def metric_rows(view: TaskView) -> list[dict[str, Any]]:
    """One row a metric of the task."""
    return [
        {
            "metric": entry,
            "arrow": ARROWS[entry.better],
            "n": format_number(view.part.metrics.get(entry.name, Measured()).n),
            **_measured(view, entry),
        }
        for entry in view.metrics
    ]


def metric_tables(
    views: Sequence[TaskView], ranking: Ranking | None, baseline: TaskView | None
) -> dict[str, Any]:
    """Value table and rank table of a task: one row a run, one column a metric."""
    entries, rows = views[0].metrics, []
    for place in ranking.order() if ranking else range(len(views)):
        view, cells = views[place], []
        for entry in entries:
            ranks = ranking.ranks.get(entry.name) if ranking else None
            rank = ranks[place] if ranks else None
            cell = _measured(view, entry) | {"rank": rank, "change": ""}
            cell["best"] = rank == 1 and not cell["lost"]
            cell["tied"] = ranks is not None and ranks.count(rank) > 1
            if baseline is not None and baseline.label != view.label:
                change = cell["number"] - baseline.part.value(entry.name)
                cell["change"] = f"{change:+#.3g}" if np.isfinite(change) else ""
            cells.append(cell)
        mean = ranking.mean_ranks[place] if ranking else float("nan")
        rows.append({"view": view, "cells": cells, "mean": format_number(mean, 3), "mean_n": mean})
    best_mean = min((row["mean_n"] for row in rows), default=0)
    for row in rows:
        row["best"] = row["mean_n"] == best_mean
    return {"metrics": entries, "rows": rows, "arrows": ARROWS}


def cost_rows(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """One row for each fact about run and model that at least one run knows."""
    settings = EvaluationSettings()
    facts = [evaluate_metrics(view.results.facts, "generic", settings)[0] for view in views]
    rows = []
    for name, entry in metrics_of("generic").items():
        numbers = [known[name]["value"] for known in facts]
        cells = [
            {"number": number, "text": format_number(number), "best": best}
            for number, best in zip(numbers, _are_best(entry, numbers), strict=True)
        ]
        rows.append({"metric": entry, "arrow": ARROWS[entry.better], "cells": cells})
    return [row for row in rows if any(np.isfinite(cell["number"]) for cell in row["cells"])]


def _are_best(entry: Metric, numbers: Sequence[float]) -> list[bool]:
    """Which numbers are the best of several that differ."""
    if entry.better == "none" or len(set(numbers)) < 2:
        return [False] * len(numbers)
    badness = entry.badness(numbers)
    return [bool(np.isfinite(bad) and bad == badness.min()) for bad in badness]


def config_section(views: Sequence[RunView]) -> dict[str, Any]:
    """Changes from the defaults (one run) or keys that differ (several), and all as YAML."""
    if len(views) == 1:
        changes = views[0].results.config_changes
        rows = {key: [format_value(item) for item in pair] for key, pair in changes.items()}
        head = ["default", "this run"]
    else:
        rows = differing_keys([view.results.config for view in views])
        head = [view.label for view in views]
    return {"head": head, "rows": rows, "yaml": [yaml_text(view.results.config) for view in views]}


def yaml_text(content: dict[str, Any], width: int | None = None) -> str:
    """The content as YAML, in its order."""
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    if width:
        writer.width = width
    writer.dump(content, stream)
    return stream.getvalue()


def provenance_section(views: Sequence[RunView]) -> dict[str, Any]:
    """``stages`` (one row an attempt), ``versions``, ``packages`` and ``other`` by key."""
    contents = [view.results.provenance.model_dump(exclude_none=True) for view in views]
    others = [{k: v for k, v in each.items() if k not in _OWN_TABLES} for each in contents]
    versions = _side_by_side([content.get("versions", {}) for content in contents])
    # What differs between runs counts as important too.
    main = [name for name, row in versions.items() if name in _MAIN_PACKAGES or len(set(row)) > 1]
    main = main or list(versions)
    return {
        "stages": [row for view in views for row in _attempts(view)],
        "versions": {name: row for name, row in versions.items() if name in main},
        "packages": versions if len(versions) > len(main) else {},
        "other": _side_by_side([flatten(content) for content in others]),
    }


def _side_by_side(leaves: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for found in leaves for key in found)
    return {key: [format_value(found.get(key)) for found in leaves] for key in keys}


def _attempts(view: RunView) -> Iterator[dict[str, str]]:
    for stage, attempts in (view.results.provenance.stages or {}).items():
        for number, attempt in enumerate(attempts if isinstance(attempts, list) else [], start=1):
            if not isinstance(attempt, dict):
                continue
            leaves = flatten(attempt)
            commit = str(leaves.get("git.commit") or "")[:10]
            changed = " + changes" if commit and leaves.get("git.dirty") else ""
            job = leaves.get("slurm.job_id") or leaves.get("slurm.SLURM_JOB_ID")
            yield {
                "run": view.label,
                "stage": stage,
                "attempt": str(number),
                # The stage that writes the results has not ended yet when it writes them.
                "state": str(attempt.get("state", "wrote these results")),
                "started": str(attempt.get("started", MISSING))[:19].replace("T", " "),
                "duration": _duration(attempt.get("started"), attempt.get("ended")),
                "host": str(leaves.get("machine.host", MISSING)),
                "code": (commit + changed) or MISSING,
                "job": str(job or MISSING),
            }


def _duration(started: Any, ended: Any) -> str:
    try:
        seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if seconds >= 60 else f"{seconds:.0f} s"
