"""The numbers of a comparison, for programs: the content of ``comparison.json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.tables import differing_keys
from cherenkov_mlops.reporting.views import RunView, TaskView, task_views
from cherenkov_mlops.results import Measured, plain_values

SCHEMA_VERSION = 2


def summarise_comparison(
    views: Sequence[RunView], rankings: Mapping[str, Ranking] | None, baseline: int | None
) -> dict[str, Any]:
    """Runs, differing configuration keys, and values and ranks a task, in JSON's own types."""
    labels = [view.label for view in views]
    differing = differing_keys([view.results.config for view in views])
    return plain_values(
        {
            "schema_version": SCHEMA_VERSION,
            "runs": [{"label": view.label, **view.run.model_dump()} for view in views],
            "baseline": None if baseline is None else labels[baseline],
            "ranked": rankings is not None,
            "tasks": {
                name: _task_summary(own, (rankings or {}).get(name))
                for name, own in task_views(views).items()
            },
            "config_differences": {
                key: dict(zip(labels, values, strict=True)) for key, values in differing.items()
            },
            "facts": {view.label: view.results.facts for view in views},
        }
    )


def _task_summary(views: Sequence[TaskView], ranking: Ranking | None) -> dict[str, Any]:
    metrics = {}
    for entry in views[0].metrics:
        ranks = ranking.ranks.get(entry.name) if ranking else None
        runs = {
            view.label: view.part.metrics.get(entry.name, Measured()).model_dump()
            | {"rank": ranks[place] if ranks else None}
            for place, view in enumerate(views)
        }
        metrics[entry.name] = {"unit": entry.unit, "better": entry.better, "runs": runs}
    labels = [view.label for view in views]
    means = dict(zip(labels, ranking.mean_ranks, strict=True)) if ranking else {}
    return {"metrics": metrics, "mean_ranks": means}
