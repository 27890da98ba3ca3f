"""Bins of true energy, and a statistic with its uncertainty in each of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from pyirf.binning import calculate_bin_indices, create_bins_per_decade

from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates, interval_68
from cherenkov_mlops.metrics.table import Events, n_rows, remembered, take_rows

#: A bin with fewer events stays blank: its quantiles would say nothing.
MIN_EVENTS_PER_BIN = 10


def energy_edges_tev(
    energy_min_tev: float, energy_max_tev: float, bins_per_decade: int = 5
) -> tuple[float, ...]:
    """Make edges [TeV], equidistant in the logarithm, both ends included.

    Examples
    --------
    >>> [round(edge, 3) for edge in energy_edges_tev(1, 10)]
    [1.0, 1.585, 2.512, 3.981, 6.31, 10.0]
    """
    edges = create_bins_per_decade(energy_min_tev * u.TeV, energy_max_tev * u.TeV, bins_per_decade)
    return tuple(float(edge) for edge in edges.to_value(u.TeV))


@remembered
def split_by_energy(events: Events, edges_tev: tuple[float, ...]) -> list[Events]:
    """Take the events of each bin of ``true_energy``; those outside all bins are in none.

    Events without an energy, such as windows with night-sky light alone, are in each bin that
    holds others: the signal of an energy is told from all of them.
    """
    energy = np.asarray(events["true_energy"])
    without = np.flatnonzero(np.isnan(energy))
    inside = np.where(np.isnan(energy), np.inf, energy) if len(without) else energy
    indices, _ = calculate_bin_indices(inside, np.asarray(edges_tev))
    # One sort instead of a comparison for each bin; NumPy sorts small integers in linear time.
    indices = np.clip(indices, -1, len(edges_tev)).astype(np.int16)
    order = np.argsort(indices, kind="stable")
    limits = np.searchsorted(indices[order], np.arange(len(edges_tev)))
    bins = [order[low:high] for low, high in zip(limits[:-1], limits[1:], strict=True)]
    if len(without):
        bins = [np.sort(np.append(rows, without)) if len(rows) else rows for rows in bins]
    return [take_rows(events, rows) for rows in bins]


def bin_columns(edges_tev: Sequence[float]) -> dict[str, np.ndarray]:
    """Columns ``energy_low``, ``energy_center`` (geometric mean) and ``energy_high`` [TeV]."""
    edges = np.asarray(edges_tev, dtype=float)
    return {
        "energy_low": edges[:-1],
        "energy_center": np.sqrt(edges[:-1] * edges[1:]),
        "energy_high": edges[1:],
    }


def statistic_by_energy(
    events: Events,
    edges_tev: tuple[float, ...],
    statistic: Callable[[Events], float],
    n_bootstrap: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute one statistic like `statistics_by_energy`, its columns beside those of the bins."""
    table = statistics_by_energy(events, edges_tev, {"": statistic}, n_bootstrap, seed)
    return table | table.pop("")


def statistics_by_energy(
    events: Events,
    edges_tev: tuple[float, ...],
    statistics: Mapping[str, Callable[[Events], float]],
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Compute several statistics with their 68 % bootstrap intervals in each bin of true energy.

    Parameters
    ----------
    events : mapping of str to numpy.ndarray
        Column ``true_energy`` [TeV] and those that the statistics read.
    statistics : mapping of str to callable
        Each maps the events of one bin to a number.

    Returns
    -------
    dict
        The columns of `bin_columns`, ``n_events``, and for each statistic a dictionary of
        ``value``, ``low`` and ``high``, which are NaN where there are fewer than
        `MIN_EVENTS_PER_BIN` events.
    """
    bins = split_by_energy(events, tuple(edges_tev))
    table = np.full((len(bins), len(statistics), 3), np.nan)
    for place, in_bin in enumerate(bins):
        if n_rows(in_bin) < MIN_EVENTS_PER_BIN:
            continue
        replicates = bootstrap_replicates(in_bin, statistics, n_bootstrap, seed)
        for index, (name, statistic) in enumerate(statistics.items()):
            value = statistic(in_bin)
            table[place, index] = value, *interval_68(replicates[name], value)
    columns = {
        name: dict(zip(("value", "low", "high"), table[:, index].T, strict=True))
        for index, name in enumerate(statistics)
    }
    n_events = np.array([n_rows(in_bin) for in_bin in bins])
    return bin_columns(edges_tev) | {"n_events": n_events} | columns
