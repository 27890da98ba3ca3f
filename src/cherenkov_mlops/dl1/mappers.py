"""Image mappers of dl1_data_handler, built once for a camera and its options."""

import copy
import hashlib
import logging
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import scipy.sparse
from astropy.config import get_cache_dir
from ctapipe.instrument import CameraGeometry
from dl1_data_handler.image_mapper import ImageMapper
from traitlets.config import Config

from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: Mappers that take up to seconds to build; the others only number the pixels anew.
INTERPOLATING = ("BicubicMapper", "BilinearMapper", "NearestNeighborMapper", "RebinMapper")
_built: dict[str, ImageMapper] = {}


class StoredMapper(ImageMapper):
    """A mapper whose table was built before, by this or another process.

    Parameters
    ----------
    geometry : CameraGeometry
        The camera, already derotated.
    table : scipy.sparse.csr_matrix
        Weights, shape (n_pixels, image_shape^2).
    """

    def __init__(self, geometry: CameraGeometry, table: scipy.sparse.csr_matrix):
        # Not upstream's __init__, which lays out the grid of pixels.
        super(ImageMapper, self).__init__()
        self.geometry, self.mapping_table = geometry, table
        self.camera_type, self.n_pixels = geometry.name, geometry.n_pixels
        self.image_shape = int(round(np.sqrt(table.shape[1])))
        self.index_matrix = None


def find_mapper(name: str, geometry: CameraGeometry, config: Config) -> ImageMapper:
    """The mapper of a camera, from this process, from the user's cache folder, or built.

    As upstream, the rotation of the pixels is taken out of ``geometry`` itself.

    Parameters
    ----------
    name : str
        Class of the mapper.
    geometry : CameraGeometry
        The camera; it is derotated in place.
    config : Config
        Options of the mapper among others.
    """
    key = _describe(name, geometry, config)
    if key not in _built:
        _built[key] = _restore_or_build(key, name, copy.deepcopy(geometry), config)
    geometry.rotate(geometry.pix_rotation)
    return _built[key]


def _describe(name: str, geometry: CameraGeometry, config: Config) -> str:
    """Digest of all that decides the table."""
    rotation = geometry.pix_rotation.to_value("deg")
    content = [
        *(name, geometry.name, geometry.pix_type, rotation, version("dl1_data_handler")),
        *(geometry.pix_x.to_value("m").tobytes(), geometry.pix_y.to_value("m").tobytes()),
        *(sorted(config.get(section, {}).items()) for section in ("ImageMapper", name)),
    ]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def _restore_or_build(key: str, name: str, geometry: CameraGeometry, config: Config) -> ImageMapper:
    folder = _cache_folder() if name in INTERPOLATING else None
    path = folder / f"{key}.npz" if folder else None
    if path is not None and path.is_file():
        # A damaged file is built again.
        with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile), path.open("rb") as file:
            table = scipy.sparse.csr_matrix(scipy.sparse.load_npz(file))
            geometry.rotate(geometry.pix_rotation)
            return StoredMapper(geometry, table)
    mapper = ImageMapper.from_name(name, geometry=geometry, config=config)
    if path is not None:
        # A full or read-only disk costs time, not the work.
        with suppress(OSError), atomic_path(path) as temporary:
            scipy.sparse.save_npz(temporary, mapper.mapping_table, compressed=False)
    return mapper


@lru_cache(maxsize=1)
def _cache_folder() -> Path | None:
    """Folder for tables below the user's cache folder; None if there is none."""
    try:
        return Path(get_cache_dir("cherenkov_mlops")) / "mappers"
    except OSError as error:
        log.debug("no cache folder for image mappers: %s", error)
        return None
