"""Readers for CTLearn's tools: whole batches by row number, from HDF5 files or a cache."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tables
from astropy.table import Table, vstack
from ctapipe.core import Component
from ctapipe.io import read_table
from dl1_data_handler.image_mapper import ImageMapper
from dl1_data_handler.reader import (
    DLDataReader,
    DLImageReader,
    DLWaveformReader,
    TableQualityQuery,
)

from cherenkov_mlops.data.paths import (
    PARAMETERS,
    POINTINGS,
    RUNS,
    TELESCOPE_TRIGGERS,
    TRIGGERS,
    WAVEFORMS,
    telescope_node,
)
from cherenkov_mlops.dl1.data_set import DataSet
from cherenkov_mlops.dl1.examples import Examples
from cherenkov_mlops.dl1.mapping import map_images
from cherenkov_mlops.dl1.pixel_cache import PixelCache
from cherenkov_mlops.dl1.pixel_store import CachedStore, HDF5Store, PixelStore
from cherenkov_mlops.dl1.pixels import (
    KEEP_IN_MEMORY_BYTES,
    ImagePixels,
    PixelReader,
    WaveformPixels,
)
from cherenkov_mlops.errors import DataError


# Options are traits of CTLearn's classes: a configuration names these classes (``ctlearn:
# DLImageReader: ...``), and traitlets gives their sections to their subclasses only. These two hold
# the options and do nothing else.
class ImageOptions(DLImageReader):
    """CTLearn's options of a reader of images."""

    def __init__(self, config: Any = None, parent: Component | None = None, **kwargs: Any):
        Component.__init__(self, config=config, parent=parent, **kwargs)


class WaveformOptions(DLWaveformReader):
    """CTLearn's options of a reader of waveforms."""

    def __init__(self, config: Any = None, parent: Component | None = None, **kwargs: Any):
        Component.__init__(self, config=config, parent=parent, **kwargs)


class BatchReader(Component):
    """Features of whole batches, by row number, from a data set and its examples.

    It is a component so that tools write its options down. Subclasses say which pixels a network
    sees. Beside CTLearn's ``generate_mono_batch`` and ``generate_stereo_batch``, which make a
    table of each batch, ``read_features`` gives the bare array.

    Parameters
    ----------
    input_url_signal, input_url_background : sequence of Path
        Files of the two classes.
    config, parent
        Configuration as of any ctapipe component.

    Attributes
    ----------
    options : DLDataReader
        CTLearn's options.
    data_set : DataSet
        Open files, telescopes, mapper.
    examples : Examples
        Which images and events there are, with their truth.
    class_weight : dict of int to float or None
        Weight of each class that makes both count as much; None for one class.
    input_shape : tuple of int, or dict of str to tuple
        Shape of one example; in stereo by telescope type, with the telescopes first.

    Examples
    --------
    >>> reader = CuredImageReader(input_url_signal=[Path("gamma.dl1.h5")])  # doctest: +SKIP
    >>> reader.read_features(np.arange(3)).shape  # doctest: +SKIP
    (3, 96, 96, 2)
    """

    options_class: type[DLDataReader]

    def __init__(
        self,
        input_url_signal: Sequence[Path],
        input_url_background: Sequence[Path] = (),
        config: Any = None,
        parent: Component | None = None,
        **kwargs: Any,
    ):
        super().__init__(config=config, parent=parent)
        self.options: Any = self.options_class(parent=self, **kwargs)
        self.quality_query = TableQualityQuery(parent=self.options)
        self.data_set = DataSet(self.options, input_url_signal, input_url_background)
        self.examples = Examples(
            self.data_set,
            self.options,
            self.quality_query.quality_criteria,
            bool(input_url_background),
        )
        self.class_weight = None
        if input_url_background:
            n_half = self.get_n_events() / 2.0
            # In CTLearn's order of operations.
            counts = self.examples.class_counts
            self.class_weight = {number: (1.0 / n) * n_half for number, n in counts.items()}
        self._n_channels = self._make_pixel_reader(0).n_channels
        self._store: PixelStore = HDF5Store(
            self.files, self.example_identifiers, self._make_pixel_reader(KEEP_IN_MEMORY_BYTES)
        )
        self.input_shape: Any = self._image_shape
        if self.mode == "stereo":
            n_telescopes = len(self.selected_telescopes[self.tel_type])
            self.input_shape = {self.tel_type: (n_telescopes, *self._image_shape)}
        # Tables of the pointings that CTLearn's tools note here.
        self.telescope_pointings: dict[str, Table] = {}

    def _make_pixel_reader(self, room_bytes: int) -> PixelReader:
        raise NotImplementedError

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        return (self.mapper.image_shape, self.mapper.image_shape, self._n_channels)

    # What loader, trainer and CTLearn's tools ask a reader for.

    @property
    def mode(self) -> str:
        """``mono`` or ``stereo``."""
        return self.options.mode

    @property
    def focal_length_choice(self) -> Any:
        """Kind of focal length."""
        return self.options.focal_length_choice

    @property
    def files(self) -> dict[Path, tables.File]:
        """Open files, in the order of ``file_index``."""
        return self.data_set.files

    @property
    def mapper(self) -> ImageMapper:
        """The image mapper of the camera."""
        return self.data_set.mapper

    @property
    def subarray(self) -> Any:
        """The telescopes in use."""
        return self.data_set.subarray

    @property
    def tel_ids(self) -> Sequence[int]:
        """Numbers of the telescopes in use."""
        return self.data_set.tel_ids

    @property
    def tel_type(self) -> str:
        """Type of the telescopes."""
        return self.data_set.tel_type

    @property
    def cam_name(self) -> str:
        """Name of the camera."""
        return self.data_set.cam_name

    @property
    def selected_telescopes(self) -> dict[str, np.ndarray]:
        """Type -> numbers of the telescopes."""
        return self.data_set.selected_telescopes

    @property
    def pix_rotation(self) -> dict[int, Any]:
        """Rotation of the pixels of each telescope before the mapper took it out."""
        return self.data_set.pix_rotation

    @property
    def process_type(self) -> Any:
        """Upstream's word for simulations."""
        return self.data_set.process_type

    @property
    def instrument_id(self) -> str:
        """Name of the instrument in the first file."""
        return self.data_set.attributes["CTA INSTRUMENT ID"]

    @property
    def example_identifiers(self) -> Table:
        """One row a telescope image that passes the cuts."""
        return self.examples.images

    @property
    def unique_example_identifiers(self) -> Table:
        """One row an event of the array (stereo)."""
        return self.examples.events

    @property
    def example_identifiers_grouped(self) -> Table:
        """Images grouped by event (stereo)."""
        return self.examples.grouped

    @property
    def cut_counts(self) -> Any:
        """Images after each cut."""
        return self.examples.cut_counts

    @property
    def shower_reuse(self) -> dict[int, int]:
        """``obs_id`` -> how often each simulated shower was used."""
        return self.examples.shower_reuse

    def get_n_events(self) -> int:
        """Count the examples: images (mono) or events (stereo)."""
        return len(self.examples.events)

    # The name that CTLearn's tools call.
    _get_n_events = get_n_events

    def get_tel_pointing(self, file: str | Path, tel_id: int) -> Table:
        """Read the pointings of a telescope in all runs of a file."""
        return read_table(file, telescope_node(POINTINGS, tel_id))

    @cached_property
    def simulation_info(self) -> Table:
        """Settings of the simulated runs of all files."""
        runs = [read_table(file, RUNS) for file in self.files.values()]
        return vstack(runs, metadata_conflicts="silent")

    @cached_property
    def tel_trigger_table(self) -> Table:
        """Telescope triggers of the first file."""
        return read_table(self.files[self.data_set.first_file], TELESCOPE_TRIGGERS)

    @cached_property
    def subarray_trigger_table(self) -> Table:
        """Array triggers of the first file."""
        return read_table(self.files[self.data_set.first_file], TRIGGERS)

    @property
    def dl1b_parameter_colnames(self) -> list[str]:
        """Names of the image parameters."""
        node = telescope_node(PARAMETERS, self.tel_ids[0])
        return list(self.files[self.data_set.first_file].get_node(node).colnames)

    def close_files(self) -> None:
        """Close all HDF5 files of this data set."""
        self.data_set.close()

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


