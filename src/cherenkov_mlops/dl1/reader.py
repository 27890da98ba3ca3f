"""Readers for CTLearn's tools: whole batches by row number, from HDF5 files or a cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from ctapipe.core import Component
from dl1_data_handler.reader import DLImageReader, DLWaveformReader

from cherenkov_mlops.dl1.examples import ExampleTables
from cherenkov_mlops.dl1.mapping import map_images
from cherenkov_mlops.dl1.pixel_cache import PixelCache
from cherenkov_mlops.dl1.pixel_store import CachedStore, HDF5Store, PixelStore
from cherenkov_mlops.dl1.pixels import (
    KEEP_IN_MEMORY_BYTES,
    WAVEFORMS,
    ImagePixels,
    PixelReader,
    WaveformPixels,
    telescope_node,
)
from cherenkov_mlops.dl1.upstream import bridge_reader_names
from cherenkov_mlops.errors import DataError


class BatchReader(ExampleTables):
    """What readers of images and of waveforms share: features of whole batches.

    Beside CTLearn's ``generate_mono_batch`` and ``generate_stereo_batch``, which make a table of
    each batch, ``read_features`` gives the bare array.
    """

    def __init__(
        self,
        input_url_signal: list[Path],
        input_url_background: list[Path] | tuple[Path, ...] = (),
        config: Any = None,
        parent: Component | None = None,
        **kwargs: Any,
    ):
        super().__init__(input_url_signal, input_url_background, config, parent, **kwargs)
        self.construct_examples()
        self._n_channels = self._make_pixel_reader(0).n_channels
        self._store: PixelStore = HDF5Store(
            self.files, self.example_identifiers, self._make_pixel_reader(KEEP_IN_MEMORY_BYTES)
        )
        if self.mode == "mono":
            self.input_shape = self._image_shape
        else:
            telescopes = self.selected_telescopes[self.tel_type]
            self.input_shape = {self.tel_type: (len(telescopes), *self._image_shape)}

    def _make_pixel_reader(self, room_bytes: int) -> PixelReader:
        raise NotImplementedError

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        return (self.mapper.image_shape, self.mapper.image_shape, self._n_channels)

    def use_cache(self, cache: PixelCache) -> None:
        """Take the pixels of all later batches from the cache; build what it lacks.

        Raises
        ------
        DataError
            A pixel value is NaN or infinite, or too large for the cache's type.
        """
        # Each row is read once to build the cache: nothing is worth keeping in memory.
        pixels = self._make_pixel_reader(0)
        self._store = CachedStore(cache, self.files, self.example_identifiers, pixels)

    def read_in_order(self) -> None:
        """Keep nothing in memory: for reading each row once, in the order of the files."""
        pixels = self._make_pixel_reader(0)
        self._store = HDF5Store(self.files, self.example_identifiers, pixels)

    def read_features(self, rows: np.ndarray) -> np.ndarray:
        """Input of the network for examples by row number, float32.

        The shape is (n, height, width, n_channels) in mono, (n, n_telescopes, height, width,
        n_channels) in stereo: telescopes in the order of their numbers, at 0 where a telescope
        has no image of the event.

        Raises
        ------
        DataError
            A pixel value is NaN or infinite.
        """
        rows = np.asarray(rows)
        if self.mode == "mono":
            return self._map(rows, np.arange(len(rows)), len(rows))
        place, images = self._images_of_events(rows)
        telescopes = self.selected_telescopes[self.tel_type]
        tel_ids = np.asarray(self.example_identifiers_grouped["tel_id"])[images]
        to = place * len(telescopes) + np.searchsorted(telescopes, tel_ids)
        features = self._map(images, to, len(rows) * len(telescopes))
        return features.reshape(len(rows), len(telescopes), *features.shape[1:])

    def _map(self, images: np.ndarray, to: np.ndarray, n_places: int) -> np.ndarray:
        """Features of the images at their places, 0 elsewhere."""
        features = np.zeros((n_places, *self._image_shape), dtype=np.float32)
        for pixels, rows, here in self._store.gather(images):
            map_images(self.mapper, pixels, rows, features, to[here])
        return features

    def _images_of_events(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in ``events``, row of the table of images) for each image of the events.

        Not by ``groups[events]``: that gives the rows in the order of the table, whatever the
        order asked for.
        """
        bounds = self.example_identifiers_grouped.groups.indices
        sizes = np.diff(bounds)[events]
        place = np.repeat(np.arange(len(events)), sizes)
        first = np.cumsum(sizes) - sizes
        return place, bounds[events][place] + np.arange(sizes.sum()) - first[place]

    def read_intensities(self, rows: np.ndarray) -> np.ndarray:
        """Image intensities [p.e.] of events by row number, shape (n, n_telescopes); 0 = none."""
        place, images = self._images_of_events(np.asarray(rows))
        telescopes = self.selected_telescopes[self.tel_type]
        table = self.example_identifiers_grouped[images]
        intensities = np.zeros((len(rows), len(telescopes)))
        telescope = np.searchsorted(telescopes, table["tel_id"])
        intensities[place, telescope] = table["hillas_intensity"]
        return intensities

    def generate_mono_batch(self, batch_indices: Sequence[int]) -> Table:
        """Rows of the example table with their images in the column ``features``."""
        rows = np.asarray(batch_indices)
        batch = self.example_identifiers[rows]
        batch.add_column(self.read_features(rows), name="features", index=7)
        return batch

    def generate_stereo_batch(self, batch_indices: Sequence[int]) -> Table:
        """Array events with all images in ``features`` and ``intensities`` [p.e.] beside them."""
        rows = np.asarray(batch_indices)
        batch = self.unique_example_identifiers[rows]
        batch.add_column(self.read_features(rows), name="features")
        batch.add_column(self.read_intensities(rows), name="intensities")
        return batch


