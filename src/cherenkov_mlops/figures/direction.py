"""Figures of the direction; ``events`` as in `cherenkov_mlops.metrics.direction`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import ENERGY_AXIS, Panel, figure
from cherenkov_mlops.figures.curves import draw_deviation, draw_map, draw_points_with_band
from cherenkov_mlops.figures.style import PALETTE, SHARES
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import statistic_by_energy, statistics_by_energy
from cherenkov_mlops.metrics.direction import (
    altitude_error_deg,
    azimuth_error_deg,
    azimuth_error_on_sky_deg,
    containment_68,
)
from cherenkov_mlops.metrics.table import Events, n_rows

_MAX_THRESHOLD_DEG = 2.0
_N_THRESHOLDS = 81
_N_SKY_BINS = 50
_MIN_HALF_WIDTH_DEG = 1.0
_MAX_POINTINGS = 20
_MAX_THETA2_DEG2 = 0.5
_N_THETA2_BINS = 50
#: A source counts as a point if its true offsets from the pointing differ by less [deg].
_POINT_LIKE_DEG = 0.05
_ERRORS = {
    "altitude": altitude_error_deg,
    "azimuth": azimuth_error_deg,
    "azimuth_cos_altitude": azimuth_error_on_sky_deg,
}


def resolution_by_energy(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """68 % containment radius [deg] in each bin of true energy, with its interval."""
    return statistic_by_energy(
        events, settings.energy_edges_tev, containment_68, settings.n_bootstrap, settings.seed
    )


@figure(
    kind="direction",
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
    kind="direction",
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


def theta2_histogram(events: Events) -> dict[str, Any]:
    """Share of signal events in bins of squared angular error, ``edges`` [deg²], 0 to 0.5 deg²."""
    edges = np.linspace(0, _MAX_THETA2_DEG2, _N_THETA2_BINS + 1)
    signal = events["signal"] if "signal" in events else np.ones(n_rows(events), dtype=bool)
    counts = np.histogram(events["theta"][signal] ** 2, edges)[0]
    return {
        "theta2_low": edges[:-1],
        "theta2_high": edges[1:],
        "share": counts / max(np.count_nonzero(signal), 1),
        "point_like": is_point_like(events),
    }


def is_point_like(events: Events) -> bool:
    """Whether all true directions have the same offset from the pointing: one source."""
    if "pointing_alt" not in events or not n_rows(events):
        return False
    alt = events["true_alt"] - events["pointing_alt"]
    cosine = np.cos(np.radians(events["true_alt"]))
    az = ((events["true_az"] - events["pointing_az"] + 180) % 360 - 180) * cosine
    return bool(max(np.ptp(alt), np.ptp(az)) < _POINT_LIKE_DEG)


@figure(
    kind="direction",
    title="Squared angular error",
    data=theta2_histogram,
    overlay=True,
    axes={"xlabel": "θ² [deg²]", "ylabel": "Share of signal a bin"},
)
def theta2(ax: Axes, *, theta2_low, theta2_high, share, point_like, label, style):
    """Squared angle between true and reconstructed direction of signal events.

    Better the higher the peak at zero. For a point-like source this is its image on the sky; for
    diffuse signal the distance is that of each event from its own true direction.
    """
    edges = np.append(theta2_low, theta2_high[-1:])
    text = f"{label} (point-like)" if point_like else label
    ax.stairs(
        share, edges, color=style["color"], linestyle=style["linestyle"], linewidth=1.6, label=text
    )


def sky_counts(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``signal`` and ``background`` counts ``[azimuth][altitude]`` of reconstructed directions.

    Azimuths are unrolled around the pointing, so that 359 and 1 deg are neighbours; the edges
    depend on the true directions alone, so that runs on the same events have the same.
    """
    is_signal = events["signal"] if "signal" in events else np.ones(n_rows(events), dtype=bool)
    pointings = _pointings(events)
    center = pointings[0] if pointings else (0.0, 0.0)
    az_edges = _edges(_unroll(events["true_az"], center[0]), center[0])
    alt_edges = _edges(events["true_alt"], center[1])
    arrays = {"azimuth_edges": az_edges, "altitude_edges": alt_edges, "pointings": pointings}
    for name, selected in (("signal", is_signal), ("background", ~is_signal)):
        azimuth = _unroll(events["reco_az"][selected], center[0])
        counts = np.histogram2d(azimuth, events["reco_alt"][selected], (az_edges, alt_edges))[0]
        arrays |= {name: counts.astype(int), f"{name}_name": settings.classes[name]}
    return arrays


