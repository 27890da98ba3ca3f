"""From cascades to photo-electrons in cameras."""

from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere, transmission
from cherenkov_mlops.simulation.electrons import LightTable
from cherenkov_mlops.simulation.instrument import Camera
from cherenkov_mlops.simulation.showers import Segments

SPEED_OF_LIGHT = 0.299792458  # m/ns
FINE_STRUCTURE = 1 / 137.036
WAVELENGTHS_NM = np.arange(300.0, 551.0, 25.0)
#: Photo-electrons for each photon on the mirror: detection efficiency of the sensors times
#: window, light guides, mirror reflectivity and shadow (read off Heller et al. 2017,
#: Eur. Phys. J. C 77, 47, figures on photo-detection and window transmission).
EFFICIENCY = 0.72 * np.array([0.02, 0.11, 0.19, 0.25, 0.28, 0.30, 0.31, 0.31, 0.30, 0.24, 0.09])
#: Spread [deg] of the optics: on the axis, and per degree off the axis.
PSF_DEG, PSF_PER_DEG = 0.03, 0.012


def photo_electrons_per_metre() -> float:
    """Photo-electrons of a metre of track over sin2 of the Cherenkov angle, all light collected.

    Frank and Tamm 1937: 2 pi alpha times the integral of efficiency over wavelength squared.
    """
    metres = WAVELENGTHS_NM * 1e-9
    return 2 * np.pi * FINE_STRUCTURE * np.trapezoid(EFFICIENCY / metres**2, metres)


