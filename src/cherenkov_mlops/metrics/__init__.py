"""Numbers that say how good a reconstruction is: one function a metric, in one registry."""

# Importing a module registers its metrics; the order here is the order on every page.
from cherenkov_mlops.metrics import cost, direction, energy, type  # noqa: F401
from cherenkov_mlops.metrics.base import (
    METRICS,
    EvaluationSettings,
    Metric,
    evaluate_metrics,
    metric,
    metrics_of,
)

__all__ = [
    "METRICS",
    "EvaluationSettings",
    "Metric",
    "evaluate_metrics",
    "metric",
    "metrics_of",
]
