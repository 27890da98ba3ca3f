"""A DL1 file without what training and effective areas do not need."""

import os
import re
import uuid
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tables
from astropy.time import Time

from cherenkov_mlops.conversion.merging import ATTRIBUTES
from cherenkov_mlops.data.dl1_file import open_hdf5
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.run_dir import atomic_path

KEPT = ("/configuration/", "/dl1/", "/simulation/")
MONITORING = "/dl1/monitoring/"
#: Where observations have their pointing, which simulations have in /configuration.
POINTING = ("/dl1/monitoring/telescope/pointing/", "/dl1/monitoring/subarray/pointing")
#: True images, their parameters, and impact distances, which follow from core and telescope.
TRUTH = "/simulation/event/telescope/"
TOP_LEVELS = {"r0": "raw waveforms", "r1": "waveforms", "dl2": "DL2"}
#: What PyTables repeats of the type of a table; it reads the type.
REPEATED = re.compile(rb"FIELD_\d+_(NAME|FILL)$")
LEVELS = "CTA PRODUCT DATA LEVELS"
CODECS = {"zstd": "blosc:zstd", "lz4": "blosc:lz4", "zlib": "zlib"}
COMPACT_ATTRIBUTES = 65_535


@dataclass(frozen=True)
class SlimOptions:
    """What is kept and how it is compressed.

    Parameters
    ----------
    telescope_truth : bool
        Keep the images before noise, their parameters and the impact distances.
    codec : str
        zstd, lz4 or zlib.
    level : int
        1, fast, to 9, small; 0 does not compress.
    """

    telescope_truth: bool = False
    codec: str = "zstd"
    level: int = 5

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UserError(f"--codec: expected {', '.join(CODECS)}, got {self.codec}")
        if not 0 <= self.level <= 9:
            raise UserError(f"--level: expected 0 to 9, got {self.level}")

    def keeps(self, path: str) -> bool:
        """Whether the table or array stays."""
        if path.startswith(TRUTH):
            return self.telescope_truth
        if path.startswith(MONITORING):
            return path.startswith(POINTING)
        return path.startswith(KEPT)

    def filters(self) -> tables.Filters:
        """The compression, with checksums as ctapipe writes them."""
        return tables.Filters(
            self.level, CODECS[self.codec], shuffle=self.level > 0, fletcher32=True
        )


@dataclass(frozen=True)
class Slimmed:
    """What was saved.

    Parameters
    ----------
    size_before, size_after : int
        Bytes of the files.
    dropped : dict of str to int
        What was left out -> bytes that its data took, compressed.
    """

    size_before: int
    size_after: int
    dropped: dict[str, int]

    @property
    def saved(self) -> float:
        """Share of the size that was saved."""
        return 1 - self.size_after / self.size_before


def slim_file(source: Path, output: Path, options: SlimOptions) -> Slimmed:
    """Write ``output``, whole or not at all; return what was saved.

    Raises
    ------
    DataError
        The source is no DL1 file of ctapipe, or is damaged.
    """
    # Twice: PyTables copies tables with another compression, h5py writes small headers.
    with atomic_path(output) as temporary:
        copy = temporary.with_name(f".{output.stem}.copy.{os.getpid()}.tmp{output.suffix}")
        try:
            dropped = copy_kept(source, copy, options)
            repack(copy, temporary)
        except tables.HDF5ExtError as error:
            raise DataError(f"{source}: damaged HDF5 file; copy or make it again") from error
        finally:
            copy.unlink(missing_ok=True)
    return Slimmed(source.stat().st_size, output.stat().st_size, dropped)


