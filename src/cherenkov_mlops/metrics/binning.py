"""Bins of true energy, and a statistic with its uncertainty in each of them."""

from collections.abc import Callable, Sequence

import astropy.units as u
import numpy as np
from pyirf.binning import calculate_bin_indices, create_bins_per_decade

from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates, interval_68
from cherenkov_mlops.metrics.events import Events, n_rows, take_rows

#: A bin with fewer events stays blank: its quantiles would say nothing.
MIN_EVENTS_PER_BIN = 10


def energy_edges_tev(
    energy_min_tev: float, energy_max_tev: float, bins_per_decade: int = 5
) -> tuple[float, ...]:
    """Edges [TeV], equidistant in the logarithm, both ends included.

    Examples
    --------
    >>> [round(edge, 3) for edge in energy_edges_tev(1, 10)]
    [1.0, 1.585, 2.512, 3.981, 6.31, 10.0]
    """
    edges = create_bins_per_decade(energy_min_tev * u.TeV, energy_max_tev * u.TeV, bins_per_decade)
    return tuple(float(edge) for edge in edges.to_value(u.TeV))


def split_by_energy(events: Events, edges_tev: Sequence[float]) -> list[Events]:
    """Events of each bin of ``true_energy``; those outside all bins are in none."""
    indices, _ = calculate_bin_indices(events["true_energy"], np.asarray(edges_tev))
    # One sort instead of a full comparison for each bin: linear in the number of bins.
    order = np.argsort(indices, kind="stable")
    limits = np.searchsorted(indices[order], np.arange(len(edges_tev)))
    return [
        take_rows(events, order[low:high])
        for low, high in zip(limits[:-1], limits[1:], strict=True)
    ]


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
    edges_tev: Sequence[float],
    statistic: Callable[[Events], float],
    n_bootstrap: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """A statistic with its 68 % bootstrap interval in each bin of true energy.

    Parameters
    ----------
    events : mapping of str to numpy.ndarray
        Column ``true_energy`` [TeV] and those that ``statistic`` reads.
    statistic : callable
        Maps the events of one bin to a number.

    Returns
    -------
    dict of str to numpy.ndarray
        The columns of `bin_columns`, ``value``, ``low``, ``high`` and ``n_events``.
        Value and interval are NaN where there are fewer than `MIN_EVENTS_PER_BIN` events.
    """
    rows = [
        _statistic_of_bin(in_bin, statistic, n_bootstrap, seed)
        for in_bin in split_by_energy(events, edges_tev)
    ]
    value, low, high, n_events = np.array(rows, dtype=float).reshape(-1, 4).T
    return bin_columns(edges_tev) | {
        "value": value,
        "low": low,
        "high": high,
        "n_events": n_events.astype(int),
    }


def _statistic_of_bin(
    events: Events, statistic: Callable[[Events], float], n_bootstrap: int, seed: int
) -> tuple[float, float, float, int]:
    n_events = n_rows(events)
    if n_events < MIN_EVENTS_PER_BIN:
        return np.nan, np.nan, np.nan, n_events
    replicates = bootstrap_replicates(events, {"value": statistic}, n_bootstrap, seed)
    return statistic(events), *interval_68(replicates["value"]), n_events