class CuredImageReader(BatchReader):
    """Does the work of CTLearn's ``DLImageReader`` (simulations, one telescope type).

    What differs: a telescope is used in those files that have its tables; rows are read a batch
    at a time; an empty cleaning mask gives zeros instead of NaN, and asking for a relative peak
    time leaves later channels alone; in stereo, events of different files never mix because
    their numbers happen to agree.
    """

    options_class = ImageOptions

    def _make_pixel_reader(self, room_bytes: int) -> ImagePixels:
        return ImagePixels(self.options.channels, room_bytes)


class CuredWaveformReader(BatchReader):
    """Does the work of CTLearn's ``DLWaveformReader``, cured in the same places.

    A sequence around the maximum near an edge of the readout window is moved into the window;
    CTLearn cuts it short, and then cannot make a batch of it.

    Raises
    ------
    DataError
        ``sequence_length`` is longer than the readout, or ``cleaning_type`` is ``waveform``,
        which CTLearn names but does not have.
    """

    options_class = WaveformOptions

    def _make_pixel_reader(self, room_bytes: int) -> WaveformPixels:
        node = telescope_node(WAVEFORMS, self.tel_ids[0])
        table = self.files[self.data_set.first_file].get_node(node)
        n_samples = int(table.coldescrs["waveform"].shape[-1])
        length = self.options.sequence_length
        length = n_samples if length is None else length
        if not 0 < length <= n_samples:
            raise DataError(
                f"sequence_length: expected 1 to {n_samples} samples, which is what the "
                f"files hold, got {length}"
            )
        if self.options.cleaning_type == "waveform":
            raise DataError("cleaning_type: expected image or null, got waveform")
        return WaveformPixels(
            length,
            self.options.sequence_position,
            masked=self.options.cleaning_type == "image",
            room_bytes=room_bytes,
        )


READERS: dict[str, type[BatchReader]] = {
    "images": CuredImageReader,
    "waveforms": CuredWaveformReader,
}