@dataclass(frozen=True)
class View:
    """Telescopes of one type and what they look at.

    Attributes
    ----------
    tel_ids : numpy.ndarray
        Telescope ids.
    positions : numpy.ndarray
        Telescopes [m], shape (n, 3); z above sea level.
    axes : numpy.ndarray
        Rows: unit vectors of the pointing, of growing altitude, of growing azimuth.
    camera : Camera
        The camera that all of them have.
    """

    tel_ids: np.ndarray
    positions: np.ndarray
    axes: np.ndarray
    camera: Camera

    def directions(self, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Field-of-view longitude and latitude [rad] of unit vectors (n, 3) away from the ground.

        As in ctapipe's ``TelescopeFrame``: latitude grows with altitude, longitude with azimuth.
        """
        along, up, right = (towards @ self.axes.T).T
        return np.arctan2(right, along), np.arcsin(np.clip(up, -1, 1))


@dataclass(frozen=True)
class PhotoElectrons:
    """Photo-electrons, one row each.

    Attributes
    ----------
    image : numpy.ndarray
        Row of the image (pair of shower and telescope) that each belongs to.
    pixel : numpy.ndarray
        Pixel index.
    time : numpy.ndarray
        Time [ns], with an offset that all telescopes of a shower share.
    """

    image: np.ndarray
    pixel: np.ndarray
    time: np.ndarray


def join_light(parts: list[PhotoElectrons]) -> PhotoElectrons:
    """All photo-electrons of several sources of light."""
    return PhotoElectrons(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("image", "pixel", "time")
        )
    )


def mean_transmission(heights: np.ndarray, ground_m: float, zenith_deg: float) -> np.ndarray:
    """Share of the detectable light that reaches the ground from ``heights`` [m]."""
    return transmission(
        standard_atmosphere(),
        heights,
        ground_m,
        np.cos(np.radians(zenith_deg)),
        WAVELENGTHS_NM,
        EFFICIENCY / WAVELENGTHS_NM**2,
    )


class LightModel:
    """Light of cascades seen by the telescopes of one view.

    Parameters
    ----------
    view : View
        Telescopes.
    table : LightTable
        Light of cascade electrons for this altitude and zenith angle.
    ground_m, zenith_deg : float
        Altitude of the site [m] and zenith angle of the pointing [deg].
    """

    def __init__(self, view: View, table: LightTable, ground_m: float, zenith_deg: float):
        self.view, self.table = view, table
        self._heights = np.linspace(ground_m, ground_m + 40_000.0, 400)
        self._air = mean_transmission(self._heights, ground_m, zenith_deg)

    def air(self, height: np.ndarray) -> np.ndarray:
        """Share of the light that gets through the air from ``height`` [m]."""
        return np.interp(height, self._heights, self._air)

    def expected(self, segments: Segments) -> np.ndarray:
        """Mean photo-electrons of each segment in each telescope's camera, shape (n, m).

        Electron track length x Frank-Tamm yield x angular density of the light x solid angle of
        the mirror x transmission of the air; zero for light from outside the field of view.
        """
        # Lines from segments to telescopes (n, m, 3) [m], lengths [m], angles to the axes.
        line = self.view.positions[None] - segments.position[:, None]
        distance = np.sqrt(np.einsum("nmi,nmi->nm", line, line))
        along = np.einsum("nmi,ni->nm", line, segments.direction)
        across = np.sqrt(np.maximum(distance**2 - along**2, 0.0))
        angle = np.arctan2(across, along)
        along_view = -(line @ self.view.axes[0]) / distance
        # A margin of a degree: what the optics blur into the outermost pixels.
        seen = along_view > np.cos(self.view.camera.radius_rad + 0.02)
        rows, tels = np.nonzero(seen)
        height = segments.position[rows, 2]
        density = self.table.photons_per_sr(segments.age[rows], height, angle[rows, tels])
        solid_angle = self.view.camera.mirror_area * along_view[rows, tels]
        solid_angle /= distance[rows, tels] ** 2
        light = np.zeros(distance.shape)
        light[rows, tels] = segments.track[rows] * density * solid_angle * self.air(height)
        return light * photo_electrons_per_metre()

    def draw(
        self,
        rng: np.random.Generator,
        segments: Segments,
        expected: np.ndarray,
        image: np.ndarray,
        front: np.ndarray,
    ) -> PhotoElectrons:
        """Draw photo-electrons of ``segments``, Poisson-distributed around ``expected`` (n, m).

        Parameters
        ----------
        image : numpy.ndarray
            Row of the image of each pair (shower, telescope), -1 for those not wanted.
        front : numpy.ndarray
            Direction of flight of each shower's primary, shape (n, 3).
        """
        wanted = image[segments.shower] >= 0
        number = rng.poisson(np.where(wanted, expected, 0.0))
        rows, tels = np.nonzero(number)
        # One row a photo-electron from here on.
        repeat = number[rows, tels]
        rows, tels = np.repeat(rows, repeat), np.repeat(tels, repeat)
        place = self.emission_points(rng, segments, rows, tels)
        # Each goes to a random place on the mirror, a disk.
        radius = self.view.camera.mirror_radius * np.sqrt(rng.random(rows.size))
        turn = rng.uniform(0, 2 * np.pi, rows.size)
        disk = np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1) @ self.view.axes[1:]
        line = self.view.positions[tels] + disk - place
        distance = np.linalg.norm(line, axis=1)
        shower = segments.shower[rows]
        time = self.arrival_times(front[shower], place, distance)
        pixel = self.focus(rng, -line / distance[:, None])
        hit = pixel >= 0
        return PhotoElectrons(image[shower, tels][hit], pixel[hit], time[hit])

    def emission_points(
        self, rng: np.random.Generator, segments: Segments, rows: np.ndarray, tels: np.ndarray
    ) -> np.ndarray:
        """Draw the places [m] where the light for each photo-electron is emitted, shape (n, 3)."""
        axis = segments.direction[rows]
        shift = rng.uniform(-0.5, 0.5, rows.size) * segments.length[rows]
        place = segments.position[rows] + axis * shift[:, None]
        line = self.view.positions[tels] - place
        along = np.einsum("ni,ni->n", line, axis)
        towards = line - along[:, None] * axis
        across = np.linalg.norm(towards, axis=1)
        # Offsets are towards the telescope, and across: the light of a cascade is symmetric.
        towards /= np.maximum(across, 1e-6)[:, None]
        angle = np.arctan2(across, along)
        offset = self.table.draw_offsets(rng, segments.age[rows], place[:, 2], angle)
        return place + towards * offset[:, :1] + np.cross(axis, towards) * offset[:, 1:]

    def arrival_times(
        self, front: np.ndarray, place: np.ndarray, distance: np.ndarray
    ) -> np.ndarray:
        """Times [ns]: the plane shower front reaches the place, then light goes ``distance`` [m].

        Light is slower than the front by the mean refractive index on its way.
        """
        telescope_height = self.view.positions[:, 2].mean()
        slow = standard_atmosphere().mean_refractivity(place[:, 2], telescope_height)
        flight = np.einsum("ni,ni->n", place, front)
        return (flight + distance * (1 + slow)) / SPEED_OF_LIGHT

    def focus(self, rng: np.random.Generator, towards: np.ndarray) -> np.ndarray:
        """Pixels hit by light from the directions ``towards`` (n, 3), blurred by the optics."""
        lon, lat = self.view.directions(towards)
        spread = np.radians(PSF_DEG) + PSF_PER_DEG * np.hypot(lon, lat)
        blur = rng.standard_normal((2, lon.size)) * spread
        return self.view.camera.pixels_at(*self.view.camera.place(lon + blur[0], lat + blur[1]))
