"""Intervals of the right size, from draws that pair across runs."""

import numpy as np
import pytest

from cherenkov_mlops.metrics import bootstrap
from cherenkov_mlops.metrics.bootstrap import (
    bootstrap_replicates,
    interval_68,
    rows_of_showers,
    shower_limits,
)

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


def test_a_biased_statistic_still_has_its_value_inside_the_interval():
    replicates = np.random.default_rng(1).normal(5, 1, 200)
    low, high = interval_68(replicates, 2.0)
    assert low < 2.0 < high
    assert high - low == pytest.approx(np.diff(interval_68(replicates))[0])


def _images_of_showers(generator, n_showers: int = 60, per_shower: int = 4) -> dict:
    """Rows whose value is that of their shower: four images know no more than one."""
    values = generator.normal(1.0, 1.0, n_showers)
    shower = np.repeat(np.arange(n_showers), per_shower)
    return {"x": values[shower], "shower": shower}


def test_images_of_one_shower_are_drawn_together():
    events = _images_of_showers(np.random.default_rng(2))
    starts, sizes = shower_limits(events)
    rows = rows_of_showers(np.array([3, 0, 3]), starts, sizes)
    assert rows.tolist() == [12, 13, 14, 15, 0, 1, 2, 3, 12, 13, 14, 15]
    spread = np.std(bootstrap_replicates(events, STATISTICS, 1000, 0)["mean"])
    assert spread == pytest.approx(events["x"].std() / np.sqrt(60), rel=0.1)


def test_showers_of_different_sizes_keep_their_rows():
    events = {"shower": np.array([0, 0, 0, 1, 2, 2])}
    starts, sizes = shower_limits(events)
    assert rows_of_showers(np.array([2, 1, 0]), starts, sizes).tolist() == [4, 5, 3, 0, 1, 2]


def test_in_large_samples_showers_are_drawn_in_part_with_the_same_spread(monkeypatch):
    events = _images_of_showers(np.random.default_rng(2), n_showers=600)
    whole = np.std(bootstrap_replicates(events, STATISTICS, 1000, 0)["mean"])
    monkeypatch.setattr(bootstrap, "MAX_REPLICATE_EVENTS", 240)
    part = np.std(bootstrap_replicates(events, STATISTICS, 1000, 0)["mean"])
    assert part == pytest.approx(whole, rel=0.1)


def test_with_images_of_one_shower_the_interval_still_covers_the_truth():
    generator = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        events = _images_of_showers(generator)
        low, high = interval_68(bootstrap_replicates(events, STATISTICS, 100, 0)["mean"])
        inside += low <= 1.0 <= high
    assert 0.60 <= inside / 200 <= 0.76
