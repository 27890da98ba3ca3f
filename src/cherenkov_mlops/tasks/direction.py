"""The arrival direction, as an offset in the camera (mono) or in the sky (stereo)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.tasks.base import TASKS, Columns, DL2Place, Instrument, Task

#: Simulations have no time of their own: CTLearn puts all into the sky of this moment (UTC).
EPOCH = "2018-10-01T00:00:00"


def unit_vectors(alt_deg: np.ndarray, az_deg: np.ndarray) -> np.ndarray:
    """Unit vectors of directions given in degrees, shape (n, 3)."""
    alt, az = np.radians(np.asarray(alt_deg, float)), np.radians(np.asarray(az_deg, float))
    return np.stack([np.cos(alt) * np.cos(az), np.cos(alt) * np.sin(az), np.sin(alt)], axis=-1)


def angular_separation_deg(
    alt_1: np.ndarray, az_1: np.ndarray, alt_2: np.ndarray, az_2: np.ndarray
) -> np.ndarray:
    """Great-circle separation [deg] of directions given in degrees.

    The arctan2 of the norm of the cross product and the dot product of unit vectors keeps its
    precision at small angles, where the arccos of the dot product loses it.
    """
    first, second = unit_vectors(alt_1, az_1), unit_vectors(alt_2, az_2)
    # The difference, and not the vectors themselves, keeps separations below 1e-6 deg exact.
    cross = np.linalg.norm(np.cross(first, second - first), axis=-1)
    return np.degrees(np.arctan2(cross, np.sum(first * second, axis=-1)))


#: Columns whose separation is the error of a direction.
SEPARATED = ("true_alt", "true_az", "reco_alt", "reco_az")


@dataclass(frozen=True)
class Direction(Task):
    """Altitude and azimuth [deg]; subclasses say in which frame a network learns them."""

    def error(self, events: Columns) -> np.ndarray:
        """Compute the angle between true and reconstructed direction [deg]."""
        return angular_separation_deg(*(events[name] for name in SEPARATED))

    def shown(self, values: Mapping[str, float]) -> list[tuple[str, Sequence[float | None], str]]:
        """List both directions."""
        return [
            (f"{word} alt, az", [values.get(f"{kind}_alt"), values.get(f"{kind}_az")], "deg")
            for word, kind in (("True", "true"), ("Predicted", "reco"))
        ]

    def sample(self, random: np.random.Generator, n_events: int) -> dict[str, np.ndarray]:
        """Draw directions within a degree of each other."""
        return {
            "reco_alt": 70 + random.random(n_events),
            "reco_az": 10 + random.random(n_events),
        }

    def derive(self, events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add ``theta`` [deg], the angle between true and reconstructed direction."""
        return events | {"theta": self.error(events)}


# Below, astropy and ctapipe are imported where they are needed: the names of tasks are read by
# every command, and these packages take longer to import than most commands take.


@dataclass(frozen=True)
class CameraDirection(Direction):
    """Direction from the offset in the camera [m], telescope by telescope."""

    def labels(self, examples: Columns) -> np.ndarray:
        """Take the offsets x and y in the camera [m], shape (n, 2)."""
        names = ("cam_coord_offset_x", "cam_coord_offset_y")
        return np.stack([np.asarray(examples[name]) for name in names], axis=1)

    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Transform offsets in the cameras of the telescopes to the sky [deg]."""
        from astropy import units as u
        from astropy.coordinates import AltAz, SkyCoord
        from astropy.time import Time
        from ctapipe.coordinates import CameraFrame

        alt, az = np.empty(len(output)), np.empty(len(output))
        tel_ids = np.asarray(events["tel_id"])
        for tel_id in np.unique(tel_ids).tolist():
            rows = tel_ids == tel_id
            altaz = AltAz(location=instrument.tel_locations[tel_id], obstime=Time(EPOCH))
            pointing = SkyCoord(
                az=np.asarray(events["pointing_az"])[rows] * u.deg,
                alt=np.asarray(events["pointing_alt"])[rows] * u.deg,
                frame=altaz,
            )
            camera = CameraFrame(
                focal_length=instrument.focal_lengths[tel_id],
                rotation=instrument.rotations[tel_id],
                telescope_pointing=pointing,
            )
            x, y = (u.Quantity(output[rows, axis], u.m) for axis in (0, 1))
            direction = SkyCoord(x=x, y=y, frame=camera).transform_to(altaz)
            alt[rows], az[rows] = direction.alt.to_value(u.deg), direction.az.to_value(u.deg)
        return {"reco_alt": alt, "reco_az": az}


@dataclass(frozen=True)
class SkyDirection(Direction):
    """Direction from the offset from the array's pointing [deg], array event by array event."""

    def labels(self, examples: Columns) -> np.ndarray:
        """Take the offsets in longitude and latitude of the field of view [deg], shape (n, 2)."""
        return np.stack([np.asarray(examples[name]) for name in ("fov_lon", "fov_lat")], axis=1)

    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Transform offsets from the pointing of the array to the sky [deg]."""
        from astropy import units as u
        from astropy.coordinates import AltAz, SkyCoord
        from astropy.time import Time
        from ctapipe.coordinates import NominalFrame

        altaz = AltAz(location=instrument.location, obstime=Time(EPOCH))
        pointing = SkyCoord(
            az=np.asarray(events["pointing_az"]) * u.deg,
            alt=np.asarray(events["pointing_alt"]) * u.deg,
            frame=altaz,
        )
        nominal = NominalFrame(origin=pointing, location=instrument.location, obstime=altaz.obstime)
        lon, lat = (u.Quantity(output[:, axis], u.deg) for axis in (0, 1))
        direction = SkyCoord(fov_lon=lon, fov_lat=lat, frame=nominal).transform_to(altaz)
        return {"reco_alt": direction.alt.to_value(u.deg), "reco_az": direction.az.to_value(u.deg)}


def _add_direction(task_class: type[Direction], name: str, title: str, **options: object) -> None:
    TASKS.add(
        name,
        task_class(
            name=name,
            title=title,
            kind="direction",
            kind_title="Direction",
            n_outputs=2,
            needs_pointing=True,
            columns={"reco_alt": "deg", "reco_az": "deg"},
            truth={"true_alt": "deg", "true_az": "deg"},
            loss="MeanAbsoluteError",
            watched={f"mae_{name}": "MeanAbsoluteError"},
            required=("true_alt", "true_az", "reco_alt", "reco_az", "true_energy"),
            error_title="Angular error",
            error_unit="deg",
            answer="the direction of the primary particle as offsets from a known one, in degrees",
            **options,
        ),
    )


def _place(prefix: str) -> DL2Place:
    return DL2Place(
        group="geometry",
        prefix=prefix,
        # In the order of CTLearn's tables.
        columns={"az": "reco_az", "alt": "reco_alt"},
        container="ReconstructedGeometryContainer",
        property="GEOMETRY",
    )


_add_direction(
    CameraDirection,
    "cameradirection",
    "Direction (camera frame)",
    modes=("mono",),
    dl2=_place("CTLearnCameraReconstructor"),
    elsewhere="skydirection",
)
_add_direction(
    SkyDirection,
    "skydirection",
    "Direction (sky frame)",
    modes=("stereo",),
    dl2=_place("CTLearnSkyReconstructor"),
    elsewhere="cameradirection",
)
