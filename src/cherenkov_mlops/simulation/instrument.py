"""Telescopes: the SST-1M pair by formula, any other array from a file, and their cameras."""

from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import EarthLocation
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    CameraReadout,
    OpticsDescription,
    ReflectorShape,
    SizeType,
    SubarrayDescription,
    TelescopeDescription,
)
from ctapipe.instrument.camera import PixelShape
from scipy import sparse
from scipy.spatial import KDTree

from cherenkov_mlops.errors import DataError

PIXEL_PITCH_M, PIXEL_FLAT_M = 0.0243, 0.0233
N_COLUMNS = 48
FOCAL_LENGTH_M, EFFECTIVE_FOCAL_LENGTH_M = 5.6, 5.697
MIRROR_AREA_M2 = 9.42
#: Night-sky photo-electrons per ns, m2 of mirror and sr: 0.85 in DigiCam's window, which gives
#: the noise of simulated SST-1M images under a dark sky.
NIGHT_SKY_RATE = 224.0
#: Samples that the charge of a pixel is summed over, as by ctapipe's default extractor.
INTEGRATED_SAMPLES = 7
#: Ondrejov observatory, where the two telescopes stand.
SITE = {"lat": 49.912442, "lon": 14.782501, "height": 511.2}
TELESCOPE_POSITIONS_M = {21: (-71.4, -30.4, 0.0), 22: (71.4, 30.4, 0.0)}
#: Rise and fall [ns] of the reference pulse, a difference of exponentials.
_PULSE_RISE_NS, _PULSE_FALL_NS = 7.0, 9.0


def digicam_pixels() -> np.ndarray:
    """Positions [m] of DigiCam's 1296 hexagonal pixels, shape (1296, 2).

    48 columns of 2 to 36 pixels make the hexagon of the camera (Heller et al. 2017,
    Eur. Phys. J. C 77, 47).
    """
    positions = []
    for i in range(N_COLUMNS):
        x = (i - (N_COLUMNS - 1) / 2 + 1 / 6) * np.sqrt(3) / 2
        # Lowest pixel (in pitches) and number of pixels: the hexagon grows, stays, shrinks.
        if i < 12:
            first, number = -(1 + 1.5 * i), 2 + 3 * i
        elif i < 36:
            first, number = (-17.5 if i % 2 else -17.0), 36
        else:
            first, number = -17 + 1.5 * (i - 36), 34 - 3 * (i - 36)
        positions += [(x, first + j) for j in range(number)]
    return PIXEL_PITCH_M * np.array(positions)


def sst1m_pair() -> SubarrayDescription:
    """Describe the two SST-1M telescopes at Ondrejov (ids 21 and 22), 1296 pixels each.

    Optics and camera of Alispach et al. 2025, JCAP 02, 047.
    """
    optics = OpticsDescription(
        name="1M",
        size_type=SizeType.SST,
        n_mirrors=1,
        equivalent_focal_length=FOCAL_LENGTH_M * u.m,
        effective_focal_length=EFFECTIVE_FOCAL_LENGTH_M * u.m,
        mirror_area=MIRROR_AREA_M2 * u.m**2,
        n_mirror_tiles=18,
        reflector_shape=ReflectorShape.DAVIES_COTTON,
    )
    x, y = digicam_pixels().T
    geometry = CameraGeometry(
        name="DigiCam",
        pix_id=np.arange(x.size),
        pix_x=x * u.m,
        pix_y=y * u.m,
        pix_area=np.full(x.size, np.sqrt(3) / 2 * PIXEL_FLAT_M**2) * u.m**2,
        pix_type=PixelShape.HEXAGON,
        pix_rotation=30 * u.deg,
        cam_rotation=0 * u.deg,
        frame=CameraFrame(focal_length=EFFECTIVE_FOCAL_LENGTH_M * u.m),
    )
    time = np.arange(0, 152.0, 0.4)
    pulse = np.exp(-time / _PULSE_FALL_NS) - np.exp(-time / _PULSE_RISE_NS)
    readout = CameraReadout(
        name="DigiCam",
        sampling_rate=0.25 * u.GHz,
        reference_pulse_shape=(pulse / pulse.max())[None],
        reference_pulse_sample_width=0.4 * u.ns,
        n_channels=1,
        n_pixels=1296,
        n_samples=50,
    )
    camera = CameraDescription("DigiCam", geometry, readout)
    telescope = TelescopeDescription("SST_1M_DigiCam", optics, camera)
    return SubarrayDescription(
        name="SST1M_pair",
        tel_positions={i: position * u.m for i, position in TELESCOPE_POSITIONS_M.items()},
        tel_descriptions=dict.fromkeys(TELESCOPE_POSITIONS_M, telescope),
        reference_location=EarthLocation.from_geodetic(
            SITE["lon"] * u.deg, SITE["lat"] * u.deg, SITE["height"] * u.m
        ),
    )


