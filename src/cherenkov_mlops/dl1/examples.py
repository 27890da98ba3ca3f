"""The examples of a data set: which images or events there are, with their truth."""

from pathlib import Path

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import AltAz, SkyCoord, angular_separation
from astropy.table import Column, Table, unique, vstack
from ctapipe.coordinates import NominalFrame
from ctapipe.io import read_table
from dl1_data_handler.reader import LST_EPOCH

from cherenkov_mlops.data.stored_columns import EVENT_KEYS, IMAGE_KEYS, PARAMETERS
from cherenkov_mlops.dl1.cut_counts import CutCounts
from cherenkov_mlops.dl1.opening import OpenedDataSet
from cherenkov_mlops.dl1.pixels import IMAGES, telescope_node
from cherenkov_mlops.dl1.stored_table import JoinedColumns, StoredTable, find_rows
from cherenkov_mlops.errors import DataError

# Added by the reader, not read from a file.
COMPUTED = ("table_index", "cam_coord_offset_x", "cam_coord_offset_y", "cam_coord_distance")
RUNS = "/configuration/simulation/run"
TELESCOPE_POINTING = ("telescope_pointing_azimuth", "telescope_pointing_altitude")
ARRAY_POINTING = {"pointing_azimuth": "min_az", "pointing_altitude": "min_alt"}


class NoEventsError(DataError):
    """No event of the files is left after the quality cuts."""


