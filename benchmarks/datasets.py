"""The simulated files that the benchmarks read: SST-1M, and a camera of the LST's size."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import astropy.units as u
import numpy as np
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

from cherenkov_mlops.commands import simulate

N_IMAGES = 20_000
CLEANED = ("cleaned_image", "cleaned_relative_peak_time")
UNCLEANED = ("image", "peak_time")

N_PIXELS, PITCH_M, FOCAL_LENGTH_M, MIRROR_AREA_M2 = 1855, 0.05, 28.0, 386.0
#: A camera a little higher than wide has 55 rows of pixels, as the real one: images of 110 x 110.
FLATTENING = 0.93


@contextmanager
def working_folder(given: Path | None) -> Iterator[Path]:
    """The given folder, made if need be and kept; without one a temporary folder."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def sst1m_file(folder: Path, n_images: int = N_IMAGES) -> Path:
    """DL1 file of diffuse gammas in the SST-1M pair (1296 pixels); made unless it is there."""
    path = folder / f"sst1m_{n_images}.dl1.h5"
    if not path.exists():
        print(f"simulating {n_images} SST-1M images: {path}", flush=True)
        simulate.run(path, particle="gamma", n_images=n_images, seed=1, viewcone_deg=5.0)
    return path


def lst_size_file(folder: Path, n_images: int = N_IMAGES) -> Path:
    """DL1 file of diffuse gammas in two telescopes of the LST's size; made unless it is there."""
    path, array = folder / f"lst_size_{n_images}.dl1.h5", folder / "lst_size_pair.h5"
    if not path.exists():
        print(f"simulating {n_images} LST-size images: {path}", flush=True)
        lst_size_pair().to_hdf(array, overwrite=True)
        simulate.run(
            path,
            particle="gamma",
            n_images=n_images,
            seed=1,
            energy_min_tev=0.1,
            energy_max_tev=50.0,
            viewcone_deg=2.5,
            subarray=array,
        )
    return path


def lst_size_pair() -> SubarrayDescription:
    """Two telescopes with 1855 hexagonal pixels each; ids 1 and 2."""
    optics = OpticsDescription(
        name="LSTSize",
        size_type=SizeType.LST,
        n_mirrors=1,
        equivalent_focal_length=FOCAL_LENGTH_M * u.m,
        effective_focal_length=1.05 * FOCAL_LENGTH_M * u.m,
        mirror_area=MIRROR_AREA_M2 * u.m**2,
        n_mirror_tiles=198,
        reflector_shape=ReflectorShape.PARABOLIC,
    )
    camera = CameraDescription("Hex1855", _geometry(), _readout())
    telescope = TelescopeDescription("LSTSize", optics, camera)
    return SubarrayDescription(
        name="LST_size_pair",
        tel_positions={1: (-50.0, 0.0, 0.0) * u.m, 2: (50.0, 0.0, 0.0) * u.m},
        tel_descriptions={1: telescope, 2: telescope},
        reference_location=EarthLocation.from_geodetic(-17.89 * u.deg, 28.76 * u.deg, 2200 * u.m),
    )


def _pixels() -> np.ndarray:
    """Positions [m] of the pixels of a hexagonal grid nearest to the centre, row by row."""
    i, j = np.meshgrid(np.arange(-40, 41), np.arange(-40, 41))
    x, y = PITCH_M * (i + j / 2).ravel(), PITCH_M * np.sqrt(3) / 2 * j.ravel()
    nearest = np.argsort(np.hypot(x, FLATTENING * y), kind="stable")[:N_PIXELS]
    return np.stack([x, y], axis=1)[np.sort(nearest)]


def _geometry() -> CameraGeometry:
    x, y = _pixels().T
    return CameraGeometry(
        name="Hex1855",
        pix_id=np.arange(N_PIXELS),
        pix_x=x * u.m,
        pix_y=y * u.m,
        pix_area=np.full(N_PIXELS, np.sqrt(3) / 2 * PITCH_M**2) * u.m**2,
        pix_type=PixelShape.HEXAGON,
        pix_rotation=0 * u.deg,
        cam_rotation=0 * u.deg,
        frame=CameraFrame(focal_length=1.05 * FOCAL_LENGTH_M * u.m),
    )


def _readout() -> CameraReadout:
    time = np.arange(0, 25.0, 0.1)
    pulse = np.exp(-0.5 * ((time - 7) / 1.3) ** 2)
    return CameraReadout(
        name="Hex1855",
        sampling_rate=1.0 * u.GHz,
        reference_pulse_shape=pulse[None],
        reference_pulse_sample_width=0.1 * u.ns,
        n_channels=1,
        n_pixels=N_PIXELS,
        n_samples=30,
    )
