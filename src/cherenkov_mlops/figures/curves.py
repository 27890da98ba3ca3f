"""Curves that several figures share."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes


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
) -> None:
    """A line with markers at the bin centres, and its band; NaN leaves a gap.

    The columns are those of `cherenkov_mlops.metrics.binning.statistic_by_energy`.
    """
    center, value = np.asarray(energy_center, float), np.asarray(value, float)
    known = np.isfinite(value)
    # Blank bins at the ends would stretch the axis far beyond the events.
    inside = slice(known.argmax(), len(known) - known[::-1].argmax()) if known.any() else slice(0)
    ax.plot(center[inside], value[inside], label=label, **style)
    low, high = np.asarray(low, float)[inside], np.asarray(high, float)[inside]
    ax.fill_between(center[inside], low, high, color=style["color"], alpha=0.18, linewidth=0)
