"""Reading of DL1 images for CTLearn's tools, with the reader's known defects cured."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tables
from astropy.table import Table, join, unique, vstack
from ctapipe.io import read_table
from dl1_data_handler.reader import DLImageReader, ProcessType

from cherenkov_mlops.engine.channels import channel_pixels, decode_column
from cherenkov_mlops.engine.cut_counts import CutCounts
from cherenkov_mlops.engine.table_memory import TableMemory
from cherenkov_mlops.engine.upstream import bridge_reader_names
from cherenkov_mlops.errors import DataError

EVENT_KEYS = ["obs_id", "event_id"]
TELESCOPE_KEYS = [*EVENT_KEYS, "tel_id"]
PARAMETERS = "/dl1/event/telescope/parameters"
IMAGES = "/dl1/event/telescope/images"
KEEP_IN_MEMORY_BYTES = 500_000_000


class NoEventsError(DataError):
    """No event of the files is left after the quality cuts."""


class CuredImageReader(DLImageReader):
    """Drop-in for CTLearn's ``DLImageReader`` (simulations, one telescope type, mono or stereo).

    What differs: a telescope is used in those files that have its tables; rows are read a batch
    at a time; an empty cleaning mask gives zeros instead of NaN, and asking for a relative peak
    time leaves later channels alone; in stereo, events of different files never mix because
    their numbers happen to agree.

    Raises
    ------
    NoEventsError
        No event is left after the quality cuts.
    DataError
        A pixel value is NaN or infinite (when a batch is read).
    """

    def __init__(self, *args, **kwargs):
        self._memory = TableMemory(KEEP_IN_MEMORY_BYTES)
        super().__init__(*args, **kwargs)

    @property
    def first_file(self) -> Path:
        """The file that upstream takes as reference: one with tables of the first telescope."""
        names = list(self.files)
        if getattr(self, "tel_ids", None) is None:
            return names[0]
        node = _telescope_node(IMAGES, self.tel_ids[0])
        return next((name for name in names if node in self.files[name]), names[0])

    @first_file.setter
    def first_file(self, name: Path) -> None:
        """Upstream's choice, the first name, is ignored."""

    def _construct_mono_example_identifiers(self) -> None:
        if self.process_type is not ProcessType.Simulation:
            super()._construct_mono_example_identifiers()
            return
        examples = self._read_all_files()
        examples.sort([*TELESCOPE_KEYS, "tel_type_id"])
        examples.add_column(np.arange(len(examples)), name="index", index=0)
        self.example_identifiers = examples
        self._count_classes(examples)

    def _construct_stereo_example_identifiers(self) -> None:
        if self.process_type is not ProcessType.Simulation:
            super()._construct_stereo_example_identifiers()
            return
        self.example_ids_keep_columns.append("hillas_intensity")
        examples = self._read_all_files()
        # Sorted by file as well: two files may use the same event numbers.
        group_keys = [*EVENT_KEYS, "file_index"]
        examples.sort([*group_keys, "tel_id"])
        self.example_identifiers = examples
        self.example_identifiers_grouped = examples.group_by(group_keys)
        self.unique_example_identifiers = unique(examples, keys=group_keys)
        self.unique_example_identifiers.remove_columns(
            ["table_index", "tel_type_id", "tel_id", "hillas_intensity"]
        )
        self._count_classes(self.unique_example_identifiers)

    def _count_classes(self, events: Table) -> None:
        is_signal = np.asarray(events["true_shower_primary_class"]) == 1
        self.n_signal_events = int(is_signal.sum())
        self.n_bkg_events = int((~is_signal).sum())
        if self.input_url_background and not (self.n_signal_events and self.n_bkg_events):
            missing = "background" if self.n_signal_events else "signal"
            raise NoEventsError(f"no {missing} event is left after the cuts {self._cut_names()}")

    def _cut_names(self) -> str:
        return ", ".join(name for name, _ in self.quality_query.quality_criteria) or "(none)"

    def _read_all_files(self) -> Table:
        """Examples of all files that pass the cuts, one row a telescope image."""
        self.cut_counts = CutCounts(self.quality_query.quality_criteria)
        self.simulation_info = vstack(
            [read_table(file, "/configuration/simulation/run") for file in self.files.values()],
            metadata_conflicts="silent",
        )
        tables_by_file = [
            self._read_file(index, name, file)
            for index, (name, file) in enumerate(self.files.items())
        ]
        filled = [table for table in tables_by_file if table is not None]
        if not filled:
            names = ", ".join(str(name) for name in self.files)
            raise NoEventsError(f"{names}: no event is left after the cuts {self._cut_names()}")
        return vstack(filled, metadata_conflicts="silent")

    def _read_file(self, index: int, name: Path, file: tables.File) -> Table | None:
        label = "signal" if name in self.input_url_signal else "background"
        showers = join(
            read_table(file, "/dl1/event/subarray/trigger"),
            read_table(file, "/simulation/event/subarray/shower"),
            keys=EVENT_KEYS,
            metadata_conflicts="silent",
        )
        per_telescope = [
            self._read_telescope(file, tel_id, showers, label)
            for tel_id in self.selected_telescopes[self.tel_type]
        ]
        filled = [table for table in per_telescope if table is not None]
        if not filled:
            return None
        events = self._cut_on_multiplicity(vstack(filled, metadata_conflicts="silent"), label)
        return self._add_truth(events, index, name, file) if len(events) else None

    def _read_telescope(
        self, file: tables.File, tel_id: int, showers: Table, label: str
    ) -> Table | None:
        node = _telescope_node(PARAMETERS, tel_id)
        if node not in file or not len(file.get_node(node)):
            return None
        rows = _join_quietly(self._rows_with_index(file, tel_id), showers, EVENT_KEYS)
        rows = rows[self.cut_counts.add(label, rows)]
        if not len(rows):
            return None
        rows = _join_quietly(rows, self.get_tel_pointing(file, tel_id), ["obs_id", "tel_id"])
        rows = self._transform_to_cam_coord_offsets(rows)
        rows.keep_columns(self.example_ids_keep_columns)
        return rows

    def _rows_with_index(self, file: tables.File, tel_id: int) -> Table:
        """Image parameters, with the row number of the image that belongs to each."""
        rows = read_table(file, _telescope_node(PARAMETERS, tel_id))
        if not self.force_dl1_lookup:
            rows.add_column(np.arange(len(rows)), name="table_index", index=0)
            return rows
        images = file.get_node(_telescope_node(IMAGES, tel_id))
        lookup = Table({key: images.col(key) for key in TELESCOPE_KEYS})
        lookup.add_column(np.arange(len(lookup)), name="table_index")
        return _join_quietly(rows, unique(lookup, keys=TELESCOPE_KEYS), TELESCOPE_KEYS)

    def _cut_on_multiplicity(self, events: Table, label: str) -> Table:
        if self.mode == "mono":
            return events
        self.min_telescopes_of_type.attach_subarray(self.subarray)
        of_type = self.min_telescopes_of_type.tel[self.tel_type] or 0
        keys = np.stack([events["obs_id"], events["event_id"]], axis=1)
        _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        least = max(self.min_telescopes, of_type)
        passing = events[counts[inverse] >= least]
        self.cut_counts.add_later(label, f">= {least} telescopes", len(passing))
        return passing

    def _add_truth(self, events: Table, index: int, name: Path, file: tables.File) -> Table:
        events = _join_quietly(events, self.get_array_pointing(file), ["obs_id"])
        events = self._transform_to_sky_spher_offsets(events)
        events = self._transform_to_log_energy(events)
        events = self._transform_to_impact_radius(events)
        # By list of files, not by particle: any two classes can be told apart.
        is_signal = int(name in self.input_url_signal)
        events.add_column(is_signal, name="true_shower_primary_class")
        events.add_column(index, name="file_index", index=0)
        events.add_column(0, name="tel_type_id", index=3)
        return events

    def generate_mono_batch(self, batch_indices: Sequence[int]) -> Table:
        """Rows of the example table with their images in the column ``features``."""
        if self.process_type is not ProcessType.Simulation:
            return super().generate_mono_batch(batch_indices)
        return self._append_features(self.example_identifiers[np.asarray(batch_indices)])

    def generate_stereo_batch(self, batch_indices: Sequence[int]) -> Table:
        """Array events with the images of all telescopes in the column ``features``.

        Its shape is (n_events, n_telescopes, height, width, n_channels), telescopes in the order
        of their numbers; one that has no image in an event is left at 0. The column
        ``intensities`` [p.e.], shape (n_events, n_telescopes), is 0 there.
        """
        if self.process_type is not ProcessType.Simulation:
            return super().generate_stereo_batch(batch_indices)
        events = self.unique_example_identifiers[np.asarray(batch_indices)]
        event, rows = self._rows_of_events(np.asarray(batch_indices))
        images = self.example_identifiers_grouped[rows]
        place = np.searchsorted(self.selected_telescopes[self.tel_type], images["tel_id"])
        mapped = self._append_features(images)["features"].data
        n_telescopes = len(self.selected_telescopes[self.tel_type])
        features = np.zeros((len(events), n_telescopes, *mapped.shape[1:]), dtype=np.float32)
        features[event, place] = mapped
        intensities = np.zeros((len(events), n_telescopes))
        intensities[event, place] = images["hillas_intensity"]
        events.add_column(features, name="features")
        events.add_column(intensities, name="intensities")
        return events

    def _rows_of_events(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(place in ``events``, row of the table of images) for each image of the events.

        Not by ``groups[events]``: that gives the rows in the order of the table, whatever the
        order asked for.
        """
        bounds = self.example_identifiers_grouped.groups.indices
        sizes = np.diff(bounds)[events]
        place = np.repeat(np.arange(len(events)), sizes)
        first = np.cumsum(sizes) - sizes
        return place, bounds[events][place] + np.arange(sizes.sum()) - first[place]

    def _append_features(self, batch: Table) -> Table:
        pixels = self.read_pixels(batch["file_index"], batch["table_index"], batch["tel_id"])
        mapper = self.image_mappers[self.cam_name]
        features = mapper.map_image(pixels) if mapper.index_matrix is None else pixels
        batch.add_column(features, name="features", index=7)
        return batch

    def read_pixels(
        self, file_index: Sequence[int], table_index: Sequence[int], tel_id: Sequence[int]
    ) -> np.ndarray:
        """Channel values of images, shape (n_images, n_pixels, n_channels), float32.

        Parameters
        ----------
        file_index, table_index, tel_id : sequence of int
            Number of the file, row in the image table of the telescope, telescope; one an image.

        Raises
        ------
        DataError
            A value is NaN or infinite; file, telescope and row are named.
        """
        files, rows, telescopes = map(np.asarray, (file_index, table_index, tel_id))
        sources, source_of = np.unique(
            np.stack([files, telescopes], axis=1), axis=0, return_inverse=True
        )
        pixels = None
        for number, (file, telescope) in enumerate(sources):
            here = np.flatnonzero(source_of == number)
            name = list(self.files)[file]
            values = self._read_rows(name, telescope, rows[here])
            if pixels is None:
                pixels = np.empty((len(rows), *values.shape[1:]), dtype=np.float32)
            pixels[here] = values
        return pixels

    def _read_rows(self, name: Path, tel_id: int, rows: np.ndarray) -> np.ndarray:
        node = _telescope_node(IMAGES, tel_id)
        table = self.files[name].get_node(node)
        stored = self._memory.read_rows(table, rows)
        image = decode_column(table, "image", stored["image"])
        peak_time = decode_column(table, "peak_time", stored["peak_time"])
        channels = [
            channel_pixels(channel, image, peak_time, stored["image_mask"])
            for channel in self.channels
        ]
        values = np.stack(channels, axis=-1)
        finite = np.isfinite(values).all(axis=(1, 2))
        if not finite.all():
            raise DataError(
                f"{name}: {node}: row {rows[~finite][0]}: expected finite pixel values, got NaN or "
                f"infinity in {np.count_nonzero(~finite)} of {len(rows)} images read; "
                "make the DL1 file again or cut these events"
            )
        return values

    def close_files(self) -> None:
        """Close all HDF5 files of this reader."""
        for file in self.files.values():
            if file.isopen:
                file.close()


def _telescope_node(group: str, tel_id: int) -> str:
    return f"{group}/tel_{tel_id:03d}"


def _join_quietly(left: Table, right: Table, keys: list[str]) -> Table:
    """Inner join; differing metadata of the two tables are of no interest."""
    return join(left, right, keys=keys, metadata_conflicts="silent")


bridge_reader_names(CuredImageReader)