def _pointings(events: Events) -> list[tuple[float, float]]:
    """Different pointings as (azimuth, altitude) [deg], the most frequent first."""
    if not n_rows(events):
        return []
    names = ("pointing_az", "pointing_alt")
    # A centre is needed all the same, or azimuths could not be unrolled.
    if "pointing_alt" not in events:
        return [(float(events["true_az"][0]), float(np.median(events["true_alt"])))]
    pairs = np.round(np.stack([events[name] for name in names], axis=1), 4)
    # One number a pair: NumPy finds the different ones much faster than those of rows.
    different, counts = np.unique(pairs[:, 0] + 1j * pairs[:, 1], return_counts=True)
    often = different[np.argsort(-counts, kind="stable")][:_MAX_POINTINGS]
    return [(float(pair.real), float(pair.imag)) for pair in often]


def _unroll(azimuth_deg: np.ndarray, center_deg: float) -> np.ndarray:
    return center_deg + (azimuth_deg - center_deg + 180) % 360 - 180


def _edges(angles_deg: np.ndarray, center_deg: float) -> np.ndarray:
    reach = np.quantile(np.abs(angles_deg - center_deg), 0.995) if angles_deg.size else 0
    half_width = max(1.3 * reach, _MIN_HALF_WIDTH_DEG)
    return np.linspace(center_deg - half_width, center_deg + half_width, _N_SKY_BINS + 1)


def sky_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """One panel a class that has events."""
    shared = {name: arrays[name] for name in ("azimuth_edges", "altitude_edges", "pointings")}
    return [
        Panel(arrays[f"{name}_name"], shared | {"counts": arrays[name]})
        for name in ("signal", "background")
        if np.any(arrays[name])
    ]


@figure(
    kind="direction",
    title="Reconstructed directions",
    data=sky_counts,
    overlay=False,
    axes={"xlabel": "Azimuth [deg]", "ylabel": "Altitude [deg]"},
    panels=sky_panels,
)
def sky_distribution(ax: Axes, *, azimuth_edges, altitude_edges, pointings, counts, label, style):
    """Reconstructed directions of each class; the crosses are where the telescopes pointed.

    Good if it looks as the source does: a field around the pointing, or a narrow spot at a point
    source. A spot on the cross under diffuse events: the network always answers the centre.
    """
    draw_map(
        ax,
        azimuth_edges,
        altitude_edges,
        np.ma.masked_equal(np.asarray(counts, float), 0),
        cmap=SHARES,
        label="Events",
    )
    # Drawn last: the cross must not be hidden by the spot it marks.
    azimuth, altitude = np.transpose(pointings)
    ax.plot(azimuth, altitude, "+", color=PALETTE[1], markersize=13, markeredgewidth=2)


def deviation_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Mean (``..._bias``) and ``..._std`` [deg] of the errors in bins of true energy."""
    statistics = {}
    for name, error in _ERRORS.items():
        statistics[f"{name}_bias"] = lambda sample, error=error: float(np.mean(error(sample)))
        statistics[f"{name}_std"] = lambda sample, error=error: float(np.std(error(sample)))
    table = statistics_by_energy(events, settings.energy_edges_tev, statistics, 0, settings.seed)
    return {
        name: column["value"] if name in statistics else column for name, column in table.items()
    }


def deviation_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """Altitude, azimuth, and azimuth times the cosine of the altitude, beside each other."""
    return [
        Panel(
            name.replace("_cos_", " × cos "),
            {
                "energy_center": arrays["energy_center"],
                "bias": arrays[f"{name}_bias"],
                "std": arrays[f"{name}_std"],
            },
        )
        for name in _ERRORS
    ]


@figure(
    kind="direction",
    title="Bias and standard deviation of altitude and azimuth",
    data=deviation_in_bins,
    overlay=False,
    axes=ENERGY_AXIS | {"ylabel": "Mean error, bars: std [deg]"},
    panels=deviation_panels,
)
def direction_bias_by_energy(ax: Axes, *, energy_center, bias, std, label, style):
    """Mean of reconstructed minus true angle by true energy; the bars are the standard deviation.

    Better the nearer to zero, and the shorter the bars. Near the zenith the bare azimuth says
    little: times the cosine of the altitude it is an angle on the sky. Fewer than 10 events: blank.
    """
    draw_deviation(ax, energy=energy_center, bias=bias, std=std, style=style)
