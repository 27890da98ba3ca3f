"""Figures of the classification in bins of true energy."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, Panel, figure
from cherenkov_mlops.figures.curves import draw_points_with_band
from cherenkov_mlops.figures.style import FAINT, PALETTE
from cherenkov_mlops.metrics.base import METRICS, EvaluationSettings, metrics_of
from cherenkov_mlops.metrics.binning import (
    MIN_EVENTS_PER_BIN,
    bin_columns,
    split_by_energy,
    statistics_by_energy,
)
from cherenkov_mlops.metrics.table import Events, n_rows, remembered
from cherenkov_mlops.metrics.thresholds import has_both_classes, scan_thresholds
from cherenkov_mlops.metrics.type import auc

_N_CURVE_POINTS = 51
_N_SCORE_BINS = 20
_BIN_COLUMNS = ("energy_low", "energy_center", "energy_high", "n_events")
#: Share of the height of an energy bin that the histogram of one class may fill.
_FILLED = 0.46
_MAX_WRITTEN = 4


@remembered
def type_statistics(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Each metric that knows better from worse, in bins of true energy, from equal draws."""
    statistics = {
        name: partial(entry.evaluate, settings=settings)
        for name, entry in metrics_of("type").items()
        if entry.better != "none"
    }
    return statistics_by_energy(
        events, settings.energy_edges_tev, statistics, settings.n_bootstrap, settings.seed
    )


def auc_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """AUC between the classes in each bin of true energy, with its interval."""
    table = type_statistics(events, settings)
    return {name: table[name] for name in _BIN_COLUMNS} | table["auc"]


@figure(
    kind="type",
    title="AUC by energy",
    data=auc_in_bins,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "Area under the ROC curve"},
)
def auc_by_energy(ax: Axes, *, label, style, **columns):
    """Area under the ROC curve between signal and background of the same true energy.

    Higher is better, 0.5 is guessing. Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


def metric_names(arrays: Mapping[str, Any]) -> list[str]:
    """Metrics among the columns of `metrics_in_bins`."""
    return [name for name in arrays if f"{name}_low" in arrays]


def metrics_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Each metric in bins of true energy: value ``<name>``, ``<name>_low`` and ``<name>_high``."""
    table = type_statistics(events, settings)
    columns = {name: table[name] for name in _BIN_COLUMNS}
    for name, column in table.items():
        if name in METRICS:
            columns |= {
                name: column["value"],
                f"{name}_low": column["low"],
                f"{name}_high": column["high"],
            }
    return columns


def metric_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """One panel a metric."""
    columns = {name: arrays[name] for name in _BIN_COLUMNS}
    arrows = {"higher": "↑", "lower": "↓"}
    panels = []
    for name in filter(METRICS.__contains__, metric_names(arrays)):
        entry = METRICS[name]
        ends = {"low": arrays[f"{name}_low"], "high": arrays[f"{name}_high"]}
        title = f"{entry.symbol} {arrows.get(entry.better, '')}"
        panels.append(Panel(title, columns | {"value": arrays[name]} | ends))
    return panels


@figure(
    kind="type",
    title="Metrics by energy",
    data=metrics_in_bins,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "Value"},
    panels=metric_panels,
)
def metrics_by_energy(ax: Axes, *, label, style, **columns):
    """Every metric in bins of true energy; the arrow says whether higher or lower is better.

    Precision depends on how many events of each class the test files hold at that energy.
    Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, only_lone_markers=True, **columns)


def roc_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``signal_efficiency[energy bin][point]`` at fixed ``background_efficiency``, and ``auc``.

    The points are denser towards zero background. Rows of bins that lack a class, or have fewer
    than 10 events, are NaN.
    """
    # Squares: where a cut will be made, little background is left.
    grid = np.linspace(0, 1, _N_CURVE_POINTS) ** 2
    bins = split_by_energy(events, settings.energy_edges_tev)
    curves = np.array([_signal_kept(in_bin, grid) for in_bin in bins])
    areas = [auc(in_bin) if has_both_classes(in_bin) else np.nan for in_bin in bins]
    columns = bin_columns(settings.energy_edges_tev)
    return columns | {
        "n_events": [n_rows(in_bin) for in_bin in bins],
        "auc": np.where(np.isfinite(curves[:, 0]), areas, np.nan),
        "background_efficiency": np.broadcast_to(grid, curves.shape),
        "signal_efficiency": curves,
    }


