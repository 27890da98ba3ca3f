"""Metrics of the direction, in degrees.

``events`` has the columns ``true_alt``, ``true_az``, ``reco_alt``, ``reco_az`` and ``theta`` [deg];
``pointing_alt`` and ``pointing_az`` are optional.
"""

import numpy as np

from cherenkov_mlops.metrics.base import metric
from cherenkov_mlops.metrics.events import Events, angular_separation_deg, unit_vectors


def azimuth_error_deg(events: Events) -> np.ndarray:
    """Reconstructed minus true azimuth of each event, on the circle, -180 to 180 [deg]."""
    return (events["reco_az"] - events["true_az"] + 180) % 360 - 180


def containment_deg(theta_deg: np.ndarray, share: float) -> float:
    """Radius [deg] within which this share of the angular errors lies."""
    return float(np.quantile(theta_deg, share))


@metric(task="direction", symbol=r"$\theta_{68}$", unit="deg", better="lower", key=True)
def containment_68(events: Events) -> float:
    """Angular resolution: radius that contains 68 % of the angular errors."""
    return containment_deg(events["theta"], 0.68)


@metric(task="direction", symbol="MDAE", unit="deg", better="lower", key=True)
def mdae(events: Events) -> float:
    """Mean angular error: mean great-circle distance of true and reconstructed direction."""
    return float(np.mean(events["theta"]))


@metric(task="direction", symbol="RMSDE", unit="deg", better="lower")
def rmsde(events: Events) -> float:
    """Root mean square of the angular error."""
    return float(np.sqrt(np.mean(events["theta"] ** 2)))


@metric(task="direction", symbol=r"$\theta_{25}$", unit="deg", better="lower")
def containment_25(events: Events) -> float:
    """Radius that contains 25 % of the angular errors."""
    return containment_deg(events["theta"], 0.25)


@metric(task="direction", symbol=r"$\theta_{50}$", unit="deg", better="lower", key=True)
def containment_50(events: Events) -> float:
    """Median angular error: radius that contains 50 % of the angular errors."""
    return containment_deg(events["theta"], 0.50)


@metric(task="direction", symbol=r"$\theta_{95}$", unit="deg", better="lower")
def containment_95(events: Events) -> float:
    """Radius that contains 95 % of the angular errors: the tail."""
    return containment_deg(events["theta"], 0.95)


@metric(task="direction", symbol=r"$\theta_{68}$ / centre", unit="", better="lower")
def containment_68_ratio(events: Events) -> float:
    """68 % angular error, relative to that of always answering the pointing; 1 = nothing learnt.

    NaN without pointing, or if all true directions are the pointing.
    """
    if "pointing_alt" not in events:
        return float("nan")
    offset = angular_separation_deg(
        events["true_alt"], events["true_az"], events["pointing_alt"], events["pointing_az"]
    )
    reference = containment_deg(offset, 0.68)
    return containment_68(events) / reference if reference else float("nan")


@metric(task="direction", symbol="MAE(az)", unit="deg", better="lower")
def mae_azimuth(events: Events) -> float:
    """Mean absolute azimuth error on the circle; near the zenith it says little."""
    return float(np.mean(np.abs(azimuth_error_deg(events))))


@metric(task="direction", symbol=r"MAE(az) $\cos$ alt", unit="deg", better="lower")
def mae_azimuth_cos_alt(events: Events) -> float:
    """Mean absolute azimuth error times cos(true altitude): an angle on the sky."""
    cosine = np.cos(np.radians(events["true_alt"]))
    return float(np.mean(np.abs(azimuth_error_deg(events)) * cosine))


@metric(task="direction", symbol="MAE(alt)", unit="deg", better="lower")
def mae_altitude(events: Events) -> float:
    """Mean absolute altitude error."""
    return float(np.mean(np.abs(events["reco_alt"] - events["true_alt"])))


@metric(
    task="direction",
    symbol=r"$\sigma$(reco)",
    unit="deg",
    better="none",
    fails_below=1e-5,
    failure="the network gives the same direction for every event",
)
def direction_spread(events: Events) -> float:
    """RMS distance of the reconstructed directions from their mean; zero for a constant answer.

    Measured from the pointing where it is known, since the pointing itself may move.
    """
    alt, az = events["reco_alt"], events["reco_az"]
    if "pointing_alt" in events:
        alt, az = alt - events["pointing_alt"], az - events["pointing_az"]
    return float(np.degrees(np.sqrt(unit_vectors(alt, az).var(axis=0).sum())))
