"""Runs related to a baseline: ratio panels, deviations by energy, and cost against quality."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cherenkov_mlops.figures import FigureEntry, figures_of
from cherenkov_mlops.figures.base import ENERGY_AXIS
from cherenkov_mlops.figures.style import FAINT, RC_PARAMS
from cherenkov_mlops.metrics import METRICS, Metric
from cherenkov_mlops.reporting.views import Drawn, Line, TaskView
from cherenkov_mlops.results import Measured

COSTS = {
    "mmacs": "computations",
    "model_size_zipped_mb": "model size",
    "network_time_ms": "network time",
    "latency_ms": "measured latency",
}
_RATIO_INCHES = 1.35
_HEIGHTS = (3, 1.1)
#: Ratios beyond these shares of all ratios do not stretch the axis.
_SHOWN_QUANTILES = (0.02, 0.98)
_BAND = ("energy_center", "value", "low", "high")


def add_ratio_panel(
    page: Figure, entry: FigureEntry, drawn: Sequence[Drawn], reference: Line
) -> None:
    """Put an Axes below the figure's own, with each curve divided by that of the reference."""
    curves = {view.label: _curves(entry, view, arrays) for view, arrays in drawn}
    bases = curves.get(reference.label)
    if not bases:
        return
    with matplotlib.rc_context(RC_PARAMS):
        upper = page.axes[0]
        page.set_figheight(page.get_figheight() + _RATIO_INCHES)
        grid = page.add_gridspec(2, 1, height_ratios=_HEIGHTS)
        upper.set_subplotspec(grid[0])
        lower = page.add_subplot(grid[1], sharex=upper)
        lower.axhline(1, color=FAINT, linewidth=1.4)
        shown = [
            _draw_ratio(lower, line, base)
            for lines in curves.values()
            for line, base in zip(lines, bases, strict=False)
        ]
        _limit(lower, np.concatenate(shown))
        lower.set(xlabel=upper.get_xlabel(), ylabel=f"Ratio to\n{_short(reference.label)}")
        upper.set_xlabel("")
        upper.tick_params(labelbottom=False)


def _curves(entry: FigureEntry, view: Line, arrays: dict[str, Any]) -> list[Line2D]:
    """The labelled lines of one run, in the order drawn."""
    ax = Figure().add_subplot()
    entry.draw(ax, label=view.label, style=view.style, **arrays)
    return [line for line in ax.lines if not str(line.get_label()).startswith("_")]


def _draw_ratio(ax: Axes, line: Line2D, base: Line2D) -> np.ndarray:
    """Ratios drawn; NaN where the baseline has no value or is zero."""
    x, y = (np.asarray(values, float) for values in line.get_data())
    reference = _values_at(base, x)
    ratio = np.divide(y, reference, out=np.full(len(y), np.nan), where=reference != 0)
    ax.plot(
        x,
        ratio,
        color=line.get_color(),
        linestyle=line.get_linestyle(),
        marker=line.get_marker(),
        markevery=line.get_markevery(),
        linewidth=1.5,
        markersize=3.5,
    )
    return ratio


def _values_at(base: Line2D, x: np.ndarray) -> np.ndarray:
    """The baseline's curve at ``x``: its own points where these are the same, else between them."""
    x_base, y_base = (np.asarray(values, float) for values in base.get_data())
    if x_base.shape == x.shape and np.allclose(x_base, x):
        return y_base
    known = np.isfinite(y_base)
    if known.sum() < 2 or (np.diff(x_base[known]) < 0).any():
        return np.full(len(x), np.nan)
    return np.interp(x, x_base[known], y_base[known], left=np.nan, right=np.nan)


def _limit(ax: Axes, ratios: np.ndarray) -> None:
    ratios = ratios[np.isfinite(ratios)]
    if ratios.size:
        low, high = np.quantile(ratios, _SHOWN_QUANTILES)
        low, high = min(low, 0.98), max(high, 1.02)
        margin = 0.08 * (high - low)
        ax.set_ylim(low - margin, high + margin)


def _short(label: str) -> str:
    return label if len(label) <= 16 else label[:15] + "…"


def deviation_figures(
    views: Sequence[TaskView], reference: TaskView
) -> list[tuple[FigureEntry, list[Drawn]]]:
    """For each curve by energy: relative deviation of the runs from the reference, in percent."""
    figures = []
    for entry in figures_of(reference.task.kind).values():
        base = reference.part.figures.get(entry.name)
        if reference.task.needs_background or not entry.overlay or not _has_band(base):
            continue
        drawn = [
            (view, _deviation(view.part.figures[entry.name], base))
            for view in views
            if view is not reference and _has_band(view.part.figures.get(entry.name), base)
        ]
        if drawn:
            figures.append((_deviation_entry(entry, reference), drawn))
    return figures