def read_subarray(path: Path) -> SubarrayDescription:
    """Read the array described in ``path``, with effective focal lengths where these are known.

    Raises
    ------
    DataError
        If there is no such file, it is not HDF5, or it describes no array.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected an HDF5 file with a subarray, found no file")
    try:
        # Old simulations lack effective focal lengths, which ctapipe then refuses to use.
        subarray = SubarrayDescription.from_hdf(path, focal_length_choice="EQUIVALENT")
        lengths = [t.optics.effective_focal_length.to_value(u.m) for t in subarray.tel.values()]
        if np.isfinite(lengths).all():
            subarray = SubarrayDescription.from_hdf(path, focal_length_choice="EFFECTIVE")
    except (OSError, KeyError, tables.HDF5ExtError, tables.NoSuchNodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(
            f"{path}: expected an HDF5 file with /configuration/instrument ({reason})"
        ) from error
    return subarray


class Camera:
    """Pixels of one telescope type, as the simulation needs them.

    Parameters
    ----------
    telescope : ctapipe.instrument.TelescopeDescription
        Optics and camera.

    Attributes
    ----------
    focal_length : float
        Focal length of the geometry's frame [m].
    radius_rad : float
        Distance of the outermost pixel from the centre, seen from the mirror [rad].
    night_sky : float
        Mean night-sky photo-electrons of a pixel in the integration window.
    mirror_area : float
        Area of the mirror [m2]; ``mirror_radius`` [m] is that of a disk as large.
    flower : scipy.sparse.csr_array
        Adds up each pixel and its neighbours, shape (n_pixels, n_pixels).
    """

    #: Cells of the look-up raster along a pixel's diameter.
    _FINENESS = 10

    def __init__(self, telescope: TelescopeDescription):
        geometry = telescope.camera.geometry
        self.n_pixels = geometry.n_pixels
        self.focal_length = geometry.frame.focal_length.to_value(u.m)
        self.rotation = geometry.frame.rotation.to_value(u.rad)
        self.mirror_area = telescope.optics.mirror_area.to_value(u.m**2)
        self.mirror_radius = np.sqrt(self.mirror_area / np.pi)
        sampling_ghz = telescope.camera.readout.sampling_rate.to_value(u.GHz)
        self.window_ns = telescope.camera.readout.n_samples / sampling_ghz
        points = np.stack([geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)], 1)
        pixel_area = geometry.pix_area.to_value(u.m**2)
        solid_angle = np.median(pixel_area) / self.focal_length**2
        window = INTEGRATED_SAMPLES / sampling_ghz
        self.night_sky = NIGHT_SKY_RATE * self.mirror_area * solid_angle * window
        self.pixel_width = np.sqrt(np.median(pixel_area))
        self.radius_rad = np.hypot(*points.T).max() / self.focal_length
        self.flower = sparse.csr_array(
            geometry.neighbor_matrix_sparse + sparse.eye_array(self.n_pixels), dtype=np.float32
        )
        # Nearest pixel of each cell of a fine raster; -1 outside the camera.
        self._step = self.pixel_width / self._FINENESS
        self._low = points.min(axis=0) - 2 * self.pixel_width
        size = np.ceil((np.ptp(points, axis=0) + 4 * self.pixel_width) / self._step)
        self._size = size.astype(int)
        axes = [
            low + (np.arange(n) + 0.5) * self._step
            for low, n in zip(self._low, self._size, strict=True)
        ]
        cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        distance, pixel = KDTree(points).query(cells)
        outside = distance > 0.62 * np.sqrt(pixel_area[pixel])
        self._raster = np.where(outside, -1, pixel).reshape(self._size)

    def pixels_at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Pixel index at each place [m] in the camera frame; -1 outside the camera."""
        i = ((np.stack([x, y]) - self._low[:, None]) / self._step).astype(np.int64)
        inside = np.all((i >= 0) & (i < self._size[:, None]), axis=0)
        i = np.where(inside, i, 0)
        return np.where(inside, self._raster[i[0], i[1]], -1)

    def place(self, fov_lon: np.ndarray, fov_lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Camera coordinates [m] of directions [rad], by ctapipe's equidistant mapping."""
        cosine, sine = np.cos(self.rotation), np.sin(self.rotation)
        x, y = fov_lat * self.focal_length, fov_lon * self.focal_length
        return x * cosine + y * sine, y * cosine - x * sine
