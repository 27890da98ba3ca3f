"""Uncertainty of a statistic, by drawing the events again and again."""

from collections.abc import Callable, Mapping

import numpy as np
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA

from cherenkov_mlops.metrics.events import Events, n_rows, take_rows

#: Largest number of events in one replicate; beyond it the cost would grow without a gain.
MAX_REPLICATE_EVENTS = 50_000


def bootstrap_replicates(
    events: Events,
    statistics: Mapping[str, Callable[[Events], float]],
    n_replicates: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Values of each statistic on resampled events, shape ``(n_replicates,)``.

    The rows that are drawn depend on the seed and the number of events alone: replicates of two
    runs on the same test events are pairs. With more than `MAX_REPLICATE_EVENTS` events, each
    replicate draws that many out of all of them, and its deviation from the full sample is scaled
    by the square root of the ratio (the m out of n bootstrap).

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    Bickel, Goetze & van Zwet, Statistica Sinica 7 (1997) 1, section 2.
    """
    n_events = n_rows(events)
    size = min(n_events, MAX_REPLICATE_EVENTS)
    generator = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(n_replicates if n_events else 0):
        sample = take_rows(events, generator.integers(n_events, size=size))
        for name, statistic in statistics.items():
            values[name].append(statistic(sample))
    return {
        name: _rescale(np.array(values[name], dtype=float), statistic, events, size)
        for name, statistic in statistics.items()
    }


def interval_68(replicates: np.ndarray) -> tuple[float, float]:
    """Central 68.27 % interval of the finite replicates; NaN without any."""
    finite = replicates[np.isfinite(replicates)]
    if not finite.size:
        return np.nan, np.nan
    low, high = np.quantile(finite, [NORM_LOWER_SIGMA, NORM_UPPER_SIGMA])
    return float(low), float(high)


def _rescale(
    replicates: np.ndarray, statistic: Callable[[Events], float], events: Events, size: int
) -> np.ndarray:
    n_events = n_rows(events)
    if size == n_events:
        return replicates
    center = statistic(events)
    return center + np.sqrt(size / n_events) * (replicates - center)