class CuredImageReader(BatchReader, DLImageReader):
    """Drop-in for CTLearn's ``DLImageReader`` (simulations, one telescope type, mono or stereo).

    What differs: a telescope is used in those files that have its tables; rows are read a batch
    at a time; an empty cleaning mask gives zeros instead of NaN, and asking for a relative peak
    time leaves later channels alone; in stereo, events of different files never mix because
    their numbers happen to agree.
    """

    def _make_pixel_reader(self, room_bytes: int) -> ImagePixels:
        return ImagePixels(self.channels, room_bytes)


class CuredWaveformReader(BatchReader, DLWaveformReader):
    """Drop-in for CTLearn's ``DLWaveformReader``, cured in the same places.

    A sequence around the maximum near an edge of the readout window is moved into the window;
    CTLearn cuts it short, and then cannot make a batch of it.

    Raises
    ------
    DataError
        ``sequence_length`` is longer than the readout, or ``cleaning_type`` is ``waveform``,
        which CTLearn names but does not have.
    """

    def _make_pixel_reader(self, room_bytes: int) -> WaveformPixels:
        node = telescope_node(WAVEFORMS, self.tel_ids[0])
        table = self.files[self.first_file].get_node(node)
        self.readout_length = int(table.coldescrs["waveform"].shape[-1])
        if self.sequence_length is None:
            self.sequence_length = self.readout_length
        if not 0 < self.sequence_length <= self.readout_length:
            raise DataError(
                f"sequence_length: expected 1 to {self.readout_length} samples, which is what the "
                f"files hold, got {self.sequence_length}"
            )
        if self.cleaning_type == "waveform":
            raise DataError("cleaning_type: expected image or null, got waveform")
        return WaveformPixels(
            self.sequence_length,
            self.sequence_position,
            masked=self.cleaning_type == "image",
            room_bytes=room_bytes,
        )


READERS: dict[str, type[BatchReader]] = {
    "images": CuredImageReader,
    "waveforms": CuredWaveformReader,
}
bridge_reader_names(CuredImageReader)
bridge_reader_names(CuredWaveformReader)
