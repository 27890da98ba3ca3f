"""Intervals of the right size, from draws that pair across runs."""

import numpy as np
import pytest

from cherenkov_mlops.metrics import bootstrap
from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates, interval_68

STATISTICS = {"mean": lambda events: float(np.mean(events["x"]))}


def _means(values: np.ndarray, n_replicates: int = 200, seed: int = 0) -> np.ndarray:
    return bootstrap_replicates({"x": values}, STATISTICS, n_replicates, seed)["mean"]


def test_replicates_spread_like_the_standard_error_of_the_mean():
    values = np.random.default_rng(5).normal(0, 2, 400)
    assert np.std(_means(values, 1000)) == pytest.approx(values.std() / 20, rel=0.1)


def test_large_samples_are_drawn_in_part_and_scaled_to_the_same_spread(monkeypatch):
    monkeypatch.setattr(bootstrap, "MAX_REPLICATE_EVENTS", 100)
    values = np.random.default_rng(5).normal(3, 2, 1600)
    replicates = _means(values, 1000)
    assert np.std(replicates) == pytest.approx(values.std() / 40, rel=0.1)
    assert np.mean(replicates) == pytest.approx(values.mean(), abs=0.01)


def test_equal_seeds_draw_the_same_events_and_others_do_not():
    values = np.random.default_rng(5).normal(size=50)
    np.testing.assert_array_equal(_means(values), _means(values))
    # The same draws of a shifted column: pairs differ by exactly the shift.
    np.testing.assert_allclose(_means(values + 1) - _means(values), 1, rtol=1e-12)
    assert not np.array_equal(_means(values), _means(values, seed=1))


def test_more_replicates_begin_with_the_same_draws():
    values = np.random.default_rng(5).normal(size=50)
    np.testing.assert_array_equal(_means(values, 20), _means(values, 40)[:20])


def test_the_interval_covers_the_truth_in_68_percent_of_experiments():
    generator = np.random.default_rng(8)
    inside = 0
    for _ in range(200):
        low, high = interval_68(_means(generator.normal(1.0, 1.0, 80), 100))
        inside += low <= 1.0 <= high
    assert 0.60 <= inside / 200 <= 0.76


def test_without_events_or_finite_replicates_the_interval_is_nan():
    assert _means(np.array([])).size == 0
    assert np.isnan(interval_68(np.array([]))).all()
    assert np.isnan(interval_68(np.array([np.nan, np.nan]))).all()