def _has_band(arrays: Any, base: Any = None) -> bool:
    """Whether the arrays are a statistic by energy, in the bins of ``base``."""
    if not isinstance(arrays, dict) or not all(
        isinstance(arrays.get(name), list) for name in _BAND
    ):
        return False
    return base is None or arrays["energy_center"] == base["energy_center"]


def _deviation(arrays: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    value, low, high = (np.array(arrays[name], dtype=float) for name in _BAND[1:])
    reference = np.array(base["value"], dtype=float)
    known = np.isfinite(value) & (reference != 0)
    columns = {"deviation": value, "low": low, "high": high}
    percent = {
        name: 100
        * np.divide(
            column - reference, np.abs(reference), out=np.full(len(known), np.nan), where=known
        )
        for name, column in columns.items()
    }
    centers = {"energy_center": arrays["energy_center"]}
    return centers | {name: column.tolist() for name, column in percent.items()}


def _deviation_entry(entry: FigureEntry, reference: TaskView) -> FigureEntry:
    def draw(ax: Axes, *, energy_center, deviation, low, high, label, style):
        ax.axhline(0, color=FAINT, linewidth=1.4)
        center, middle = np.asarray(energy_center, float), np.asarray(deviation, float)
        known = np.isfinite(middle)
        errors = np.abs(np.array([low, high], float)[:, known] - middle[known])
        ax.errorbar(center[known], middle[known], errors, label=label, capsize=2, **style)

    draw.__doc__ = (
        f"Deviation from {reference.label} in percent of its value, by true energy. Below zero "
        "is better. Bars: the run's own 68 % interval."
    )
    return FigureEntry(
        name=f"{entry.name}_deviation",
        draw=draw,
        kind=entry.kind,
        title=f"{entry.title}: relative to {reference.label}",
        data=dict,
        overlay=True,
        axes=ENERGY_AXIS | {"ylabel": "Deviation [%]"},
    )


def pareto_figures(views: Sequence[TaskView]) -> list[tuple[FigureEntry, list[Drawn]]]:
    """Quality (the first key metric) against each cost that at least two runs know."""
    quality = next((entry for entry in views[0].metrics if entry.key), None)
    if quality is None:
        return []
    figures = []
    for name in COSTS:
        cost = METRICS[name]
        drawn = [(view, _pareto_point(view, cost, quality)) for view in views]
        drawn = [(view, point) for view, point in drawn if np.isfinite([*point.values()]).all()]
        if len(drawn) > 1:
            figures.append((_pareto_entry(cost, quality, drawn), drawn))
    return figures


def _pareto_point(view: TaskView, cost: Metric, quality: Metric) -> dict[str, float]:
    value = view.results.facts.get(cost.name)
    stored = view.part.metrics.get(quality.name, Measured())
    values = {"cost": value, "quality": stored.value, "low": stored.low, "high": stored.high}
    return {name: np.nan if number is None else float(number) for name, number in values.items()}


def _pareto_entry(cost: Metric, quality: Metric, drawn: Sequence[Drawn]) -> FigureEntry:
    front = pareto_front([point for _, point in drawn], quality)

    def draw(ax: Axes, *, cost, quality, low, high, label, style):
        if not ax.lines:
            ax.plot(*front, color=FAINT, linewidth=6, alpha=0.6, drawstyle="steps-post", zorder=1)
        errors = [[quality - low], [high - quality]]
        look = {"color": style["color"], "marker": style["marker"], "linestyle": "none"}
        ax.errorbar([cost], [quality], np.abs(errors), label=label, markersize=8, **look)

    better = "higher" if quality.better == "higher" else "lower"
    draw.__doc__ = (
        f"{quality.text} Against: {cost.text} Better to the left and {better}; on the broad grey "
        "line no other run is both cheaper and better. Bars: 68 % interval."
    )
    unit = f" [{cost.unit}]" if cost.unit else ""
    return FigureEntry(
        name=f"pareto_{cost.name}",
        draw=draw,
        kind="generic",
        title=f"Quality against {COSTS[cost.name]}",
        data=dict,
        overlay=True,
        axes={"xlabel": f"{cost.symbol}{unit}", "ylabel": quality.symbol},
    )


def pareto_front(
    points: Sequence[dict[str, float]], quality: Metric
) -> tuple[list[float], list[float]]:
    """Cost and quality of the points that no other beats in both, cheapest first."""
    ordered = sorted(points, key=lambda p: (p["cost"], float(quality.badness(p["quality"]))))
    front: list[dict[str, float]] = []
    for point in ordered:
        if not front or quality.badness(point["quality"]) < quality.badness(front[-1]["quality"]):
            front.append(point)
    return [point["cost"] for point in front], [point["quality"] for point in front]
