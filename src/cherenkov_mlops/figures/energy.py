"""Figures of the energy; ``events`` as in `cherenkov_mlops.metrics.energy`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, figure
from cherenkov_mlops.figures.curves import draw_points_with_band
from cherenkov_mlops.figures.style import FAINT, SHARES
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import statistic_by_energy
from cherenkov_mlops.metrics.energy import (
    energy_bias,
    energy_resolution_68,
    energy_resolution_iqr68,
    energy_resolution_std,
)
from cherenkov_mlops.metrics.events import Events


def in_energy_bins(statistic: Callable[[Events], float]) -> Callable[..., dict[str, Any]]:
    """Function of events and settings: the statistic in each bin of true energy."""

    def by_energy(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
        return statistic_by_energy(
            events, settings.energy_edges_tev, statistic, settings.n_bootstrap, settings.seed
        )

    return by_energy


def migration_counts(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``counts[true][reco]`` in bins of energy, and their ``edges`` [TeV]."""
    edges = np.asarray(settings.energy_edges_tev)
    counts = np.histogram2d(events["true_energy"], events["reco_energy"], bins=(edges, edges))[0]
    return {"edges": edges, "counts": counts.astype(int)}


@figure(
    task="energy",
    title="Migration matrix",
    data=migration_counts,
    overlay=False,
    axes={
        "xlabel": "True energy [TeV]",
        "ylabel": "Reconstructed energy [TeV]",
        "xscale": "log",
        "yscale": "log",
    },
)
def migration_matrix(ax: Axes, *, edges, counts, label, style):
    """Reconstructed against true energy; colour: share of the events of that true energy.

    Better the narrower, and the nearer to the diagonal line.
    """
    edges, counts = np.asarray(edges, float), np.asarray(counts, float)
    filled = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    first, last = (filled[0], filled[-1]) if filled.size else (0, len(edges) - 2)
    edges, counts = edges[first : last + 2], counts[first : last + 1, first : last + 1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.ma.masked_equal(shares.T, 0)
    mesh = ax.pcolormesh(edges, edges, shares, cmap=SHARES, vmin=0, vmax=1, rasterized=True)
    ax.plot(edges[[0, -1]], edges[[0, -1]], color=style["color"], linestyle="--", linewidth=1.2)
    bar = ax.figure.colorbar(mesh, ax=ax, label="Share of the true-energy bin")
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(True)


@figure(
    task="energy",
    title="Energy resolution, bias included",
    data=in_energy_bins(energy_resolution_68),
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "68 % quantile of |ΔE|/E"},
)
def energy_resolution(ax: Axes, *, label, style, **columns):
    """68 % quantile of the absolute relative energy error (energy_resolution_68).

    Lower is better. Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


@figure(
    task="energy",
    title="Energy resolution, bias left out",
    data=in_energy_bins(energy_resolution_iqr68),
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "Half 16–84 % range of ΔE/E"},
)
def energy_resolution_iqr(ax: Axes, *, label, style, **columns):
    """Half the 16 to 84 % inter-quantile range of the relative energy error.

    The energy_resolution_iqr68, default of pyirf and ctapipe. Lower is better. Band: 68 %
    bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


def bias_and_std(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``bias`` (median) and ``std`` of the relative energy error in bins of true energy."""
    edges = settings.energy_edges_tev
    bias = statistic_by_energy(events, edges, energy_bias, 0, settings.seed)
    std = statistic_by_energy(events, edges, energy_resolution_std, 0, settings.seed)
    columns = ("energy_low", "energy_center", "energy_high", "n_events")
    return {name: bias[name] for name in columns} | {"bias": bias["value"], "std": std["value"]}


@figure(
    task="energy",
    title="Energy bias and standard deviation",
    data=bias_and_std,
    overlay=False,
    axes=ENERGY_AXIS | {"ylabel": "Median ΔE/E, bars: std"},
)
def energy_bias_by_energy(
    ax: Axes, *, energy_low, energy_center, energy_high, n_events, bias, std, label, style
):
    """Median relative energy error by true energy; the bars are its standard deviation.

    Better the nearer to zero, and the shorter the bars. Fewer than 10 events: blank.
    """
    ax.axhline(0, color=FAINT, linewidth=1.2)
    bias = np.asarray(bias, float)
    known = np.isfinite(bias)
    center, std = np.asarray(energy_center, float)[known], np.asarray(std, float)[known]
    ax.errorbar(
        center, bias[known], std, color=style["color"], marker=style["marker"], linestyle="none"
    )
