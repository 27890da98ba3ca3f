"""Figures of the direction; ``events`` as in `cherenkov_mlops.metrics.direction`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, figure
from cherenkov_mlops.figures.curves import draw_points_with_band
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import statistic_by_energy
from cherenkov_mlops.metrics.direction import containment_68
from cherenkov_mlops.metrics.events import Events

_MAX_THRESHOLD_DEG = 2.0
_N_THRESHOLDS = 81


def resolution_by_energy(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """68 % containment radius [deg] in each bin of true energy, with its interval."""
    return statistic_by_energy(
        events, settings.energy_edges_tev, containment_68, settings.n_bootstrap, settings.seed
    )


@figure(
    task="direction",
    title="Angular resolution",
    data=resolution_by_energy,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "68 % containment radius [deg]"},
)
def angular_resolution(ax: Axes, *, label, style, **columns):
    """Radius that contains 68 % of the angular errors, by true energy.

    Lower is better. Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    draw_points_with_band(ax, label=label, style=style, **columns)


def cumulated_share(events: Events) -> dict[str, Any]:
    """``share`` of events whose angular error is at most ``threshold`` [deg], 0 to 2 deg."""
    threshold = np.linspace(0, _MAX_THRESHOLD_DEG, _N_THRESHOLDS)
    theta = np.sort(events["theta"])
    share = np.searchsorted(theta, threshold, side="right") / max(len(theta), 1)
    return {"threshold": threshold, "share": share}


@figure(
    task="direction",
    title="Share of events within an angle",
    data=cumulated_share,
    overlay=True,
    axes={"xlabel": "Angular error at most [deg]", "ylabel": "Share of events"},
)
def share_within(ax: Axes, *, threshold, share, label, style):
    """Share of events whose angular error is at most the angle on the axis.

    Better the steeper the rise and the nearer to one.
    """
    ax.plot(threshold, share, label=label, markevery=10, **style)
