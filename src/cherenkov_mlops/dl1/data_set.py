"""A data set: open files, the telescopes in use, and the mapper of their images."""

import atexit
import resource
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tables
from ctapipe.instrument import SubarrayDescription
from dl1_data_handler.image_mapper import ImageMapper
from dl1_data_handler.reader import DLDataReader, ProcessType

from cherenkov_mlops.data.dl1_file import digest_instrument
from cherenkov_mlops.data.paths import IMAGES, telescope_node
from cherenkov_mlops.dl1.mapping import find_mapper
from cherenkov_mlops.errors import DataError

#: HDF5's memory for chunks of one table; its default, 16 MB, adds up over files and telescopes.
CHUNK_CACHE_BYTES = 2**20
#: Open files of a process beside its data: libraries, logs, TensorBoard.
OTHER_OPEN_FILES = 200


class DataSet:
    """Open files with one array, the telescopes in use, and the mapper of their images.

    CTLearn's reader reads the subarray of each file twice, all image parameters for the names of
    their columns, and builds the image mapper each time. Here files with the same instrument
    tables are taken as equal at once, and mappers are built once a process.

    Parameters
    ----------
    options : DLDataReader
        CTLearn's options.
    signal, background : sequence of Path
        Files of the two classes.

    Attributes
    ----------
    files : dict of Path to tables.File
        Open files, sorted by name; ``file_index`` of the examples counts them.
    subarray : SubarrayDescription
        The telescopes in use; the mapper takes the rotation out of their cameras.
    pix_rotation : dict of int to Quantity
        Rotation of the pixels before.
    selected_telescopes : dict of str to array of int
        The one type of telescopes -> their numbers.

    Raises
    ------
    DataError
        The files are not simulations of data model 6 or later, hold different subarrays, or
        telescopes of several types are selected.
    """

    def __init__(self, options: DLDataReader, signal: Sequence[Path], background: Sequence[Path]):
        # PyTables complains at exit about files that are left open, after an error for example.
        atexit.register(self.close)
        self._options = options
        self.signal = list(signal)
        names = np.sort([*signal, *background])
        allow_open_files(len(names))
        self.files: dict[Path, tables.File] = {}
        for name in names:
            self.files[name] = tables.open_file(name, mode="r", chunk_cache_size=CHUNK_CACHE_BYTES)
        reference = names[0]
        self.attributes = self.files[reference].root._v_attrs
        self.process_type = ProcessType(self.attributes["CTA PROCESS TYPE"])
        version = self.attributes["CTA PRODUCT DATA MODEL VERSION"]
        if (
            self.process_type is not ProcessType.Simulation
            or int(version.split(".")[0].removeprefix("v")) < 6
        ):
            raise DataError(
                f"{reference}: expected simulations in ctapipe's data model v6 or later, "
                f"got {self.process_type.value} in {version}"
            )
        self._select_telescopes(reference)
        self._drop_other_subarrays(self.first_file)

    @property
    def first_file(self) -> Path:
        """The file that stands for all: the first with tables of the first telescope."""
        node = telescope_node(IMAGES, self.tel_ids[0])
        return next(
            (name for name in self.files if node in self.files[name]), next(iter(self.files))
        )

    def _read_subarray(self, file: tables.File) -> SubarrayDescription:
        return SubarrayDescription.from_hdf(
            file, focal_length_choice=self._options.focal_length_choice
        )

    def _select_telescopes(self, reference: Path) -> None:
        self.subarray = self._read_subarray(self.files[reference])
        chosen = None
        if self._options.allowed_tels is not None:
            chosen = sorted(self._options.allowed_tels)
        elif self._options.allowed_tel_types is not None:
            kinds = self._options.allowed_tel_types
            chosen = np.ravel(
                [self.subarray.get_tel_ids_for_type(str(kind)) for kind in kinds]
            ).tolist()
        # Selecting all gives the array another name, and the tools take it for another array.
        self._is_part = set(chosen or self.subarray.tel_ids) != set(self.subarray.tel_ids)
        if self._is_part:
            self.subarray = self.subarray.select_subarray(chosen)
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
        self.cam_name = self.tel_type.split("_")[-1]

    def _drop_other_subarrays(self, reference: Path) -> None:
        """Refuse files with another array, or leave them out if the options say so."""
        same = {digest_instrument(self.files[reference])}
        for name, file in list(self.files.items()):
            digest = digest_instrument(file)
            if digest in same:
                continue
            subarray = self._read_subarray(file)
            if self._is_part:
                subarray = subarray.select_subarray(self.tel_ids)
            if self._options.enforce_subarray_equality:
                is_same = subarray == self.subarray
            else:
                is_same = SubarrayDescription.check_matching_subarrays([self.subarray, subarray])
            if is_same:
                same.add(digest)
                continue
            message = f"{name}: its subarray differs from that of {reference}"
            if not self._options.skip_incompatible_files:
                raise DataError(
                    f"{message}; write data.enforce_subarray_equality: false to use both"
                )
            self._options.log.warning("%s; left out", message)
            file.close()
            del self.files[name]

    @cached_property
    def mapper(self) -> ImageMapper:
        """The image mapper of the camera."""
        name = None
        for scope, kind, mapper in self._options.image_mapper_type:
            # As upstream: an entry for a type goes before the one for all.
            if (scope == "type" and self.cam_name in kind) or (kind == "*" and name is None):
                name = mapper
        geometry = self.subarray.tel[self.tel_ids[0]].camera.geometry
        return find_mapper(name, geometry, self._options.config)

    def close(self) -> None:
        """Close all files."""
        for file in self.files.values():
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
