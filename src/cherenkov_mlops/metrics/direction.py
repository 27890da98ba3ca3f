"""Metrics of the direction, in degrees.

``events`` has the columns ``true_alt``, ``true_az``, ``reco_alt``, ``reco_az`` and ``theta`` [deg];
``pointing_alt`` and ``pointing_az`` are optional.
"""

import numpy as np

from cherenkov_mlops.metrics.base import metric
from cherenkov_mlops.metrics.table import Events, per_event
from cherenkov_mlops.tasks.direction import angular_separation_deg, unit_vectors


@per_event
def azimuth_error_deg(events: Events) -> np.ndarray:
    """Reconstructed minus true azimuth of each event, on the circle, -180 to 180 [deg]."""
    # From 359.9 to 0.1 deg it is 0.2 deg, whichever way the remainder of a negative number goes.
    return (events["reco_az"] - events["true_az"] + 180) % 360 - 180


def containment_deg(theta_deg: np.ndarray, share: float) -> float:
    """Radius [deg] within which this share of the angular errors lies."""
    return float(np.quantile(theta_deg, share))


@per_event
def _offset_deg(events: Events) -> np.ndarray:
    return angular_separation_deg(
        events["true_alt"], events["true_az"], events["pointing_alt"], events["pointing_az"]
    )


@per_event
def azimuth_error_on_sky_deg(events: Events) -> np.ndarray:
    """Azimuth error times the cosine of the true altitude of each event: an angle [deg]."""
    return azimuth_error_deg(events) * np.cos(np.radians(events["true_alt"]))


@per_event
def altitude_error_deg(events: Events) -> np.ndarray:
    """Reconstructed minus true altitude of each event [deg]."""
    return events["reco_alt"] - events["true_alt"]


@metric(kind="direction", symbol=r"$\theta_{68}$", unit="deg", better="lower", key=True)
def containment_68(events: Events) -> float:
    r"""Angular resolution: radius that contains 68 % of the angular errors.

    Formula: $Q_{0.68}(\theta)$
    Source: pyirf, ``angular_resolution``; $\theta$ as in ``mdae``.
    """
    return containment_deg(events["theta"], 0.68)


@metric(kind="direction", symbol="MDAE", unit="deg", better="lower", key=True)
def mdae(events: Events) -> float:
    r"""Mean angular error: mean great-circle distance of true and reconstructed direction.

    Formula: $\langle \theta \rangle$ with
    $\theta = \mathrm{arctan2}(|\hat r \times \hat t|, \hat r \cdot \hat t)$
    Source: Vincenty, Survey Review 23 (1975) 88; equals ``angular_separation`` of astropy.
    """
    return float(np.mean(events["theta"]))


@metric(kind="direction", symbol="RMSDE", unit="deg", better="lower")
def rmsde(events: Events) -> float:
    r"""Root mean square of the angular error.

    Formula: $\sqrt{\langle \theta^2 \rangle}$
    Source: own definition; $\theta$ as in ``mdae``.
    """
    return float(np.sqrt(np.mean(events["theta"] ** 2)))


@metric(kind="direction", symbol=r"$\theta_{25}$", unit="deg", better="lower")
def containment_25(events: Events) -> float:
    r"""Radius that contains 25 % of the angular errors.

    Formula: $Q_{0.25}(\theta)$
    Source: pyirf, ``angular_resolution``.
    """
    return containment_deg(events["theta"], 0.25)


@metric(kind="direction", symbol=r"$\theta_{50}$", unit="deg", better="lower", key=True)
def containment_50(events: Events) -> float:
    r"""Median angular error: radius that contains 50 % of the angular errors.

    Formula: $Q_{0.5}(\theta)$
    Source: pyirf, ``angular_resolution``.
    """
    return containment_deg(events["theta"], 0.50)


@metric(kind="direction", symbol=r"$\theta_{95}$", unit="deg", better="lower")
def containment_95(events: Events) -> float:
    r"""Radius that contains 95 % of the angular errors: the tail.

    Formula: $Q_{0.95}(\theta)$
    Source: pyirf, ``angular_resolution``.
    """
    return containment_deg(events["theta"], 0.95)


@metric(kind="direction", symbol=r"$\theta_{68}$ / centre", unit="", better="lower")
def containment_68_ratio(events: Events) -> float:
    r"""68 % angular error, relative to that of always answering the pointing; 1 = nothing learnt.

    NaN without pointing, or if all true directions are the pointing.

    Formula: $Q_{0.68}(\theta) / Q_{0.68}(\theta_\mathrm{pointing})$
    Source: own definition.
    """
    if "pointing_alt" not in events:
        return float("nan")
    # Exactly on axis, any answer is infinitely worse: no number says more.
    reference = containment_deg(_offset_deg(events), 0.68)
    return containment_68(events) / reference if reference else float("nan")


@metric(kind="direction", symbol="MAE(az)", unit="deg", better="lower")
def mae_azimuth(events: Events) -> float:
    r"""Mean absolute azimuth error on the circle; near the zenith it says little.

    Formula: $\langle \min(|\Delta az|, 360° - |\Delta az|) \rangle$
    Source: own definition.
    """
    return float(np.mean(np.abs(azimuth_error_deg(events))))


@metric(kind="direction", symbol=r"MAE(az) $\cos$ alt", unit="deg", better="lower")
def mae_azimuth_cos_alt(events: Events) -> float:
    r"""Mean absolute azimuth error times cos(true altitude): an angle on the sky.

    Formula: $\langle |\Delta az| \cos(alt_\mathrm{true}) \rangle$
    Source: own definition.
    """
    return float(np.mean(np.abs(azimuth_error_on_sky_deg(events))))


@metric(kind="direction", symbol="MAE(alt)", unit="deg", better="lower")
def mae_altitude(events: Events) -> float:
    r"""Mean absolute altitude error.

    Formula: $\langle |alt_\mathrm{reco} - alt_\mathrm{true}| \rangle$
    Source: own definition.
    """
    return float(np.mean(np.abs(altitude_error_deg(events))))


@per_event
def _reconstructed_vectors(events: Events) -> np.ndarray:
    alt, az = events["reco_alt"], events["reco_az"]
    if "pointing_alt" in events:
        alt, az = alt - events["pointing_alt"], az - events["pointing_az"]
    return unit_vectors(alt, az)


@metric(
    kind="direction",
    symbol=r"$\sigma$(reco)",
    unit="deg",
    better="none",
    fails_below=1e-5,
    failure="the network gives the same direction for every event",
)
def direction_spread(events: Events) -> float:
    r"""RMS distance of the reconstructed directions from their mean; zero for a constant answer.

    Measured from the pointing where it is known, since the pointing itself may move.

    Formula: $\sqrt{\langle |\hat r - \langle \hat r \rangle|^2 \rangle}$
    Source: own definition.
    """
    return float(np.degrees(np.sqrt(_reconstructed_vectors(events).var(axis=0).sum())))
