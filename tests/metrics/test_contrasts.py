"""Differences between networks: known answers, and intervals that hold what they promise."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from cherenkov_mlops.metrics.contrasts import (
    Quality,
    SeedSpread,
    estimate_contrast,
    estimate_mean,
    pool_seed_spread,
)

FLAT = np.zeros(50)


def cells(values, replicates=None, group="a", events="test"):
    """Qualities of ``values[row][seed]``; replicates do not vary unless given."""
    return {
        (row, seed): Quality(
            group,
            f"row {row}",
            seed,
            value,
            value + (FLAT if replicates is None else replicates[row][seed]),
            events,
        )
        for row, seeds in enumerate(values)
        for seed, value in enumerate(seeds)
    }


def difference(found, row, other=0, confidence=0.95):
    """Row minus another one, mean over the seeds."""
    seeds = [seed for place, seed in found if place == row]
    terms = [(1 / len(seeds), found[row, seed]) for seed in seeds]
    terms += [(-1 / len(seeds), found[other, seed]) for seed in seeds]
    spreads = {"a": pool_seed_spread(list(found.values()))}
    return estimate_contrast(terms, spreads, confidence)


def test_two_rows_without_noise_of_events_are_students_paired_test():
    values = np.random.default_rng(1).normal([[0.9], [0.88]], 0.01, (2, 5))
    estimate = difference(cells(values), 1)
    expected = ttest_rel(values[1], values[0]).confidence_interval(0.95)
    assert [estimate.low, estimate.high] == pytest.approx(list(expected))
    assert estimate.event_sd == 0
    assert estimate.dof == pytest.approx(4)


def test_the_spread_over_seeds_is_the_mean_square_of_a_block_design():
    values = np.random.default_rng(2).normal(0, 0.02, (9, 2)) + [0.0, 0.3]
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    spread = pool_seed_spread(list(cells(values).values()))
    assert spread.dof == 8
    assert spread.variance == pytest.approx((rest**2).sum() / 8)


def test_rows_without_some_seed_count_with_those_they_have():
    values = np.random.default_rng(3).normal(0, 0.02, (4, 3))
    found = list(cells(values).values())
    assert pool_seed_spread(found[:-1]).dof == 5
    lost = [*found[:-1], Quality("a", "row 3", 2, np.nan, FLAT)]
    assert pool_seed_spread(lost) == pool_seed_spread(found[:-1])


def test_the_noise_of_events_is_that_of_the_paired_bootstrap():
    generator = np.random.default_rng(4)
    common, own = generator.normal(0, 0.05, 400), generator.normal(0, 0.01, (2, 1, 400))
    found = cells([[0.9], [0.9]], common + own)
    terms = [(1, found[1, 0]), (-1, found[0, 0])]
    estimate = estimate_contrast(terms, {"a": SeedSpread(0.0, 10)})
    paired = found[1, 0].replicates - found[0, 0].replicates
    assert estimate.event_sd == pytest.approx(paired.std(ddof=1))
    assert estimate.high - estimate.low == pytest.approx(2 * 1.966 * paired.std(ddof=1), rel=1e-3)


def test_other_test_events_are_no_pairs():
    replicates = np.random.default_rng(5).normal(0, 0.05, 400)
    one, other = (Quality("a", "r", n, 0.9, 0.9 + replicates, f"set {n}") for n in range(2))
    estimate = estimate_contrast([(1, one), (-1, other)], {"a": SeedSpread(0.0, 9)})
    assert estimate.event_sd == pytest.approx(2**0.5 * replicates.std(ddof=1))


def test_identical_runs_are_the_same():
    found = cells([[0.9, 0.91], [0.9, 0.91], [0.9, 0.91]])
    estimate = difference(found, 1)
    assert estimate.verdict == "same"
    assert abs(estimate.low) < 1e-12 and abs(estimate.high) < 1e-12


@pytest.mark.parametrize(("shift", "verdict"), [(-0.1, "worse"), (0.1, "better"), (0, "same")])
def test_a_clear_shift_is_seen(shift, verdict):
    values = np.random.default_rng(6).normal(0.8, 0.01, (5, 2))
    values[1] += shift - (values[1] - values[0]).mean() * (shift == 0)
    assert difference(cells(values), 1).verdict == verdict


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_one_seed_or_a_lost_value_says_nothing(value):
    seeds = 1 if np.isfinite(value) else 2
    values = np.full((3, seeds), 0.9)
    values[1, 0] = value
    assert difference(cells(values), 1).verdict == "unknown"


def test_without_replicates_nothing_is_known_about_events():
    one, other = (Quality("a", f"r{n}", 0, 0.9 - n, np.array([]), "t") for n in range(2))
    assert estimate_contrast([(1, one), (-1, other)], {"a": SeedSpread(0, 9)}).verdict == "unknown"


@pytest.mark.parametrize(("event_sd", "seed_sd"), [(0.01, 0.01), (0.02, 0.002), (0.001, 0.01)])
def test_intervals_hold_the_truth_as_often_as_they_promise(event_sd, seed_sd):
    """Nine rows, two seeds, noise of events partly shared; two rows are looked at."""
    generator = np.random.default_rng(7)
    truth = np.array([0.9, *[0.88] * 6, 0.9, 0.9])[:, None]
    held = []
    for _ in range(300):

        def events(n):
            shape = (9, 2, n)
            own, shared = generator.normal(0, event_sd, shape), generator.normal(0, event_sd, n)
            return (own + shared) / 2**0.5

        values = truth + generator.normal(0, seed_sd, (9, 2)) + generator.normal(0, 0.05, (1, 2))
        found = cells(values + events(1)[..., 0], events(100))
        for row in (1, 8):
            estimate = difference(found, row)
            held.append(estimate.low <= truth[row, 0] - truth[0, 0] <= estimate.high)
    # Noise of events that is not shared counts twice: too wide is allowed, too narrow is not.
    assert np.mean(held) >= 0.93
    if event_sd < seed_sd:
        assert np.mean(held) <= 0.975


def test_the_mean_of_pairs_is_students_one_sample_test():
    values = np.random.default_rng(2).normal(0.3, 1.0, 9)
    estimate = estimate_mean(values, event_sd=0.0)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    wider = estimate_mean(values, event_sd=0.2)
    assert wider.high - wider.low > estimate.high - estimate.low
    assert estimate_mean([0.5], event_sd=0.1).verdict == "unknown"


def test_pairs_may_spread_differently():
    """Half of the conditions are ten times as noisy: the interval holds as often as it says."""
    rng = np.random.default_rng(3)
    spread = np.repeat([0.1, 1.0], 16)
    held = [
        estimate_mean(rng.normal(0, spread), event_sd=0.0).verdict == "same" for _ in range(2000)
    ]
    assert 0.93 < np.mean(held) < 0.975
