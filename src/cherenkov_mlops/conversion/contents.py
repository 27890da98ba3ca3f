"""What files hold, as far as it decides whether and how they can be merged."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import tables
from ctapipe.instrument import FocalLengthKind, SubarrayDescription

from cherenkov_mlops.data.dl1_file import open_hdf5
from cherenkov_mlops.data.paths import IMAGES, INSTRUMENT, OBSERVATIONS, TRIGGERS
from cherenkov_mlops.errors import DataError

RUN_TABLES = (OBSERVATIONS, TRIGGERS)
EVENTS = ("/dl1/event/", "/dl2/event/", "/r0/event/", "/r1/event/", "/simulation/event/")
ATTRIBUTES = ("CTA PRODUCT DATA MODEL VERSION", "CTA PRODUCT DATA CATEGORY")


@dataclass(frozen=True)
class Contents:
    """What one file holds.

    Parameters
    ----------
    path : Path
        The file.
    rows : dict of str to int
        Table -> rows.
    columns : dict of str to str
        Table -> digest of the names and types of its columns.
    attributes : tuple of str
        Version of the data model, category of the data.
    obs_ids : frozenset of int
        Runs.
    array : str
        Digest of the description of the telescopes.
    """

    path: Path
    rows: dict[str, int]
    columns: dict[str, str]
    attributes: tuple[str, ...]
    obs_ids: frozenset[int]
    array: str

    @property
    def n_events(self) -> int:
        """Events that triggered."""
        return self.rows.get(TRIGGERS, 0)

    @property
    def n_images(self) -> int:
        """Telescope images."""
        return sum(n for path, n in self.rows.items() if path.startswith(f"{IMAGES}/"))

    @property
    def kinds(self) -> set[str]:
        """Groups and tables, tables of single telescopes left out."""
        return {_kind(path) for path in self.rows}


def read_contents(path: Path) -> Contents:
    """What the file holds.

    Raises
    ------
    DataError
        It is no file of ctapipe.
    """
    with open_hdf5(path) as file:
        try:
            attributes, runs = _read_attributes(path, file), _read_runs(path, file)
            array = _digest_array(file)
        except (tables.HDF5ExtError, tables.NoSuchNodeError) as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error
    rows, columns = _read_shapes(path)
    return Contents(path, rows, columns, attributes, runs, array)


def _read_shapes(path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Rows, and digest of the columns, of each table.

    h5py tells them twenty times as fast as PyTables, which makes a description of each column.
    """
    rows, columns = {}, {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.names:
            # One string for the same table in all files: there may be thousands of files.
            table = sys.intern(f"/{name}")
            rows[table] = int(item.shape[0])
            columns[table] = sys.intern(_digest([repr(item.dtype).encode()]))

    with h5py.File(path) as file:
        file.visititems(note)
    return rows, columns


def check_mergeable(contents: Sequence[Contents]) -> None:
    """Refuse files that must not, or cannot, be put into one.

    Raises
    ------
    DataError
        Runs or events are given twice, or versions, arrays or tables differ.
    """
    first = contents[0]
    for other in contents[1:]:
        _check_attributes(first, other)
        _check_arrays(first, other)
    _check_runs(contents)
    _check_columns(contents)
    _check_kinds([each for each in contents if each.n_events])


def _check_attributes(first: Contents, other: Contents) -> None:
    for name, mine, theirs in zip(ATTRIBUTES, first.attributes, other.attributes, strict=True):
        if mine != theirs:
            raise DataError(
                f"{other.path}: expected '{name}' {mine}, as in {first.path}, got {theirs}; "
                "make all files with one version of ctapipe"
            )


def _check_arrays(first: Contents, other: Contents) -> None:
    if first.array == other.array:
        return
    # Not the same bytes; ctapipe decides whether it is the same array.
    mine, theirs = _read_subarray(first.path), _read_subarray(other.path)
    if mine == theirs:
        return
    both = set(mine.tel) & set(theirs.tel)
    lacking = sorted(set(mine.tel) - both)
    extra = sorted(set(theirs.tel) - both)
    changed = sorted(number for number in both if not _same_telescope(mine, theirs, number))
    differences = [
        f"telescopes {_list(numbers)} {what}"
        for numbers, what in ((lacking, "are missing"), (extra, "are new"), (changed, "differ"))
        if numbers
    ]
    raise DataError(
        f"{other.path}: expected the array of {first.path}: "
        f"{'; '.join(differences) or 'its name or position differs'}; merge files of one array"
    )


def _check_runs(contents: Sequence[Contents]) -> None:
    owners: dict[int, Contents] = {}
    for each in contents:
        for number in sorted(each.obs_ids):
            other = owners.setdefault(number, each)
            if other is not each:
                events = _read_events(other, number), _read_events(each, number)
                n_shared = len(np.intersect1d(*events))
                raise DataError(
                    f"{each.path}: run (obs_id) {number} is in {other.path} too, "
                    f"{n_shared} events have the same numbers; give each run once"
                )


def _check_columns(contents: Sequence[Contents]) -> None:
    known: dict[str, tuple[str, Path]] = {}
    for each in contents:
        for path, columns in each.columns.items():
            mine, owner = known.setdefault(path, (columns, each.path))
            # An array that is the same to ctapipe may be written with other types.
            if mine != columns and not path.startswith(INSTRUMENT):
                raise DataError(
                    f"{each.path}: {path} has other columns than in {owner}; "
                    "make all files with the same options"
                )


def _check_kinds(contents: Sequence[Contents]) -> None:
    """All files with events hold the same kinds of tables: rows are never left without partner."""
    for each in contents[1:]:
        for more, less in ((contents[0], each), (each, contents[0])):
            lacking = sorted(more.kinds - less.kinds)
            if lacking:
                raise DataError(
                    f"{less.path}: has no {lacking[0]}, which {more.path} has; a truncated "
                    "simulation lacks the histogram of its showers; leave it out, or make all "
                    "files with the same options"
                )


def _read_attributes(path: Path, file: tables.File) -> tuple[str, ...]:
    attributes = file.root._v_attrs
    missing = [name for name in ATTRIBUTES if name not in attributes]
    if missing:
        raise DataError(f"{path}: expected a file of ctapipe, but it has no '{missing[0]}'")
    return tuple(str(attributes[name]) for name in ATTRIBUTES)


def _read_runs(path: Path, file: tables.File) -> frozenset[int]:
    table = next((name for name in RUN_TABLES if name in file), None)
    if table is None:
        raise DataError(f"{path}: expected a file with events, but it has no {RUN_TABLES[0]}")
    return frozenset(int(number) for number in np.unique(file.get_node(table).col("obs_id")))


def _read_events(contents: Contents, obs_id: int) -> np.ndarray:
    if TRIGGERS not in contents.rows:
        return np.array([], dtype=np.int64)
    with open_hdf5(contents.path) as file:
        table = file.get_node(TRIGGERS)
        return table.col("event_id")[table.col("obs_id") == obs_id]


def _digest_array(file: tables.File) -> str:
    pieces = []
    for table in file.walk_nodes(INSTRUMENT, "Table"):
        pieces += [table._v_pathname.encode(), repr(table.dtype).encode(), table.read().tobytes()]
    return sys.intern(_digest(pieces))


def _digest(pieces: Iterable[bytes]) -> str:
    return sha256(b"\0".join(pieces)).hexdigest()[:16]


def _read_subarray(path: Path) -> SubarrayDescription:
    try:
        # Every file has equivalent focal lengths; which kind is used does not matter here.
        return SubarrayDescription.from_hdf(path, focal_length_choice=FocalLengthKind.EQUIVALENT)
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: telescope description cannot be read ({reason})") from error


def _same_telescope(mine: SubarrayDescription, theirs: SubarrayDescription, number: int) -> bool:
    same_place = bool((mine.positions[number] == theirs.positions[number]).all())
    return same_place and mine.tel[number] == theirs.tel[number]


def _kind(path: str) -> str:
    head, _, tail = path.rpartition("/")
    return sys.intern(head if tail.startswith("tel_") else path)


def _list(numbers: Sequence[int], n_shown: int = 10) -> str:
    shown = ", ".join(str(number) for number in numbers[:n_shown])
    return shown + (f", ... ({len(numbers)})" if len(numbers) > n_shown else "")
