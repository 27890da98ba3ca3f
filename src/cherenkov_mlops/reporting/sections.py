"""What stands in each section of a page, as plain tables for the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from cherenkov_mlops.figures import figures_of, render_figure
from cherenkov_mlops.figures.base import FigureEntry
from cherenkov_mlops.figures.style import run_style
from cherenkov_mlops.metrics import (
    METRICS,
    EvaluationSettings,
    Metric,
    evaluate_metrics,
    metrics_of,
)
from cherenkov_mlops.metrics.base import KINDS
from cherenkov_mlops.reporting.notices import LEVELS, Notice, find_notices
from cherenkov_mlops.reporting.ranking import Ranking, stored_value
from cherenkov_mlops.reporting.sources import unique_labels
from cherenkov_mlops.reporting.svg import figure_svg
from cherenkov_mlops.reporting.tables import (
    csv_link,
    differing_keys,
    figure_table,
    flatten,
    format_measured,
    format_number,
    format_value,
)
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS

ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0", "none": ""}
_MAX_TABLE_ROWS = 60


@dataclass(frozen=True)
class RunView:
    """A run on a page: its results, the label it goes by, and its style in all figures."""

    results: Results
    label: str
    style: dict[str, str]

    @property
    def run(self) -> dict[str, Any]:
        """The section ``run`` of the results."""
        return self.results.run

    @property
    def kind(self) -> str:
        """Kind of the metrics and figures of its task."""
        return KINDS[self.run["task"]]

    @property
    def task_title(self) -> str:
        """Task in words."""
        return TASKS[self.run["task"]].title


def run_views(runs: Sequence[Results]) -> list[RunView]:
    """The runs with label and style, in the order given."""
    labels = unique_labels(runs)
    return [
        RunView(run, label, run_style(index))
        for index, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]


def page_title(views: Sequence[RunView]) -> str:
    """Title of the page."""
    if len(views) == 1:
        return views[0].run.get("title") or views[0].label
    return f"Comparison of {len(views)} runs"


def shared_metrics(views: Sequence[RunView]) -> list[Metric]:
    """Metrics of the tasks of these runs, in the order of the registry."""
    kinds = {view.kind for view in views}
    return [entry for entry in METRICS.values() if entry.task in kinds]


def key_cards(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """The key metrics with interval: of the run, or of the best of several runs."""
    cards = []
    for entry in shared_metrics(views):
        values = [stored_value(view.results, entry.name) for view in views]
        if not entry.key or not np.isfinite(values).any():
            continue
        best = views[int(np.argmin(entry.badness(values)))]
        cards.append({"metric": entry, "label": best.label, **_measured(best, entry)})
    return cards


def _measured(view: RunView, entry: Metric) -> dict[str, Any]:
    stored = view.results.metrics.get(entry.name, {})
    value, interval = format_measured(stored.get("value"), stored.get("low"), stored.get("high"))
    return {"value": value, "interval": interval, "number": stored_value(view.results, entry.name)}


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
    return {"metrics": entries, "rows": rows, "arrows": ARROWS}


def _cell(
    view: RunView,
    entry: Metric,
    place: int,
    ranking: Ranking | None,
    reference: RunView | None,
) -> dict[str, Any]:
    rank = ranking.ranks.get(entry.name, [None] * (place + 1))[place] if ranking else None
    cell = _measured(view, entry) | {"rank": rank, "change": ""}
    cell["best"] = rank == 1 and np.isfinite(cell["number"])
    if reference is not None and reference is not view:
        change = cell["number"] - stored_value(reference.results, entry.name)
        cell["change"] = f"{change:+#.3g}" if np.isfinite(change) else ""
    return cell


def data_section(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """For each run: its classes, numbers of events of each set, and after each cut."""
    return [_data_of_run(view) for view in views]


def _data_of_run(view: RunView) -> dict[str, Any]:
    data = view.results.data
    sets = {name: data.get(name) or {} for name in ("train", "validation", "test")}
    cuts = [(cut.get("cut", ""), cut) for cut in data.get("cuts", [])]
    classes = [
        name
        for name in ("signal", "background")
        if any(numbers.get(name) for _, numbers in [*sets.items(), *cuts])
    ]
    return {
        "label": view.label,
        "classes": [view.run["classes"].get(name, name) for name in classes],
        "sets": [_count_row(name, numbers, classes) for name, numbers in sets.items()],
        "cuts": [_count_row(name, numbers, classes) for name, numbers in cuts],
        "n_invalid": format_number(data.get("n_invalid")),
        "digest": str(data.get("test_digest", "")),
    }


def _count_row(name: str, numbers: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    return {"name": name, "counts": [format_number(numbers.get(item)) for item in classes]}


def figure_blocks(views: Sequence[RunView], *, generic: bool) -> list[dict[str, Any]]:
    """Figures of the training (``generic``) or of the tasks, ready to show."""
    kinds = ["generic"] if generic else list(dict.fromkeys(view.kind for view in views))
    blocks = []
    for entry in (entry for kind in kinds for entry in figures_of(kind).values()):
        drawn = [(view, _arrays(view, entry)) for view in views]
        drawn = [(view, arrays) for view, arrays in drawn if arrays]
        if drawn:
            blocks.append(_figure_block(entry, drawn))
    # Panels of several runs take the whole width: after the others, they leave no holes.
    return sorted(blocks, key=lambda block: block["wide"])


def _arrays(view: RunView, entry: FigureEntry) -> dict[str, Any]:
    if entry.task == "generic":
        return entry.data(view.results.training)
    return view.results.figures.get(entry.name, {}) if entry.task == view.kind else {}


def _figure_block(
    entry: FigureEntry, drawn: Sequence[tuple[RunView, dict[str, Any]]]
) -> dict[str, Any]:
    runs = [(view.label, arrays) for view, arrays in drawn]
    labels, styles = [label for label, _ in runs], [view.style for view, _ in drawn]
    header, rows = figure_table(runs)
    return {
        "figure": entry,
        "svg": figure_svg(render_figure(entry, runs, styles), entry.name, entry.alt_text(labels)),
        "wide": not entry.overlay and len(runs) > 1,
        "header": header,
        "rows": rows[:_MAX_TABLE_ROWS],
        "n_hidden": max(len(rows) - _MAX_TABLE_ROWS, 0),
        "csv": csv_link(header, rows),
    }


def cost_rows(views: Sequence[RunView]) -> list[dict[str, Any]]:
    """One row for each fact about run and model that at least one run knows."""
    settings = EvaluationSettings()
    facts = [evaluate_metrics(view.results.facts, "generic", settings)[0] for view in views]
    rows = [
        {
            "metric": entry,
            "arrow": ARROWS[entry.better],
            "values": [format_number(known[name]["value"]) for known in facts],
            "known": any(np.isfinite(known[name]["value"]) for known in facts),
        }
        for name, entry in metrics_of("generic").items()
    ]
    return [row for row in rows if row["known"]]


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


def provenance_rows(views: Sequence[RunView]) -> dict[str, list[str]]:
    """Dotted key -> recorded value of each run."""
    flat = [flatten(view.results.provenance) for view in views]
    keys = dict.fromkeys(key for leaves in flat for key in leaves)
    return {key: [format_value(leaves.get(key)) for leaves in flat] for key in keys}


def _yaml_text(content: dict[str, Any]) -> str:
    stream = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    writer.dump(content, stream)
    return stream.getvalue()
