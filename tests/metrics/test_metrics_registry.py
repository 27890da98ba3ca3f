"""Invariants that every metric obeys, those not yet written included."""

import json
import math

import numpy as np
import pytest

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import METRICS, EvaluationSettings, evaluate_metrics, metrics_of
from cherenkov_mlops.metrics.binning import energy_edges_tev
from cherenkov_mlops.metrics.events import extract_events
from synthetic import KIND_TASKS, SETTINGS, make_events

EVENT_METRICS = [name for name, entry in METRICS.items() if entry.kind != "generic"]
RANKED = [name for name, entry in METRICS.items() if entry.better != "none"]


def _value(name: str, **options: float) -> float:
    entry = METRICS[name]
    events = extract_events(make_events(**options), entry.kind)
    return entry.evaluate(events, SETTINGS)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_explains_itself(name):
    entry = METRICS[name]
    assert entry.text.endswith(".")
    assert entry.symbol
    assert entry.better in ("higher", "lower", "zero", "none")
    assert entry.kind in (*KIND_TASKS, "generic")


@pytest.mark.parametrize("name", EVENT_METRICS)
def test_no_events_give_nan(name):
    assert math.isnan(_value(name, n_events=0))


@pytest.mark.parametrize("name", EVENT_METRICS)
def test_one_event_gives_a_number_or_nan(name):
    assert isinstance(_value(name, n_events=1), float)


@pytest.mark.parametrize("name", [name for name in RANKED if name in EVENT_METRICS])
def test_better_reconstructions_rank_first(name):
    values = [_value(name, n_events=4000, noise=noise) for noise in (0.5, 1.0, 2.0)]
    badness = METRICS[name].badness(values)
    assert badness[0] < badness[1] < badness[2]


@pytest.mark.parametrize("name", RANKED)
def test_nan_ranks_behind_all_values(name):
    good, bad, missing = METRICS[name].badness([0.1, 1e9, math.nan])
    assert missing > max(good, bad)


def test_a_metric_without_better_and_worse_is_not_ranked():
    with pytest.raises(ValueError, match="cannot be ranked"):
        METRICS["batch_size"].badness(64)


@pytest.mark.parametrize("kind", KIND_TASKS)
def test_values_survive_json(kind):
    values, replicates = evaluate_metrics(make_events(50), kind, SETTINGS)
    assert json.loads(json.dumps(values)) == values
    assert json.loads(json.dumps(replicates)) == replicates


@pytest.mark.parametrize("kind", KIND_TASKS)
def test_every_metric_of_the_task_is_evaluated_with_its_interval(kind):
    values, replicates = evaluate_metrics(make_events(400), kind, SETTINGS)
    assert list(values) == list(metrics_of(kind)) == list(replicates)
    for name, entry in values.items():
        assert entry["n"] == 400
        assert entry["low"] < entry["high"], name
        spread = entry["high"] - entry["low"]
        assert entry["low"] - spread < entry["value"] < entry["high"] + spread, name
        assert len(replicates[name]) == SETTINGS.n_bootstrap


def test_facts_become_generic_metrics_and_unknown_ones_nan():
    values, replicates = evaluate_metrics({"n_layers": 7, "gflops": None}, "generic", SETTINGS)
    assert values["n_layers"] == {"value": 7.0, "low": None, "high": None, "n": None}
    assert math.isnan(values["gflops"]["value"])
    assert math.isnan(values["training_time_s"]["value"])
    assert replicates == {}


def test_a_constant_answer_is_below_the_limit_of_a_metric_of_each_task():
    constant = make_events(300) | {
        "gh_score": np.full(300, 0.7),
        "reco_energy": np.full(300, 2.0),
        "reco_alt": np.full(300, 70.2),
        "reco_az": np.full(300, 359.9),
    }
    for kind in KIND_TASKS:
        values, _ = evaluate_metrics(constant, kind, SETTINGS)
        limits = {n: e.fails_below for n, e in metrics_of(kind).items() if e.fails_below}
        assert any(values[name]["value"] < limit for name, limit in limits.items()), kind


def test_settings_come_from_the_configuration_but_the_seed_is_that_of_all_runs():
    content = {
        "run": {"name": "study", "seed": 42},
        "task": "energy",
        "data": {"classes": {"signal": "cosmics", "background": "nsb"}},
        "test": {"threshold": 0.3, "energy_min_tev": 1.0, "energy_max_tev": 10.0},
    }
    settings = EvaluationSettings.from_config(RunConfig.model_validate(content))
    assert settings.threshold == 0.3
    assert settings.classes == {"signal": "cosmics", "background": "nsb"}
    assert settings.energy_edges_tev == energy_edges_tev(1, 10)
    assert settings.seed == EvaluationSettings().seed
    assert json.loads(json.dumps(settings.dump())) == settings.dump()


def test_an_unknown_metric_is_named_with_the_nearest_known_one():
    with pytest.raises(UserError, match="did you mean 'auc'"):
        METRICS["acu"]
