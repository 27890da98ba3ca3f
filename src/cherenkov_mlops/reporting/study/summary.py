"""A study in numbers: verdicts and claims from tested runs, also as JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cherenkov_mlops.metrics import Metric
from cherenkov_mlops.metrics.contrasts import CONFIDENCE, Estimate
from cherenkov_mlops.reporting.study.figures import SIZES
from cherenkov_mlops.reporting.study.numbers import (
    Claim,
    GroupNumbers,
    compare_schedules,
    count,
    find_losses,
)
from cherenkov_mlops.reporting.study.runs import Row, sort_runs
from cherenkov_mlops.results import Results, plain_values

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Study:
    """Everything that the page says in numbers.

    Parameters
    ----------
    groups : list of GroupNumbers
        One for each task and model.
    claims : list of Claim
        Answers.
    """

    groups: list[GroupNumbers]
    claims: list[Claim]


def make_study(
    runs: Sequence[Results], *, baseline: dict[str, Any], up_to: float, tolerated_loss: float
) -> Study:
    """Verdicts and claims from tested runs.

    Parameters
    ----------
    runs : sequence of Results
        Dense baselines and pruned runs.
    baseline : dict
        Dotted options, and the values that baselines have.
    up_to : float
        Sparsity up to which losses are looked for.
    tolerated_loss : float
        Loss that does not matter, as a fraction of the baseline's value.

    Raises
    ------
    UserError
        The runs are no study: see ``sort_runs``.
    """
    groups = [count(group) for group in sort_runs(runs, baseline)]
    claims = [compare_schedules(groups), *find_losses(groups, up_to, tolerated_loss)]
    return Study(groups, [claim for claim in claims if claim is not None])


def summarise_study(study: Study) -> dict[str, Any]:
    """The numbers in JSON's own types, for programs."""
    return plain_values(
        {
            "schema_version": SCHEMA_VERSION,
            "confidence": CONFIDENCE,
            "groups": [_group_summary(numbers) for numbers in study.groups],
            "claims": [
                {
                    "text": claim.text,
                    "answer": claim.answer,
                    "rule": claim.rule,
                    "summary": claim.summary,
                    "percent": _interval(claim.estimate),
                    "parts": [
                        {
                            "where": part.where,
                            "sparsity": part.sparsity,
                            "answer": part.answer,
                            **_interval(part.estimate),
                        }
                        for part in claim.parts
                    ],
                }
                for claim in study.claims
            ],
        }
    )


def _group_summary(numbers: GroupNumbers) -> dict[str, Any]:
    group = numbers.group
    return {
        "title": group.title,
        "task": group.task,
        "decides": numbers.metrics[0].name,
        "seed_sd": {name: spread.variance**0.5 for name, spread in numbers.spreads.items()},
        "seed_dof": {name: spread.dof for name, spread in numbers.spreads.items()},
        "baseline": _row_summary(group.baseline, numbers.metrics),
        "rows": [
            _row_summary(each.row, numbers.metrics)
            | {
                "series": each.row.series.label if each.row.series else None,
                "sparsity": each.row.sparsity,
                "verdict": each.verdict,
                "differences": {
                    name: {
                        "verdict": difference.verdict,
                        "by_seed": difference.by_seed,
                        **_interval(difference.estimate),
                    }
                    for name, difference in each.differences.items()
                },
            }
            for each in numbers.rows
        ],
    }


def _row_summary(row: Row, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "runs": [view.run["name"] for view in row.views.values()],
        "seeds": list(row.views),
        "metrics": {metric.name: row.value(metric.name) for metric in metrics},
        "facts": {name: row.fact(name) for name in (*SIZES, "n_nonzero_parameters", "sparsity")},
    }


def _interval(estimate: Estimate | None) -> dict[str, float]:
    if estimate is None:
        return {}
    names = ("value", "low", "high", "event_sd", "seed_sd", "dof")
    return {name: getattr(estimate, name) for name in names}
