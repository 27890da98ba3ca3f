"""From camera pixels to square images, whole batches at a time, by mappers that are built once."""

import copy
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numba
import numpy as np
import scipy.sparse
from astropy.config import get_cache_dir
from ctapipe.instrument import CameraGeometry
from dl1_data_handler.image_mapper import ImageMapper
from traitlets.config import Config

from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: Share of pixels that are not 0 from which images count as dense.
DENSE_FROM = 0.4
#: Numbers that are added side by side.
LANES = 64
#: Cells that are summed before they are written.
CELLS = 16
#: Mappers that take up to seconds to build; the others only number the pixels anew.
INTERPOLATING = ("BicubicMapper", "BilinearMapper", "NearestNeighborMapper", "RebinMapper")
_built: dict[str, ImageMapper] = {}


def map_images(
    mapper: ImageMapper, pixels: np.ndarray, rows: np.ndarray, images: np.ndarray, to: np.ndarray
) -> None:
    """Add square images of some rows of pixels to the zeros at their places.

    The sums are those of ``mapper.map_image``, in the same order: the values are equal bit by
    bit. In cleaned images pixels that are 0, most of them, cost nothing.

    Parameters
    ----------
    mapper : ImageMapper
        Mapper of the camera.
    pixels : np.ndarray
        Shape (n, n_pixels, n_channels), float32; may be mapped from a file.
    rows : np.ndarray
        Rows of ``pixels`` to map, shape (m,).
    images : np.ndarray
        Output, filled with 0 before, shape (k, height, width, n_channels), float32.
    to : np.ndarray
        Place in ``images`` for each of the rows, shape (m,).
    """
    # A cell is one square of the image: its row times the width, plus its column.
    flat = images.reshape(len(images), -1, images.shape[-1])
    rows, to = rows.astype(np.uint64), to.astype(np.uint64)
    if np.count_nonzero(pixels[rows[0]]) < DENSE_FROM * pixels[rows[0]].size:
        table = mapper.mapping_table
        _scatter(pixels, rows, table.indptr, table.indices, table.data, flat, to)
    else:
        gather, unit = _gather_kernel(pixels.shape[-1])
        gather(pixels.view(unit), rows, *_by_cell(mapper), flat.view(unit), to)


def _by_cell(mapper: ImageMapper) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cells that pixels contribute to, and for each first entry, pixels, weights.

    Cells outside the camera, two in five of a hexagonal one, are left out: they stay 0. Kept with
    the mapper.
    """
    if not hasattr(mapper, "cherenkov_mlops_by_cell"):
        table = mapper.mapping_table.T.tocsr()
        table.sort_indices()
        used = np.flatnonzero(np.diff(table.indptr))
        first = np.append(table.indptr[used], table.indptr[-1])
        # Compiled code wraps negative indices, and so is faster without a sign.
        used, first, pixels = (part.astype(np.uint64) for part in (used, first, table.indices))
        mapper.cherenkov_mlops_by_cell = (used, first, pixels, table.data)
    return mapper.cherenkov_mlops_by_cell


@numba.njit(nogil=True)
def _scatter(pixels, rows, first, cells, weights, images, to):  # pragma: no cover (compiled)
    """Add each pixel that is not 0 to the cells that it contributes to: for cleaned images."""
    # ``place`` counts images of the batch; the entries ``first[pixel]`` to ``first[pixel + 1]`` of
    # ``cells`` and ``weights`` say where a pixel goes, as in any matrix in CSR format.
    for place in range(len(rows)):
        row, image = pixels[rows[place]], images[to[place]]
        for pixel in range(row.shape[0]):
            for channel in range(row.shape[1]):
                value = row[pixel, channel]
                if value != 0:
                    for k in range(first[pixel], first[pixel + 1]):
                        image[cells[k], channel] += weights[k] * value


@lru_cache(maxsize=8)
def _gather_kernel(n_channels: int) -> tuple[Callable, type]:
    """Function that sums the pixels of each cell, and the type it copies them as.

    For images with few zeros, many at once.

    The processor adds as many numbers in one step as it has room for, if they lie side by side
    and their number is known when the code is compiled.
    """
    n_together = max(1, LANES // n_channels)
    n_lanes = np.uint64(n_together * n_channels)
    # Copied two numbers at a time where their number is even.
    unit = np.uint32 if n_channels % 2 else np.uint64
    n_units = n_channels if n_channels % 2 else n_channels // 2
    # Sums start from it, as upstream's do: -0.0 becomes 0.0.
    zero = np.float32(0)

    @numba.njit(nogil=True)
    def gather(pixels, rows, used, first, cells, weights, images, to):  # pragma: no cover
        # ``together[pixel, image, channel]``, flat: the values of one pixel in all images of a
        # round lie side by side, so that a cell of all of them is summed by one loop over lanes.
        # A lane is one image and channel; a unit is one or two channels, copied as one number.
        together = np.zeros(pixels.shape[1] * n_together * n_channels, dtype=np.float32)
        sums = np.zeros((CELLS, n_together * n_channels), dtype=np.float32)
        together_units, sums_units = together.view(unit), sums.view(unit)
        n_cells = len(used)
        for start in range(0, len(rows), n_together):
            n_images = min(n_together, len(rows) - start)
            for image in range(n_images):
                source = pixels[rows[start + image]]
                for pixel in range(pixels.shape[1]):
                    place = (pixel * n_together + image) * n_units
                    for i in range(n_units):
                        together_units[np.uint64(place + i)] = source[pixel, i]
            # ``cell`` counts the used cells, ``k`` and ``n`` entries (pixel, weight) of one.
            for low in range(0, n_cells, CELLS):
                high = min(low + CELLS, n_cells)
                for cell in range(low, high):
                    total = sums[cell - low]
                    k, end = first[cell], first[cell + 1]
                    if end - k == 3:
                        # As interpolation has it, and in one go: sums stay in the processor.
                        a, b, c = cells[k] * n_lanes, cells[k + 1] * n_lanes, cells[k + 2] * n_lanes
                        u, v, w = weights[k], weights[k + 1], weights[k + 2]
                        for i in range(n_lanes):
                            total[i] = (
                                (zero + u * together[a + i]) + v * together[b + i]
                            ) + w * together[c + i]
                    else:
                        lane, weight = cells[k] * n_lanes, weights[k]
                        for i in range(n_lanes):
                            total[i] = zero + weight * together[lane + i]
                        for n in range(k + 1, end):
                            lane, weight = cells[n] * n_lanes, weights[n]
                            for i in range(n_lanes):
                                total[i] += weight * together[lane + i]
                # Image by image: in turns, places of many images would push each other out of
                # the processor's memory.
                for image in range(n_images):
                    target = images[to[start + image]]
                    for cell in range(low, high):
                        for i in range(n_units):
                            target[used[cell], i] = sums_units[cell - low, image * n_units + i]

    return gather, unit


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
