"""Curves that several figures share."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.style import FAINT


def draw_points_with_band(
    ax: Axes,
    *,
    energy_low: Any,
    energy_center: Any,
    energy_high: Any,
    value: Any,
    low: Any,
    high: Any,
    n_events: Any,
    label: str,
    style: dict[str, str],
    only_lone_markers: bool = False,
) -> None:
    """Draw a line with markers at the bin centres, and its band; NaN leaves a gap.

    The columns are those of `cherenkov_mlops.metrics.binning.statistic_by_energy`. With
    ``only_lone_markers``, only points without a neighbour, which no line shows, get a marker.
    """
    center, value, low, high = (np.asarray(c, float) for c in (energy_center, value, low, high))
    known = np.isfinite(value)
    # Blank bins at the ends would stretch the axis far beyond the events.
    inside = slice(known.argmax(), len(known) - known[::-1].argmax()) if known.any() else slice(0)
    lone = known & ~np.append(known[1:], False) & ~np.append(False, known[:-1])
    marked = np.flatnonzero(lone[inside]).tolist() if only_lone_markers else None
    ax.plot(center[inside], value[inside], label=label, markevery=marked, **style)
    ax.fill_between(
        center[inside], low[inside], high[inside], color=style["color"], alpha=0.18, linewidth=0
    )


def draw_deviation(
    ax: Axes, *, energy: Any, bias: Any, std: Any, style: dict[str, str], **options: Any
) -> None:
    """Points at the bias with bars of one standard deviation, around a line at zero."""
    energy, bias, std = (np.asarray(column, float) for column in (energy, bias, std))
    known = np.isfinite(bias)
    ax.axhline(0, color=FAINT, linewidth=1.2)
    ax.errorbar(
        energy[known],
        bias[known],
        std[known],
        color=style["color"],
        marker=style["marker"],
        linestyle="none",
        elinewidth=1.4,
        **options,
    )


def draw_map(
    ax: Axes, x_edges: Any, y_edges: Any, values: Any, *, cmap: Any, label: str, **options: Any
) -> None:
    """Draw a histogram as colours with their scale; ``values[x][y]``, masked values stay blank."""
    mesh = ax.pcolormesh(
        x_edges, y_edges, np.ma.transpose(values), cmap=cmap, rasterized=True, **options
    )
    bar = ax.figure.colorbar(mesh, ax=ax, label=label)
    bar.outline.set_visible(False)
    # The scale alone would be hundreds of rectangles in an SVG.
    bar.solids.set_rasterized(True)
