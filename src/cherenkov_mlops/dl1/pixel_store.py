"""Where batches get their pixels from: HDF5 files, or the memory-mapped cache."""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np
import tables
from astropy.table import Table

from cherenkov_mlops import __version__
from cherenkov_mlops.dl1.pixel_cache import Content, PixelCache
from cherenkov_mlops.dl1.pixels import PixelReader

#: Images that are read at once to build a cache.
PIECE = 1024
DECIDING_PACKAGES = ("ctapipe", "dl1_data_handler")

Piece = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Pixels (n, n_pixels, n_channels), rows of them to take, and their places in the batch."""


class PixelStore(Protocol):
    """Gives the pixels of examples by their row number."""

    def gather(self, images: np.ndarray) -> Iterator[Piece]:
        """Pixels of the images, one piece for each table or entry that they are in."""


class HDF5Store:
    """Reads the pixels of each batch from the files.

    Parameters
    ----------
    files : dict of Path to tables.File
        Open files, in the order of ``file_index``.
    examples : Table
        Columns ``file_index``, ``table_index``, ``tel_id``.
    pixels : PixelReader
        Reads one kind of pixels.
    """

    def __init__(self, files: dict[Path, tables.File], examples: Table, pixels: PixelReader):
        self.files = list(files.values())
        self.pixels = pixels
        # A source is one table: a telescope of a file.
        sources = np.stack([examples["file_index"], examples["tel_id"]], axis=1)
        self._sources, numbers = np.unique(sources, axis=0, return_inverse=True)
        self._source_of = numbers.reshape(-1)
        self._rows = np.asarray(examples["table_index"])

    def gather(self, images: np.ndarray) -> Iterator[Piece]:
        """Pixels of the images, one piece for each table that they are in."""
        source_of = self._source_of[images]
        for number in np.unique(source_of):
            file, tel_id = self._sources[number]
            here = np.flatnonzero(source_of == number)
            values = self.pixels.read(self.files[file], tel_id, self._rows[images[here]])
            yield values, np.arange(len(here)), here


class CachedStore:
    """Takes the pixels from a cache, which is built for the files that are not in it yet.

    Parameters
    ----------
    cache : PixelCache
        The cache.
    files : dict of Path to tables.File
        Open files, in the order of ``file_index``.
    examples : Table
        Columns ``file_index``, ``table_index``, ``tel_id``.
    pixels : PixelReader
        Reads one kind of pixels, to build entries.
    """

    def __init__(
        self,
        cache: PixelCache,
        files: dict[Path, tables.File],
        examples: Table,
        pixels: PixelReader,
    ):
        self._file = np.asarray(examples["file_index"])
        self._place = np.empty(len(examples), dtype=np.int64)
        self._entries: dict[int, np.ndarray] = {}
        telescopes, rows = np.asarray(examples["tel_id"]), np.asarray(examples["table_index"])
        for index, (name, file) in enumerate(files.items()):
            here = np.flatnonzero(self._file == index)
            if not len(here):
                continue
            # In the order of the file, whatever the order of the examples.
            here = here[np.lexsort([rows[here], telescopes[here]])]
            self._place[here] = np.arange(len(here))
            images = np.stack([telescopes[here], rows[here]], axis=1).astype(np.int64)
            self._entries[index] = _open_entry(cache, Path(name), file, images, pixels)

    def gather(self, images: np.ndarray) -> Iterator[Piece]:
        """Pixels of the images, one piece for each file that they are in."""
        file_of = self._file[images]
        for index in np.unique(file_of):
            here = np.flatnonzero(file_of == index)
            entry, rows = self._entries[index], self._place[images[here]]
            if entry.dtype == np.float32:
                # Not copied: the mapper reads the rows where they lie in the file.
                yield entry, rows, here
            else:
                yield entry[rows].astype(np.float32), np.arange(len(rows)), here


def _open_entry(
    cache: PixelCache, name: Path, file: tables.File, images: np.ndarray, pixels: PixelReader
) -> np.ndarray:
    """Map the pixels of the images (telescope, row) of one file."""

    def read_pieces() -> Iterator[np.ndarray]:
        for tel_id in np.unique(images[:, 0]):
            rows = images[images[:, 0] == tel_id, 1]
            for first in range(0, len(rows), PIECE):
                yield pixels.read(file, tel_id, rows[first : first + PIECE])

    tel_id, row = images[0]
    n_pixels = pixels.read(file, tel_id, np.array([row])).shape[1]
    content = Content(
        sha256=cache.digest(name),
        images=hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
        shape=(len(images), n_pixels, pixels.n_channels),
        dtype=cache.dtype,
        pixels=pixels.describe(),
        versions={"cherenkov_mlops": __version__}
        | {package: version(package) for package in DECIDING_PACKAGES},
    )
    return cache.open(content, name, read_pieces)