def _signal_kept(events: Events, background_efficiency: np.ndarray) -> np.ndarray:
    if n_rows(events) < MIN_EVENTS_PER_BIN or not has_both_classes(events):
        return np.full(len(background_efficiency), np.nan)
    scan = scan_thresholds(events)
    background = scan.background / scan.background[-1]
    return np.interp(background_efficiency, background, scan.signal / scan.signal[-1])


def roc_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """One panel an energy bin that has enough events."""
    panels = []
    for row, area in enumerate(np.asarray(arrays["auc"], float)):
        if np.isfinite(area):
            low, high = (
                f"{float(f'{arrays[name][row]:.2g}'):g}" for name in ("energy_low", "energy_high")
            )
            kept = {
                name: arrays[name][row] for name in ("background_efficiency", "signal_efficiency")
            }
            panels.append(Panel(f"{low} – {high} TeV", kept | {"auc": area}))
    return panels


@figure(
    kind="type",
    title="ROC curve in bins of energy",
    data=roc_in_bins,
    overlay=True,
    axes={
        "xlabel": "Background kept",
        "ylabel": "Signal kept",
        "xlim": (-0.02, 1.02),
        "ylim": (-0.02, 1.02),
    },
    panels=roc_panels,
)
def roc_by_energy(ax: Axes, *, background_efficiency, signal_efficiency, auc, label, style):
    """Share of signal kept against share of background kept, in each bin of true energy.

    Nearer to the upper left corner is better; the diagonal is guessing. The numbers are the areas
    under the curves of the first runs. Fewer than 10 events: left out.
    """
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
    look = {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 1.4}
    # The grid begins where background is zero but signal is not: the corner is added here.
    ax.plot([0, *background_efficiency], [0, *signal_efficiency], label=label, **look)
    # More numbers than these would hide the curves.
    if len(ax.texts) < _MAX_WRITTEN:
        height = 0.06 + 0.11 * len(ax.texts)
        ax.text(0.97, height, f"{auc:.3f}", ha="right", color=style["color"], fontsize=9)


def scores_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``signal[energy bin][score bin]`` and ``background``: counts in 20 bins of the score."""
    edges = np.linspace(0, 1, _N_SCORE_BINS + 1)
    columns: dict[str, Any] = bin_columns(settings.energy_edges_tev)
    bins = split_by_energy(events, settings.energy_edges_tev)
    for name, wanted in (("signal", True), ("background", False)):
        columns[name] = np.array(
            [
                np.histogram(in_bin["gh_score"][in_bin["signal"] == wanted], edges)[0]
                for in_bin in bins
            ]
        )
        columns[f"{name}_name"] = settings.classes[name]
    return columns


@figure(
    kind="type",
    title="Gammaness in bins of energy",
    data=scores_in_bins,
    overlay=False,
    axes={
        "xlabel": "Gammaness",
        "ylabel": "True energy [TeV]",
        "yscale": "log",
        "xlim": (-0.02, 1.02),
    },
)
def gammaness_by_energy(
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
    """Score of the events in each bin of true energy: signal upwards, background downwards.

    Heights are square roots, relative to the highest bin, so that tails are seen. Good if signal
    stands at one and background at zero at every energy. Fewer than 10 events of a class: blank.
    """
    ratio = np.asarray(energy_high, float) / np.asarray(energy_low, float)
    for color, name, counts, sign in (
        (PALETTE[0], signal_name, signal, 1),
        (PALETTE[1], background_name, background, -1),
    ):
        # Only the first histogram of a class goes into the legend.
        text = name
        for row, heights in enumerate(np.asarray(counts, float)):
            if heights.sum() >= MIN_EVENTS_PER_BIN:
                base = energy_center[row]
                top = base * ratio[row] ** (sign * _FILLED * np.sqrt(heights / heights.max()))
                edges = np.linspace(0, 1, len(heights) + 1)
                ax.stairs(top, edges, baseline=base, fill=True, color=color, alpha=0.8, label=text)
                text = None