class ExampleTables(OpenedDataSet):
    """Example tables as of CTLearn's reader, joined column by column as they are needed.

    A telescope is used in those files that have its tables. In stereo, events of different files
    never mix because their numbers happen to agree.

    Raises
    ------
    NoEventsError
        No event is left after the quality cuts.
    DataError
        An event is twice in a file.
    """

    def construct_examples(self) -> None:
        """Set ``example_identifiers``, class counts and class weights."""
        construct = {"mono": self._construct_images, "stereo": self._construct_events}
        self._count_classes(construct[self.mode]())
        self.class_weight = None
        if self.input_url_background:
            n_half = self._get_n_events() / 2.0
            # In CTLearn's order of operations.
            self.class_weight = {
                0: (1.0 / self.n_bkg_events) * n_half,
                1: (1.0 / self.n_signal_events) * n_half,
            }

    def _construct_images(self) -> Table:
        examples = self._read_all_files()
        # The last key counts first; equal numbers stay in the order of the files.
        order = np.lexsort([examples[key] for key in reversed(IMAGE_KEYS)])
        examples = examples[order]
        examples.add_column(np.arange(len(examples)), name="index", index=0)
        self.example_identifiers = examples
        return examples

    def _construct_events(self) -> Table:
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
        return self.unique_example_identifiers

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
            [read_table(file, RUNS) for file in self.files.values()], metadata_conflicts="silent"
        )
        parts = [
            self._read_file(index, name, file)
            for index, (name, file) in enumerate(self.files.items())
        ]
        filled = [part for part in parts if part is not None]
        if not filled:
            names = ", ".join(str(name) for name in self.files)
            raise NoEventsError(f"{names}: no event is left after the cuts {self._cut_names()}")
        return vstack(filled, metadata_conflicts="silent") if len(filled) > 1 else filled[0]

    def _read_file(self, index: int, name: Path, file: tables.File) -> Table | None:
        label = "signal" if name in self.input_url_signal else "background"
        triggers = StoredTable(file, "/dl1/event/subarray/trigger")
        showers = StoredTable(file, "/simulation/event/subarray/shower")
        per_telescope = [
            self._read_telescope(file, tel_id, (triggers, showers), label)
            for tel_id in self.selected_telescopes[self.tel_type]
        ]
        filled = [table for table in per_telescope if table is not None]
        if not filled:
            return None
        events = self._cut_on_multiplicity(vstack(filled, metadata_conflicts="silent"), label)
        return self._add_truth(events, index, name, file) if len(events) else None

    def _read_telescope(
        self, file: tables.File, tel_id: int, per_event: tuple[StoredTable, ...], label: str
    ) -> Table | None:
        node = telescope_node(PARAMETERS, tel_id)
        if node not in file or not len(file.get_node(node)):
            return None
        parameters = StoredTable(file, node)
        parts = [(parameters, np.arange(len(parameters)))]
        parts += [(table, find_rows(parameters, table, EVENT_KEYS)) for table in per_event]
        images = self._image_rows(file, tel_id, parameters)
        matched = np.all([images >= 0, *(rows >= 0 for _, rows in parts)], axis=0)
        rows, images = JoinedColumns(parts).select(matched), images[matched]
        passing = self.cut_counts.add(label, rows)
        if not passing.any():
            return None
        return self._as_table(rows.select(passing), images[passing], file, tel_id)

    def _image_rows(self, file: tables.File, tel_id: int, parameters: StoredTable) -> np.ndarray:
        """Row of the image that belongs to each row of the parameters."""
        if not self.force_dl1_lookup:
            return np.arange(len(parameters))
        images = StoredTable(file, telescope_node(IMAGES, tel_id), columns=IMAGE_KEYS)
        return find_rows(parameters, images, IMAGE_KEYS, agree_on=())

    def _as_table(
        self, rows: JoinedColumns, images: np.ndarray, file: tables.File, tel_id: int
    ) -> Table:
        pointing = StoredTable(file, f"/configuration/telescope/pointing/tel_{tel_id:03d}")
        found = find_rows(rows, pointing, ("obs_id", "tel_id"), agree_on=TELESCOPE_POINTING)
        rows, images = rows.select(found >= 0), images[found >= 0]
        table = Table({"table_index": images})
        for name in self.example_ids_keep_columns:
            if name in TELESCOPE_POINTING:
                table[name] = pointing[name][found[found >= 0]]
            elif name not in COMPUTED:
                table[name] = rows[name]
        return self._transform_to_cam_coord_offsets(table)

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

    def _transform_to_sky_spher_offsets(self, table: Table) -> Table:
        """Upstream's columns ``fov_lon``, ``fov_lat`` and ``angular_separation`` [deg].

        Upstream takes the separation by way of another frame, which needs the rotation of the
        Earth at that time, and reads tables of it for seconds; both directions are in one frame.
        """
        frame = AltAz(location=self.subarray.reference_location, obstime=LST_EPOCH)
        pointing = SkyCoord(
            az=table["pointing_azimuth"], alt=table["pointing_altitude"], frame=frame
        )
        direction = SkyCoord(az=table["true_az"], alt=table["true_alt"], frame=frame)
        nominal = NominalFrame(origin=pointing, location=frame.location, obstime=frame.obstime)
        offset = direction.transform_to(nominal)
        table.add_column(offset.fov_lon.to(u.deg), name="fov_lon")
        table.add_column(offset.fov_lat.to(u.deg), name="fov_lat")
        separation = angular_separation(pointing.az, pointing.alt, direction.az, direction.alt)
        table.add_column(separation.to(u.deg), name="angular_separation")
        return table

    def _add_truth(self, events: Table, index: int, name: Path, file: tables.File) -> Table:
        runs = StoredTable(file, RUNS)
        found = find_rows(events, runs, ("obs_id",), agree_on=tuple(ARRAY_POINTING.values()))
        events = events[found >= 0]
        for column, stored in ARRAY_POINTING.items():
            events[column] = runs[stored][found[found >= 0]]
        events = self._transform_to_sky_spher_offsets(events)
        events = self._transform_to_log_energy(events)
        events = self._transform_to_impact_radius(events)
        # By list of files, not by particle: any two classes can be told apart.
        is_signal = int(name in self.input_url_signal)
        events.add_column(Column(np.full(len(events), is_signal)), name="true_shower_primary_class")
        events.add_column(index, name="file_index", index=0)
        events.add_column(0, name="tel_type_id", index=3)
        return events