def copy_kept(source: Path, output: Path, options: SlimOptions) -> dict[str, int]:
    """Copy the tables that stay; return what was left out -> bytes."""
    dropped: Counter[str] = Counter()
    filters = options.filters()
    with open_hdf5(source) as file, tables.open_file(output, "w", filters=filters) as slim:
        if any(name not in file.root._v_attrs for name in ATTRIBUTES) or "/dl1" not in file:
            raise DataError(f"{source}: expected a DL1 file of ctapipe, got another HDF5 file")
        _copy_attributes(file.root, slim.root)
        for leaf in file.walk_nodes("/", "Leaf"):
            path = leaf._v_pathname
            if options.keeps(path):
                # An array that is not in chunks cannot be compressed.
                how = {"filters": filters} if leaf.chunkshape is not None else {}
                leaf.copy(_make_group(slim, leaf._v_parent), **how)
                continue
            what = TOP_LEVELS.get(path.split("/")[1], path.split("/")[1])
            if path.startswith(TRUTH):
                what = "truth of single telescopes"
            elif path.startswith(MONITORING):
                what = "monitoring"
            # As stored, compressed: this is what the file gets smaller by.
            dropped[what] += int(leaf.size_on_disk)
        # The reference metadata are those of a new product.
        attributes = slim.root._v_attrs
        changed = {
            "CTA PRODUCT ID": str(uuid.uuid4()),
            "CTA PRODUCT CREATION TIME": Time.now().iso,
            "CTA ACTIVITY NAME": "cherenkov-mlops slim",
        }
        if LEVELS in attributes:
            levels = str(attributes[LEVELS]).split(",")
            changed[LEVELS] = ",".join(level for level in levels if level.startswith("DL1"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", tables.NaturalNameWarning)
            for name, value in changed.items():
                attributes[name] = value
    return dict(dropped)


def _make_group(slim: tables.File, group: tables.Group) -> tables.Group:
    """Make the group of the copy, with those above it, with their attributes."""
    path = group._v_pathname
    if path in slim:
        return slim.get_node(path)
    made = slim.create_group(_make_group(slim, group._v_parent), group._v_name, group._v_title)
    _copy_attributes(group, made)
    return made


def _copy_attributes(source: tables.Group, target: tables.Group) -> None:
    with warnings.catch_warnings():
        # The field's names of attributes have spaces.
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        source._v_attrs._f_copy(target)


def repack(source: Path, output: Path) -> None:
    """Write the same content with headers of HDF5 1.10, which need a third of the room.

    The tables of a telescope have some hundred attributes each: for few events these are most of
    the file. The compressed pieces of the data are copied as they are.
    """
    with h5py.File(source) as file, h5py.File(output, "w", libver="v110") as packed:
        _copy_raw_attributes(file.id, packed.id)
        names: list[str] = []
        file.visit(names.append)
        for name in names:
            item = file[name]
            if isinstance(item, h5py.Group):
                _copy_raw_attributes(item.id, packed.create_group(name).id)
            elif item.chunks is None:
                file.copy(item, packed, name)
            else:
                _copy_raw_attributes(item.id, copy_chunks(item, packed, name))


def copy_chunks(source: h5py.Dataset, target: h5py.File, name: str) -> h5py.h5d.DatasetID:
    """Copy the compressed pieces of a table as they are; its attributes come later."""
    layout = source.id.get_create_plist()
    # All attributes in the header: the other way, a heap for each table, takes more room.
    layout.set_attr_phase_change(COMPACT_ATTRIBUTES, COMPACT_ATTRIBUTES)
    kind, space = source.id.get_type(), source.id.get_space()
    copy = h5py.h5d.create(target.id, name.encode(), kind, space, layout)
    for number in range(source.id.get_num_chunks()):
        offset = source.id.get_chunk_info(number).chunk_offset
        mask, data = source.id.read_direct_chunk(offset)
        copy.write_direct_chunk(offset, data, mask)
    return copy


def _copy_raw_attributes(source: h5py.h5g.GroupID, target: h5py.h5g.GroupID) -> None:
    """Copy attributes with their very types: PyTables stores names, enumerations and pickles."""
    for number in range(h5py.h5a.get_num_attrs(source)):
        old = h5py.h5a.open(source, index=number)
        if REPEATED.match(old.name):
            continue
        kind, space = old.get_type(), old.get_space()
        new = h5py.h5a.create(target, old.name, kind, space)
        if space.get_simple_extent_type() != h5py.h5s.NULL:
            value = np.empty(old.shape, old.dtype)
            old.read(value, mtype=kind)
            new.write(value, mtype=kind)
