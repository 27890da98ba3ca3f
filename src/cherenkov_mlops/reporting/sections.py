"""Metrics, cost and configuration of a page, as plain tables for the template."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from cherenkov_mlops.metrics import EvaluationSettings, Metric, evaluate_metrics, metrics_of
from cherenkov_mlops.reporting.notices import LEVELS, Notice, find_notices
from cherenkov_mlops.reporting.ranking import Ranking, stored_value
from cherenkov_mlops.reporting.tables import (
    differing_keys,
    format_measured,
    format_number,
    format_value,
)
from cherenkov_mlops.reporting.views import RunView, shared_metrics

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0", "none": ""}
#: Metrics at the top of a page at most.
_MAX_CARDS = 4


def key_cards(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """The key metrics with interval: of the run, or of the best of several runs."""
    cards = []
    for entry in shared_metrics(views):
        if not entry.key:
            continue
        values = [stored_value(view.results, entry.name) for view in views]
        best = views[int(np.argmin(entry.badness(values)))]
        cards.append({"metric": entry, "label": best.label, **_measured(best, entry)})
    return cards[:_MAX_CARDS]


def _measured(view: RunView, entry: Metric) -> dict[str, Any]:
    stored = view.results.metrics.get(entry.name, {})
    value, interval = format_measured(stored.get("value"), stored.get("low"), stored.get("high"))
    number = stored_value(view.results, entry.name)
    return {
        "value": value,
        "interval": interval,
        "number": number,
        "lost": not np.isfinite(number),
    }


def notices(views: Sequence[RunView]) -> list[tuple[str, Notice]]:
    """Labels of runs and warning, for all warnings, the worst first; equal ones only once."""
    labels: dict[Notice, list[str]] = {}
    for view in views:
        for notice in find_notices(view.results):
            labels.setdefault(notice, []).append(view.label)
    found = [(", ".join(names), notice) for notice, names in labels.items()]
    return sorted(found, key=lambda item: LEVELS.index(item[1].level))


def metric_rows(view: RunView) -> list[dict[str, Any]]:
    """One row a metric of the run's task."""
    rows = []
    for entry in metrics_of(view.kind).values():
        n_events = view.results.metrics.get(entry.name, {}).get("n")
        rows.append(
            {
                "metric": entry,
                "arrow": ARROWS[entry.better],
                "n": format_number(n_events),
                **_measured(view, entry),
            }
        )
    return rows


def metric_tables(
    views: Sequence[RunView], ranking: Ranking | None, baseline: int | None
) -> dict[str, Any]:
    """Value table and rank table: one row a run, one column a metric."""
    entries = shared_metrics(views)
    order = ranking.order() if ranking else range(len(views))
    rows = []
    for place in order:
        view, reference = views[place], None if baseline is None else views[baseline]
        cells = [_cell(view, entry, place, ranking, reference) for entry in entries]
        mean = ranking.mean_ranks[place] if ranking else float("nan")
        rows.append({"view": view, "cells": cells, "mean": format_number(mean, 3), "mean_n": mean})
    best_mean = min((row["mean_n"] for row in rows), default=0)
    for row in rows:
        row["best"] = row["mean_n"] == best_mean
    return {"metrics": entries, "rows": rows, "arrows": ARROWS}


def _cell(
    view: RunView,
    entry: Metric,
    place: int,
    ranking: Ranking | None,
    reference: RunView | None,
) -> dict[str, Any]:
    ranks = ranking.ranks.get(entry.name) if ranking else None
    rank = ranks[place] if ranks else None
    cell = _measured(view, entry) | {"rank": rank, "change": ""}
    cell["best"] = rank == 1 and not cell["lost"]
    cell["tied"] = ranks is not None and ranks.count(rank) > 1
    if reference is not None and reference is not view:
        change = cell["number"] - stored_value(reference.results, entry.name)
        cell["change"] = f"{change:+#.3g}" if np.isfinite(change) else ""
    return cell


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
    return {"head": head, "rows": rows, "yaml": [_yaml_text(view.results.config) for view in views]}


def _yaml_text(content: dict[str, Any]) -> str:
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.dump(content, stream)
    return stream.getvalue()
