"""Ranks, ties and missing values."""

import copy
import math

import numpy as np
import pytest

from cherenkov_mlops.metrics import METRICS, metrics_of
from cherenkov_mlops.reporting.ranking import is_clearly_better, rank_by, rank_runs
from synthetic import KIND_TASKS, make_results, only_task


@pytest.fixture
def three_tasks(three_runs):
    """Results of the only task of each of the runs."""
    return [only_task(run) for run in three_runs]


def _with(run, name, value, replicates=()):
    changed = copy.deepcopy(run)
    changed.metrics[name].value = value
    changed.replicates[name] = list(replicates)
    return changed


@pytest.mark.parametrize("kind", KIND_TASKS)
def test_the_clearly_worse_run_is_last_in_all_metrics(kind):
    runs = [
        only_task(make_results(KIND_TASKS[kind], "r", noise=noise, n_events=1500))
        for noise in (4, 1)
    ]
    ranking = rank_runs(runs, list(metrics_of(kind).values()))
    assert ranking.ranks
    assert all(ranks == [2, 1] for ranks in ranking.ranks.values()), ranking.ranks
    assert ranking.order() == [1, 0]
    assert ranking.mean_ranks == [2.0, 1.0]


def test_runs_that_the_events_cannot_tell_apart_are_tied(three_tasks):
    good, alike, bad = three_tasks
    assert rank_by(METRICS["auc"], [good, alike, bad]) == [1, 1, 3]
    assert rank_by(METRICS["auc"], [bad, alike, good]) == [3, 1, 1]


def test_a_difference_that_all_pairs_share_is_seen_though_the_intervals_overlap(three_tasks):
    draws = np.random.default_rng(1).normal(0.9, 0.05, 40)
    better = _with(three_tasks[0], "auc", 0.901, draws + 0.001)
    worse = _with(three_tasks[0], "auc", 0.900, draws)
    assert is_clearly_better(METRICS["auc"], better, worse)
    assert not is_clearly_better(METRICS["auc"], worse, better)


def test_nan_ranks_behind_every_value_and_two_nans_are_tied(three_tasks):
    missing = _with(three_tasks[0], "auc", math.nan)
    runs = [missing, three_tasks[2], copy.deepcopy(missing)]
    assert rank_by(METRICS["auc"], runs) == [2, 1, 2]


def test_nearer_to_zero_is_better_for_a_bias():
    runs = [only_task(make_results("energy", "r", n_events=50)) for _ in range(2)]
    low, high = _with(runs[0], "energy_bias", -0.3), _with(runs[1], "energy_bias", 0.1)
    assert rank_by(METRICS["energy_bias"], [low, high]) == [2, 1]


def test_numbers_without_replicates_differ_when_they_differ(three_tasks):
    small, large, same = (_with(three_tasks[0], "log_loss", value) for value in (0.2, 0.3, 0.2))
    assert rank_by(METRICS["log_loss"], [small, large, same]) == [1, 3, 1]
