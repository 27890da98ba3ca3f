"""Who is best: ranks of runs for each metric, with ties where the events cannot tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.metrics import Metric
from cherenkov_mlops.results import TaskResults

#: Confidence at which the paired bootstrap must see a difference before it counts as one.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ranking:
    """Ranks of all runs.

    Parameters
    ----------
    ranks : dict of str to list of int
        Name of the metric -> rank of each run; 1 is best, equal ranks are ties.
    mean_ranks : list of float
        Mean over the metrics, for each run; NaN without metrics.
    """

    ranks: dict[str, list[int]]
    mean_ranks: list[float]

    def order(self) -> list[int]:
        """Places of the runs, best mean rank first."""
        return sorted(
            range(len(self.mean_ranks)), key=lambda place: (self.mean_ranks[place], place)
        )


def rank_runs(runs: Sequence[TaskResults], metrics: Sequence[Metric]) -> Ranking:
    """Rank the runs by each metric that knows better from worse."""
    ranks = {entry.name: rank_by(entry, runs) for entry in metrics if entry.better != "none"}
    columns = np.array(list(ranks.values()), dtype=float)
    means = columns.mean(axis=0) if columns.size else np.full(len(runs), np.nan)
    return Ranking(ranks, [float(value) for value in means])


def rank_by(entry: Metric, runs: Sequence[TaskResults]) -> list[int]:
    """Rank each run: one more than the number of runs that are clearly better.

    A run without a value ranks behind all that have one.
    """
    return [
        1 + sum(is_clearly_better(entry, other, run) for other in runs if other is not run)
        for run in runs
    ]


def is_clearly_better(entry: Metric, run: TaskResults, other: TaskResults) -> bool:
    """Whether ``run`` is better than ``other`` beyond what the choice of events can explain.

    The central 95 % interval of the paired bootstrap differences must exclude zero (Efron &
    Tibshirani 1993, chapter 13). Without replicates any difference counts.
    """
    badness, other_badness = (float(entry.badness(item.value(entry.name))) for item in (run, other))
    if badness >= other_badness:
        return False
    if np.isinf(other_badness):
        return True
    differences = _paired_differences(entry, run, other)
    if not differences.size:
        return True
    return bool(np.quantile(differences, (1 - CONFIDENCE) / 2) > 0)


def _paired_differences(entry: Metric, run: TaskResults, other: TaskResults) -> np.ndarray:
    first, second = (
        np.asarray(item.replicates.get(entry.name, []), dtype=float) for item in (run, other)
    )
    # The draws come one after the other: the common beginning of both lists is paired.
    common = min(len(first), len(second))
    first, second = first[:common], second[:common]
    known = np.isfinite(first) & np.isfinite(second)
    return entry.badness(second[known]) - entry.badness(first[known])
