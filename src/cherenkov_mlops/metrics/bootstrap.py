"""Uncertainty of a statistic, by drawing the showers again and again."""

from collections.abc import Callable, Mapping

import numpy as np
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA

from cherenkov_mlops.metrics.table import Events, n_rows, remembered, take_rows

#: Largest number of events in one replicate; beyond it the cost would grow without a gain.
MAX_REPLICATE_EVENTS = 50_000


def bootstrap_replicates(
    events: Events,
    statistics: Mapping[str, Callable[[Events], float]],
    n_replicates: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute each statistic on resampled events, shape ``(n_replicates,)``.

    Whole showers are drawn (column ``shower``; without it each row is one): the telescope images
    of one shower err together, and drawing them one by one would make intervals too narrow.
    What is drawn depends on the seed and the showers alone: replicates of two runs on the same
    test events are pairs. With more than `MAX_REPLICATE_EVENTS` events, each replicate draws about
    that many out of all of them, and its deviation from the full sample is scaled by the square
    root of the ratio (the m out of n bootstrap).

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13.
    Davison & Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8.
    Bickel, Goetze & van Zwet, Statistica Sinica 7 (1997) 1, section 2.
    """
    starts, sizes = shower_limits(events)
    share = min(1.0, MAX_REPLICATE_EVENTS / max(n_rows(events), 1))
    size = int(np.ceil(share * len(starts)))
    generator = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(n_replicates if len(starts) else 0):
        rows = rows_of_showers(generator.integers(len(starts), size=size), starts, sizes)
        sample = take_rows(events, rows)
        for name, statistic in statistics.items():
            values[name].append(statistic(sample))
    # Of the showers and not of the rows: showers are what is drawn.
    scale = np.sqrt(size / len(starts)) if len(starts) else 1.0
    replicates = {name: np.array(drawn, dtype=float) for name, drawn in values.items()}
    if scale == 1:
        return replicates
    centers = {name: statistic(events) for name, statistic in statistics.items()}
    return {name: centers[name] + scale * (replicates[name] - centers[name]) for name in centers}


@remembered
def shower_limits(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """First row and number of rows of each shower; rows of one shower stand together."""
    if "shower" not in events:
        return np.arange(n_rows(events)), np.ones(n_rows(events), dtype=int)
    showers = events["shower"]
    starts = np.flatnonzero(np.diff(showers, prepend=-1))
    return starts, np.diff(starts, append=len(showers))


def rows_of_showers(drawn: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Row numbers of the showers that were drawn, one shower after the other."""
    # One row a shower, as in stereo: there is nothing to expand.
    if sizes.max() == 1:
        return starts[drawn]
    counts = sizes[drawn]
    ends = np.cumsum(counts)
    # Counting up from the first row of each shower.
    return np.arange(ends[-1]) + np.repeat(starts[drawn] - (ends - counts), counts)


def interval_68(replicates: np.ndarray, value: float | None = None) -> tuple[float, float]:
    """Central 68.27 % interval of the finite replicates; NaN without any.

    With ``value``, that of all events, the interval is moved until the median of the replicates
    lies there. This takes away the bias that resampling adds: that of the calibration error is
    larger than its spread, and its interval would not even hold the value.
    """
    finite = replicates[np.isfinite(replicates)]
    if not finite.size:
        return np.nan, np.nan
    low, median, high = np.quantile(finite, [NORM_LOWER_SIGMA, 0.5, NORM_UPPER_SIGMA])
    shift = value - median if value is not None and np.isfinite(value) else 0.0
    return float(low + shift), float(high + shift)
