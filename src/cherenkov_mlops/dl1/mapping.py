"""From camera pixels to square images, whole batches at a time."""

from collections.abc import Callable
from functools import lru_cache

import numba
import numpy as np
from dl1_data_handler.image_mapper import ImageMapper

#: Share of pixels that are not 0 from which images count as dense.
DENSE_FROM = 0.4
#: Numbers that are added side by side.
LANES = 64
#: Cells that are summed before they are written.
CELLS = 16


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
