"""Figures of the energy; ``events`` as in `cherenkov_mlops.metrics.energy`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, figure
from cherenkov_mlops.figures.curves import draw_deviation, draw_map, draw_points_with_band
from cherenkov_mlops.figures.style import PALETTE, SHARES
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import bin_columns, statistics_by_energy
from cherenkov_mlops.metrics.energy import (
    energy_bias,
    energy_resolution_68,
    energy_resolution_iqr68,
    energy_resolution_std,
)
from cherenkov_mlops.metrics.table import Events, n_rows, remembered

_STATISTICS = {
    entry.__name__: entry
    for entry in (
        energy_bias,
        energy_resolution_68,
        energy_resolution_iqr68,
        energy_resolution_std,
    )
}
_BIN_COLUMNS = ("energy_low", "energy_center", "energy_high", "n_events")


@remembered
def energy_statistics(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Bias, both resolutions and standard deviation in bins of true energy, from equal draws."""
    return statistics_by_energy(
        events, settings.energy_edges_tev, _STATISTICS, settings.n_bootstrap, settings.seed
    )


def resolution_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """68 % quantile of the absolute relative error in bins of true energy, with its interval."""
    table = energy_statistics(events, settings)
    return {name: table[name] for name in _BIN_COLUMNS} | table["energy_resolution_68"]


def iqr_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Half the 68 % range of the relative error in bins of true energy, with its interval."""
    table = energy_statistics(events, settings)
    return {name: table[name] for name in _BIN_COLUMNS} | table["energy_resolution_iqr68"]


def bias_and_std(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``bias`` (median) and ``std`` of the relative energy error in bins of true energy."""
    table = energy_statistics(events, settings)
    return {name: table[name] for name in _BIN_COLUMNS} | {
        "bias": table["energy_bias"]["value"],
        "std": table["energy_resolution_std"]["value"],
    }


def spectrum(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Number of ``signal`` and ``background`` events in bins of true energy."""
    edges = np.asarray(settings.energy_edges_tev)
    is_signal = events["signal"] if "signal" in events else np.ones(n_rows(events), dtype=bool)
    columns = bin_columns(edges)
    for name, selected in (("signal", is_signal), ("background", ~is_signal)):
        columns[name] = np.histogram(events["true_energy"][selected], edges)[0]
        columns[f"{name}_name"] = settings.classes[name]
    return columns


@figure(
    kind="energy",
    title="True energy of the test events",
    data=spectrum,
    overlay=False,
    axes=ENERGY_AXIS | {"ylabel": "Events in the bin", "yscale": "log"},
)
def true_energy_distribution(
    ax: Axes,
    *,
    energy_low,
    energy_center,
    energy_high,
    signal,
    background,
    signal_name,
    background_name,
    label,
    style,
):
    """Number of test events of each class by true energy.

    The more events in a bin, the surer its resolution; outside the range there is no answer.
    """
    edges = np.append(energy_low, energy_high[-1:])
    for index, (counts, name) in enumerate(((signal, signal_name), (background, background_name))):
        counts = np.asarray(counts, float)
        if counts.any():
            filled = np.flatnonzero(counts)
            inside = slice(filled[0], filled[-1] + 1)
            # A logarithmic axis has no zero: an empty bin goes down to half an event.
            ax.stairs(
                np.maximum(counts[inside], 0.5),
                edges[filled[0] : filled[-1] + 2],
                baseline=0.5,
                color=PALETTE[index],
                linewidth=1.8,
                linestyle=("-", "--")[index],
                label=name,
            )


def migration_counts(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``counts[true][reco]`` in bins of energy, and their ``edges`` [TeV]."""
    edges = np.asarray(settings.energy_edges_tev)
    counts = np.histogram2d(events["true_energy"], events["reco_energy"], bins=(edges, edges))[0]
    return {"edges": edges, "counts": counts.astype(int)}


@figure(
    kind="energy",
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
    # Empty bins at the ends would make the filled ones small.
    edges, counts = edges[first : last + 2], counts[first : last + 1, first : last + 1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = np.ma.masked_equal(shares, 0)
    draw_map(
        ax, edges, edges, shares, cmap=SHARES, vmin=0, vmax=1, label="Share of the true-energy bin"
    )
    ax.plot(edges[[0, -1]], edges[[0, -1]], color=style["color"], linestyle="--", linewidth=1.2)


@figure(
    kind="energy",
    title="Energy resolution, bias included",
    data=resolution_in_bins,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "68 % quantile of |ΔE|/E"},
)
def energy_resolution(ax: Axes, *, label, style, **columns):
    """68 % quantile of the absolute relative energy error (energy_resolution_68).

    Lower is better. Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


@figure(
    kind="energy",
    title="Energy resolution, bias left out",
    data=iqr_in_bins,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "Half 16–84 % range of ΔE/E"},
)
def energy_resolution_iqr(ax: Axes, *, label, style, **columns):
    """Half the 16 to 84 % inter-quantile range of the relative energy error.

    The energy_resolution_iqr68, default of pyirf and ctapipe. Lower is better. Band: 68 %
    bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


@figure(
    kind="energy",
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
    draw_deviation(ax, energy=energy_center, bias=bias, std=std, style=style)
