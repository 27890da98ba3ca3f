"""Opening of a data set: files, telescopes and image mapper, each read once."""

import atexit
import resource
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tables
from astropy.table import Table
from ctapipe.core import Component
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import read_table
from dl1_data_handler.image_mapper import ImageMapper
from dl1_data_handler.reader import DLDataReader, ProcessType, TableQualityQuery

from cherenkov_mlops.data.stored_columns import PARAMETERS
from cherenkov_mlops.dl1.mappers import find_mapper
from cherenkov_mlops.dl1.pixels import IMAGES, telescope_node
from cherenkov_mlops.errors import DataError

INSTRUMENT = "/configuration/instrument"
#: HDF5's memory for chunks of one table; its default, 16 MB, adds up over files and telescopes.
CHUNK_CACHE_BYTES = 2**20
#: Open files of a process beside its data: libraries, logs, TensorBoard.
OTHER_OPEN_FILES = 200
LAYOUT_ATTRIBUTES = ("SUBARRAY", "reference_itrs_x", "reference_itrs_y", "reference_itrs_z")
# Columns of the examples that CTLearn's tools expect, beside those that are computed.
KEPT_COLUMNS = (
    *("table_index", "obs_id", "event_id", "tel_id"),
    *("true_energy", "true_shower_primary_id"),
    *("true_az", "telescope_pointing_azimuth", "true_alt", "telescope_pointing_altitude"),
    *("cam_coord_offset_x", "cam_coord_offset_y", "cam_coord_distance"),
    *("true_core_x", "true_core_y", "true_h_first_int", "true_x_max"),
)


