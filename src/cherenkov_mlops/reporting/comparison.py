"""The numbers of a comparison, for programs: the content of ``comparison.json``."""

from collections.abc import Sequence
from typing import Any

from cherenkov_mlops.metrics import Metric
from cherenkov_mlops.reporting.ranking import Ranking
from cherenkov_mlops.reporting.tables import differing_keys
from cherenkov_mlops.reporting.views import RunView, shared_metrics
from cherenkov_mlops.results import plain_values

SCHEMA_VERSION = 1


def summarise_comparison(
    views: Sequence[RunView], ranking: Ranking | None, baseline: int | None
) -> dict[str, Any]:
    """Runs, values, ranks and differing configuration keys, in JSON's own types."""
    labels = [view.label for view in views]
    return plain_values(
        {
            "schema_version": SCHEMA_VERSION,
            "runs": [{"label": view.label, **view.run} for view in views],
            "baseline": None if baseline is None else labels[baseline],
            "ranked": ranking is not None,
            "metrics": {
                entry.name: _metric_summary(views, entry, ranking)
                for entry in shared_metrics(views)
            },
            "mean_ranks": dict(zip(labels, ranking.mean_ranks, strict=True)) if ranking else {},
            "config_differences": {
                key: dict(zip(labels, values, strict=True))
                for key, values in differing_keys([view.results.config for view in views]).items()
            },
            "facts": {view.label: view.results.facts for view in views},
        }
    )


def _metric_summary(
    views: Sequence[RunView], entry: Metric, ranking: Ranking | None
) -> dict[str, Any]:
    ranks = ranking.ranks.get(entry.name) if ranking else None
    runs = {}
    for place, view in enumerate(views):
        runs[view.label] = dict(view.results.metrics.get(entry.name, {}))
        runs[view.label]["rank"] = ranks[place] if ranks else None
    return {"unit": entry.unit, "better": entry.better, "runs": runs}
