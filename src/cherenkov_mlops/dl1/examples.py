"""The examples of a data set: which images or events there are, with their truth."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import AltAz, SkyCoord, angular_separation
from astropy.table import Column, Table, unique, vstack
from ctapipe.coordinates import NominalFrame
from dl1_data_handler.reader import LST_EPOCH, DLDataReader, TableQualityQuery

from cherenkov_mlops.data.paths import (
    EVENT_KEYS,
    IMAGE_KEYS,
    IMAGES,
    PARAMETERS,
    POINTINGS,
    RUNS,
    SHOWERS,
    TRIGGERS,
    telescope_node,
)
from cherenkov_mlops.data.stored_tables import JoinedColumns, StoredTable, find_rows, left_tables
from cherenkov_mlops.dl1.data_set import DataSet
from cherenkov_mlops.errors import DataError

ALL_IMAGES = "images in the files"
TELESCOPE_POINTING = ("telescope_pointing_azimuth", "telescope_pointing_altitude")
ARRAY_POINTING = {"pointing_azimuth": "min_az", "pointing_altitude": "min_alt"}
# Columns of the examples that CTLearn's tools expect, beside those that are computed.
KEPT_COLUMNS = (
    *("obs_id", "event_id", "tel_id", "true_energy", "true_shower_primary_id"),
    *("true_az", "telescope_pointing_azimuth", "true_alt", "telescope_pointing_altitude"),
    *("true_core_x", "true_core_y", "true_h_first_int", "true_x_max"),
)


class NoEventsError(DataError):
    """No event of the files is left after the quality cuts."""


class CutCounts:
    """Images by label and cut, in the order of the cuts.

    Parameters
    ----------
    criteria : list of (str, str)
        Name and expression of each cut.
    """

    def __init__(self, criteria: Sequence[tuple[str, str]]):
        self._queries = [TableQualityQuery(quality_criteria=[pair]) for pair in criteria]
        self._criteria = [name for name, _ in criteria]
        self._later: list[str] = []
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    @property
    def names(self) -> str:
        """Names of the cuts, for messages."""
        return ", ".join(self._criteria) or "(none)"

    def add(self, label: str, images: JoinedColumns) -> np.ndarray:
        """Mask of the images that pass all cuts; they are counted under ``label``."""
        counts = self._counts[label]
        counts[ALL_IMAGES] += len(images)
        mask = np.ones(len(images), dtype=bool)
        for name, query in zip(self._criteria, self._queries, strict=True):
            mask &= np.asarray(query.get_table_mask(images))
            counts[name] += int(mask.sum())
        return mask

    def add_later(self, label: str, name: str, n_images: int) -> None:
        """Count what a cut on something else than image parameters leaves."""
        if name not in self._later:
            self._later.append(name)
        self._counts[label][name] += n_images

    def as_rows(self, labels: Sequence[str]) -> list[dict[str, str | int]]:
        """One row a cut: ``cut`` and the images left, by label."""
        return [
            {"cut": name, **{label: self._counts[label][name] for label in labels}}
            for name in [ALL_IMAGES, *self._criteria, *self._later]
        ]


class Examples:
    """Tables of examples as of CTLearn's reader, joined column by column as they are needed.

    A telescope is used in those files that have its tables. In stereo, events of different files
    never mix because their numbers happen to agree.

    Parameters
    ----------
    data_set : DataSet
        Open files and telescopes.
    options : DLDataReader
        CTLearn's options.
    criteria : sequence of (str, str)
        Name and expression of each cut.
    has_background : bool
        Whether there are two classes of files.

    Attributes
    ----------
    images : Table
        One row a telescope image that passes the cuts.
    events : Table
        One row an example: the same table (mono), or one row an event of the array (stereo).
    grouped : Table
        ``images`` grouped by event, stereo only.
    cut_counts : CutCounts
        Images after each cut.
    class_counts : dict of int to int
        Class (1 signal, 0 background) -> examples.
    shower_reuse : dict of int to int
        ``obs_id`` -> how often each simulated shower was used.

    Raises
    ------
    NoEventsError
        No event is left after the quality cuts.
    DataError
        An event is twice in a file.
    """

    def __init__(
        self,
        data_set: DataSet,
        options: DLDataReader,
        criteria: Sequence[tuple[str, str]],
        has_background: bool,
    ):
        self._data_set, self._options = data_set, options
        self.cut_counts = CutCounts(criteria)
        self.shower_reuse: dict[int, int] = {}
        parts = [
            self._read_file(index, name, file)
            for index, (name, file) in enumerate(data_set.files.items())
        ]
        filled = [part for part in parts if part is not None]
        if not filled:
            names = ", ".join(str(name) for name in data_set.files)
            raise NoEventsError(f"{names}: no event is left after the cuts {self.cut_counts.names}")
        images = vstack(filled, metadata_conflicts="silent") if len(filled) > 1 else filled[0]
        images = self._add_computed(images)
        if options.mode == "mono":
            # The last key counts first; equal numbers stay in the order of the files.
            images = images[np.lexsort([images[key] for key in reversed(IMAGE_KEYS)])]
            images.add_column(np.arange(len(images)), name="index", index=0)
            self.images = self.events = images
        else:
            # Sorted by file as well: two files may use the same event numbers.
            group_keys = [*EVENT_KEYS, "file_index"]
            images.sort([*group_keys, "tel_id"])
            self.images, self.grouped = images, images.group_by(group_keys)
            self.events = unique(images, keys=group_keys)
            self.events.remove_columns(["table_index", "tel_type_id", "tel_id", "hillas_intensity"])
        n_signal = int((np.asarray(self.events["true_shower_primary_class"]) == 1).sum())
        self.class_counts = {0: len(self.events) - n_signal, 1: n_signal}
        if has_background and not all(self.class_counts.values()):
            missing = "background" if n_signal else "signal"
            raise NoEventsError(
                f"no {missing} event is left after the cuts {self.cut_counts.names}"
            )

    def _read_file(self, index: int, name: Path, file: tables.File) -> Table | None:
        """Images of one file that pass the cuts, with what the file says about them."""
        # By list of files, not by particle: any two classes can be told apart.
        is_signal = name in self._data_set.signal
        label = "signal" if is_signal else "background"
        runs, *per_event = (_table(file, node) for node in (RUNS, TRIGGERS, SHOWERS))
        self.shower_reuse.update(zip(runs["obs_id"], runs["shower_reuse"], strict=True))
        per_telescope = [
            self._read_telescope(file, tel_id, per_event, label)
            for tel_id in self._data_set.selected_telescopes[self._data_set.tel_type]
        ]
        filled = [table for table in per_telescope if table is not None]
        if not filled:
            return None
        images = vstack(filled, metadata_conflicts="silent") if len(filled) > 1 else filled[0]
        if self._options.mode == "stereo":
            images = self._cut_on_multiplicity(images, label)
        if not len(images):
            return None
        found = find_rows(images, runs, ("obs_id",), agree_on=tuple(ARRAY_POINTING.values()))
        images = images[found >= 0]
        for column, stored in ARRAY_POINTING.items():
            images[column] = runs[stored][found[found >= 0]]
        images["true_shower_primary_class"] = Column(np.full(len(images), int(is_signal)))
        images.add_column(index, name="file_index", index=0)
        images.add_column(0, name="tel_type_id", index=3)
        return images

    def _read_telescope(
        self, file: tables.File, tel_id: int, per_event: Sequence[StoredTable], label: str
    ) -> Table | None:
        parameters = left_tables.take(file, telescope_node(PARAMETERS, tel_id))
        if not parameters:
            return None
        parts = [(parameters, np.arange(len(parameters)))]
        parts += [(table, find_rows(parameters, table, EVENT_KEYS)) for table in per_event]
        # The row of the image that belongs to each row of the parameters.
        images = np.arange(len(parameters))
        if self._options.force_dl1_lookup:
            stored = StoredTable(file, telescope_node(IMAGES, tel_id), columns=IMAGE_KEYS)
            images = find_rows(parameters, stored, IMAGE_KEYS, agree_on=())
        matched = np.all([images >= 0, *(rows >= 0 for _, rows in parts)], axis=0)
        rows, images = JoinedColumns(parts).select(matched), images[matched]
        passing = self.cut_counts.add(label, rows)
        if not passing.any():
            return None
        rows, images = rows.select(passing), images[passing]

        pointing = _table(file, telescope_node(POINTINGS, tel_id))
        found = find_rows(rows, pointing, ("obs_id", "tel_id"), agree_on=TELESCOPE_POINTING)
        rows, images, found = rows.select(found >= 0), images[found >= 0], found[found >= 0]
        table = Table({"table_index": images})
        for name in KEPT_COLUMNS:
            table[name] = pointing[name][found] if name in TELESCOPE_POINTING else rows[name]
        if self._options.mode == "stereo":
            table["hillas_intensity"] = rows["hillas_intensity"]
        return table

    def _cut_on_multiplicity(self, images: Table, label: str) -> Table:
        of_type = self._options.min_telescopes_of_type
        of_type.attach_subarray(self._data_set.subarray)
        least = max(self._options.min_telescopes, of_type.tel[self._data_set.tel_type] or 0)
        keys = np.stack([images["obs_id"], images["event_id"]], axis=1)
        _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        passing = images[counts[inverse] >= least]
        self.cut_counts.add_later(label, f">= {least} telescopes", len(passing))
        return passing

    def _add_computed(self, images: Table) -> Table:
        """The images of all files with what CTLearn computes of their truth.

        Upstream's own functions take what they need of a reader from the data set.
        """
        upstream: Any = DLDataReader
        tel_ids, columns = np.asarray(images["tel_id"]), {}
        for tel_id in np.unique(tel_ids):
            rows = tel_ids == tel_id
            offsets = upstream._transform_to_cam_coord_offsets(self._data_set, images[rows])
            for name in ("cam_coord_offset_x", "cam_coord_offset_y", "cam_coord_distance"):
                values = offsets[name]
                column = columns.setdefault(
                    name, Column(np.empty(len(images), values.dtype), unit=values.unit)
                )
                column[rows] = np.asarray(values)
        # In upstream's order of columns.
        last = [*ARRAY_POINTING, "true_shower_primary_class"]
        read = images
        images = read[[name for name in read.colnames if name not in last]]
        for name in ARRAY_POINTING:
            columns[name] = read[name]
        for name, column in columns.items():
            images[name] = column
        add_sky_offsets(images, self._data_set.subarray.reference_location)
        images = upstream._transform_to_log_energy(self._data_set, images)
        images = upstream._transform_to_impact_radius(self._data_set, images)
        images[last[-1]] = read[last[-1]]
        return images


def _table(file: tables.File, node: str) -> StoredTable:
    table = left_tables.take(file, node)
    if table is None:
        raise DataError(f"{file.filename}: has no {node}; make the file again")
    return table


def add_sky_offsets(table: Table, location: Any) -> None:
    """Add upstream's columns ``fov_lon``, ``fov_lat`` and ``angular_separation`` [deg].

    Upstream takes the separation by way of another frame, which needs the rotation of the
    Earth at that time, and reads tables of it for seconds; both directions are in one frame.
    """
    frame = AltAz(location=location, obstime=LST_EPOCH)
    pointing = SkyCoord(az=table["pointing_azimuth"], alt=table["pointing_altitude"], frame=frame)
    direction = SkyCoord(az=table["true_az"], alt=table["true_alt"], frame=frame)
    nominal = NominalFrame(origin=pointing, location=frame.location, obstime=frame.obstime)
    offset = direction.transform_to(nominal)
    table.add_column(offset.fov_lon.to(u.deg), name="fov_lon")
    table.add_column(offset.fov_lat.to(u.deg), name="fov_lat")
    separation = angular_separation(pointing.az, pointing.alt, direction.az, direction.alt)
    table.add_column(separation.to(u.deg), name="angular_separation")