class OpenedDataSet(DLDataReader):
    """What CTLearn's reader knows after opening its files, without its detours.

    Upstream reads the subarray of each file twice, all image parameters for the names of their
    columns, and builds the image mapper each time. Here files with the same instrument tables
    are taken as equal at once, mappers are built once a process, and tables that only some tools
    need are read when asked for.

    Parameters
    ----------
    input_url_signal, input_url_background : list of Path
        Files of the two classes.
    config, parent
        Configuration as of any ctapipe component.

    Raises
    ------
    DataError
        The files are not simulations of data model 6 or later, hold different subarrays, or
        telescopes of several types are selected.
    """

    def __init__(
        self,
        input_url_signal: list[Path],
        input_url_background: list[Path] | tuple[Path, ...] = (),
        config: Any = None,
        parent: Component | None = None,
        **kwargs: Any,
    ):
        # Not upstream's __init__: this replaces it.
        Component.__init__(self, config=config, parent=parent, **kwargs)
        atexit.register(self.close_files)
        self.quality_query = TableQualityQuery(parent=self)
        self.input_url_signal = list(input_url_signal)
        self.input_url_background = list(input_url_background)
        names = np.sort([*self.input_url_signal, *self.input_url_background])
        allow_open_files(len(names))
        self.files = {
            name: tables.open_file(name, mode="r", chunk_cache_size=CHUNK_CACHE_BYTES)
            for name in names
        }
        self.tel_ids: list[int] | None = None
        self._check_data_model()
        self._select_telescopes()
        self._drop_other_subarrays()
        self.telescope_pointings: dict[str, Table] = {}
        self.example_ids_keep_columns = list(KEPT_COLUMNS)

    @property
    def first_file(self) -> Path:
        """The file that upstream takes as reference: one with tables of the first telescope."""
        names = list(self.files)
        if self.tel_ids is None:
            return names[0]
        node = telescope_node(IMAGES, self.tel_ids[0])
        return next((name for name in names if node in self.files[name]), names[0])

    def _check_data_model(self) -> None:
        self._v_attrs = self.files[self.first_file].root._v_attrs
        self.process_type = ProcessType(self._v_attrs["CTA PROCESS TYPE"])
        self.data_format_version = self._v_attrs["CTA PRODUCT DATA MODEL VERSION"]
        self.instrument_id = self._v_attrs["CTA INSTRUMENT ID"]
        major = int(self.data_format_version.split(".")[0].removeprefix("v"))
        if self.process_type is not ProcessType.Simulation or major < 6:
            raise DataError(
                f"{self.first_file}: expected simulations in ctapipe's data model v6 or later, "
                f"got {self.process_type.value} in {self.data_format_version}"
            )

    def _select_telescopes(self) -> None:
        self.subarray = self._read_subarray(self.files[self.first_file])
        self._selected = None
        if self.allowed_tels is not None:
            self._selected = sorted(self.allowed_tels)
        elif self.allowed_tel_types is not None:
            kinds = [self.subarray.get_tel_ids_for_type(str(k)) for k in self.allowed_tel_types]
            self._selected = np.ravel(kinds).tolist()
        if set(self._selected or self.subarray.tel_ids) == set(self.subarray.tel_ids):
            # Selecting all gives the array another name, and the tools take it for another array.
            self._selected = None
        if self._selected is not None:
            self.subarray = self.subarray.select_subarray(self._selected)
        self.tel_ids = self.subarray.tel_ids
        # Copied before the mapper takes the rotation out of the geometry.
        self.pix_rotation = {
            number: self.subarray.tel[number].camera.geometry.pix_rotation
            for number in self.tel_ids
        }
        self.selected_telescopes = {
            str(kind): np.array(self.subarray.get_tel_ids_for_type(str(kind)))
            for kind in self.subarray.telescope_types
        }
        if len(self.selected_telescopes) > 1:
            names = ", ".join(self.selected_telescopes)
            raise DataError(
                f"expected telescopes of one type, got {names}; choose one with "
                "data.allowed_tel_types"
            )
        self.tel_type = next(iter(self.selected_telescopes))
        self.cam_name = self._get_camera_type(self.tel_type)

    def _read_subarray(self, file: tables.File) -> SubarrayDescription:
        return SubarrayDescription.from_hdf(file, focal_length_choice=self.focal_length_choice)

    def _drop_other_subarrays(self) -> None:
        """Refuse files with another array, or leave them out if the configuration says so."""
        reference = _instrument_bytes(self.files[self.first_file])
        for name, file in list(self.files.items()):
            if _instrument_bytes(file) == reference or self._has_same_subarray(file):
                continue
            message = f"{name}: its subarray differs from that of {self.first_file}"
            if not self.skip_incompatible_files:
                raise DataError(
                    f"{message}; write data.enforce_subarray_equality: false to use both"
                )
            self.log.warning("%s; left out", message)
            file.close()
            del self.files[name]

    def _has_same_subarray(self, file: tables.File) -> bool:
        subarray = self._read_subarray(file)
        if self._selected is not None:
            subarray = subarray.select_subarray(self.tel_ids)
        if self.enforce_subarray_equality:
            return subarray == self.subarray
        return SubarrayDescription.check_matching_subarrays([self.subarray, subarray])

    @cached_property
    def image_mappers(self) -> dict[str, ImageMapper]:
        """The image mapper by name of the camera."""
        name = None
        for scope, kind, mapper in self.image_mapper_type:
            # As upstream: an entry for a type goes before the one for all.
            if (scope == "type" and self.cam_name in kind) or (kind == "*" and name is None):
                name = mapper
        geometry = self.subarray.tel[self.tel_ids[0]].camera.geometry
        return {self.cam_name: find_mapper(name, geometry, self.config)}

    @property
    def mapper(self) -> ImageMapper:
        """The image mapper of the camera."""
        return self.image_mappers[self.cam_name]

    @cached_property
    def tel_trigger_table(self) -> Table:
        """Telescope triggers of the first file."""
        return read_table(self.files[self.first_file], "/dl1/event/telescope/trigger")

    @cached_property
    def subarray_trigger_table(self) -> Table:
        """Array triggers of the first file."""
        return read_table(self.files[self.first_file], "/dl1/event/subarray/trigger")

    @cached_property
    def dl1b_parameter_colnames(self) -> list[str]:
        """Names of the image parameters."""
        node = telescope_node(PARAMETERS, self.tel_ids[0])
        return list(self.files[self.first_file].get_node(node).colnames)

    def close_files(self) -> None:
        """Close all HDF5 files of this data set."""
        for file in getattr(self, "files", {}).values():
            if file.isopen:
                file.close()


def allow_open_files(n_files: int) -> None:
    """Raise the limit of open files of this process as far as ``n_files`` data files need it.

    Raises
    ------
    DataError
        The system does not allow as many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A file, and the copy of its pixels.
    needed = 2 * n_files + OTHER_OPEN_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise DataError(
            f"{n_files} files are read at once, for which {needed} have to be open, but the system "
            f"allows {hard}; merge the files, or ask for a higher limit (ulimit -Hn)"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _instrument_bytes(file: tables.File) -> list[tuple[str, bytes]]:
    """Names and content of all tables that describe the instrument."""
    nodes = list(file.walk_nodes(INSTRUMENT, "Table"))
    layout = file.get_node(f"{INSTRUMENT}/subarray/layout")._v_attrs
    place = [repr(layout[name]) if name in layout else "" for name in LAYOUT_ATTRIBUTES]
    content = [(node._v_pathname, node.read().tobytes()) for node in nodes]
    return [*content, ("layout", "".join(place).encode())]
