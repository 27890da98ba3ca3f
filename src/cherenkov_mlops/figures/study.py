"""Figures of a compression study; drawn from numbers of many runs, so not in the registry."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import FigureEntry
from cherenkov_mlops.figures.style import FAINT
from cherenkov_mlops.metrics import Metric

_SPARSITY = "Sparsity [%]"


def plain(metric: Metric) -> str:
    """Name of a metric for a heading: its symbol, or its key in words if that is a formula."""
    return metric.name.replace("_", " ") if "$" in metric.symbol else metric.symbol


def metric_by_sparsity(metric: Metric, name: str) -> FigureEntry:
    """A metric against sparsity: lines of the series, and the band of the baseline.

    Arrays of a series: ``sparsity`` [%], ``mean``, ``low``, ``high`` over the seeds; the baseline
    has an empty ``sparsity`` and single numbers.
    """

    def draw(ax: Axes, *, sparsity, mean, low, high, label, style):
        if not len(sparsity):
            ax.axhspan(low, high, color=style["color"], alpha=0.18, linewidth=0)
            ax.axhline(mean, color=style["color"], linewidth=1.6, label=label)
            return
        x, y = np.asarray(sparsity, float), np.asarray(mean, float)
        errors = np.abs(np.array([low, high], float) - y)
        ax.errorbar(x, y, errors, label=label, capsize=3, **style)

    unit = f" [{metric.unit}]" if metric.unit else ""
    better = {"higher": "Higher is better.", "lower": "Lower is better."}
    draw.__doc__ = (
        f"{metric.text} {better.get(metric.better, 'Nearer to zero is better.')} Lines: mean over "
        "the seeds, bars from the lowest seed to the highest; band: the same of the baseline."
    )
    axes = {"xlabel": _SPARSITY, "ylabel": f"{metric.symbol}{unit}"}
    return FigureEntry(name, draw, "generic", f"{plain(metric)} against sparsity", dict, True, axes)


def size_by_sparsity(name: str) -> FigureEntry:
    """Size of the model file against sparsity, one line a form."""

    def draw(ax: Axes, *, sparsity, size, label, style):
        """Model without optimizer state, all saved alike. 0 % is the baseline. Lower is better.

        Means over seeds and schedules.
        """
        ax.plot(sparsity, size, label=label, **style)

    axes = {"xlabel": _SPARSITY, "ylabel": "Size [MB]", "yscale": "log"}
    return FigureEntry(name, draw, "generic", "Size against sparsity", dict, True, axes)


def quality_by_cost(metric: Metric, cost: Metric, words: str, name: str) -> FigureEntry:
    """Quality against a cost: one point a row, and what no other row beats in both.

    Arrays of a series: ``cost``, ``quality``, ``low``, ``high``, ``sparsity`` [%], and ``front``,
    whether the point is on the front.
    """

    def draw(ax: Axes, *, cost, quality, low, high, sparsity, front, label, style):
        x, y = np.asarray(cost, float), np.asarray(quality, float)
        errors = np.abs(np.array([low, high], float) - y)
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        on_front = np.asarray(front, bool)
        ax.plot(x[on_front], y[on_front], "o", color=FAINT, markersize=15, zorder=0)
        ax.errorbar(x, y, errors, label=label, markersize=7, capsize=2, **look)
        _write_sparsities(ax, x, y, sparsity)

    unit = f" [{cost.unit}]" if cost.unit else ""
    side = "higher" if metric.better == "higher" else "lower"
    draw.__doc__ = (
        f"{metric.text} Against: {cost.text} Better to the left and {side}; on a broad grey dot "
        "where no other row is both cheaper and better. Numbers: sparsity in percent. Bars: from "
        "the lowest seed to the highest."
    )
    if cost.unit == "ms":
        draw.__doc__ += (
            " Times were taken while other runs were at work: small differences are noise, and "
            "single zeros make no network faster."
        )
    title = f"{plain(metric)} against {words}"
    axes = {"xlabel": f"{cost.symbol}{unit}", "ylabel": metric.symbol}
    return FigureEntry(name, draw, "generic", title, dict, True, axes)


def _write_sparsities(ax: Axes, x: np.ndarray, y: np.ndarray, sparsity: Sequence[Any]) -> None:
    for place, share in enumerate(sparsity):
        if share and np.isfinite([x[place], y[place]]).all():
            text = f"{share:g}"
            ax.annotate(text, (x[place], y[place]), (5, 4), textcoords="offset points", fontsize=8)
