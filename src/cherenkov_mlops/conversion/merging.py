"""Several files into one by ctapipe's HDF5Merger: what forbids it, and whether all rows came."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import tables
from ctapipe.core import Provenance
from ctapipe.instrument import FocalLengthKind, SubarrayDescription
from ctapipe.io import HDF5Merger
from ctapipe.io.hdf5merger import CannotMerge
from ctapipe.io.metadata import Activity, write_to_hdf5

from cherenkov_mlops.data.dl1_file import open_hdf5
from cherenkov_mlops.data.paths import IMAGES, INSTRUMENT, LAYOUT, OBSERVATIONS, TRIGGERS
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path

RUN_TABLES = (OBSERVATIONS, TRIGGERS)
ATTRIBUTES = ("CTA PRODUCT DATA MODEL VERSION", "CTA PRODUCT DATA CATEGORY")
ACTIVITY = "cherenkov-mlops merge"
#: The merger adds the numbers in these tables instead of appending rows.
STATISTICS = ("/dl1/service/image_statistics", "/dl2/service/tel_event_statistics/")
#: Telescopes that are named in a message.
N_SHOWN = 10


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
        kinds = set()
        for path in self.rows:
            head, _, tail = path.rpartition("/")
            kinds.add(head if tail.startswith("tel_") else path)
        return kinds


def read_contents(path: Path) -> Contents:
    """Read what the file holds.

    Raises
    ------
    DataError
        It is no file of ctapipe.
    """
    with open_hdf5(path) as file:
        try:
            attributes = file.root._v_attrs
            missing = [name for name in ATTRIBUTES if name not in attributes]
            if missing:
                raise DataError(f"{path}: expected a file of ctapipe, but it has no '{missing[0]}'")
            versions = tuple(str(attributes[name]) for name in ATTRIBUTES)
            table = next((name for name in RUN_TABLES if name in file), None)
            if table is None:
                raise DataError(
                    f"{path}: expected a file with events, but it has no {RUN_TABLES[0]}"
                )
            obs_ids = frozenset(int(n) for n in np.unique(file.get_node(table).col("obs_id")))
            array = []
            for each in file.walk_nodes(INSTRUMENT, "Table"):
                array += [each._v_pathname.encode(), repr(each.dtype).encode()]
                array.append(each.read().tobytes())
        except (tables.HDF5ExtError, tables.NoSuchNodeError) as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error
    # Only rows and a digest of the columns are kept: contents of thousands of files are compared.
    rows, columns = {}, {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.names:
            # One string for the same table in all files: there may be thousands of files.
            table = sys.intern(f"/{name}")
            rows[table] = int(item.shape[0])
            columns[table] = _digest([repr(item.dtype).encode()])

    # h5py is twenty times as fast as PyTables here, which makes a description of each column.
    with h5py.File(path) as file:
        file.visititems(note)
    return Contents(path, rows, columns, versions, obs_ids, _digest(array))


def _digest(pieces: Iterable[bytes]) -> str:
    return sys.intern(sha256(b"\0".join(pieces)).hexdigest()[:16])


def check_mergeable(contents: Sequence[Contents]) -> None:
    """Raise ``DataError`` for files that must not, or cannot, be put into one.

    Raises
    ------
    DataError
        Runs or events are given twice, or versions, arrays or tables differ.
    """
    first = contents[0]
    for other in contents[1:]:
        for name, mine, theirs in zip(ATTRIBUTES, first.attributes, other.attributes, strict=True):
            if mine != theirs:
                raise DataError(
                    f"{other.path}: expected '{name}' {mine}, as in {first.path}, got {theirs}; "
                    "make all files with one version of ctapipe"
                )
        if first.array != other.array:
            # Not the same bytes; ctapipe decides whether it is the same array.
            check_array(first.path, other.path)
    # ctapipe joins tables by run and event number: two runs of one number would be mixed up.
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
    # The merger appends rows to the first file's tables, whatever their columns are.
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
    # All files with events hold the same tables: rows are never left without their partners.
    with_events = [each for each in contents if each.n_events]
    for each in with_events[1:]:
        for more, less in ((with_events[0], each), (each, with_events[0])):
            lacking = sorted(more.kinds - less.kinds)
            if lacking:
                raise DataError(
                    f"{less.path}: has no {lacking[0]}, which {more.path} has; a truncated "
                    "simulation lacks the histogram of its showers; leave it out, or make all "
                    "files with the same options"
                )


def check_array(first: Path, other: Path) -> None:
    """Raise ``DataError``, with the telescopes that differ, if two files are of two arrays."""
    mine, theirs = _read_subarray(first), _read_subarray(other)
    if mine == theirs:
        return
    both = set(mine.tel) & set(theirs.tel)
    changed = [
        number
        for number in both
        if mine.tel[number] != theirs.tel[number]
        or (mine.positions[number] != theirs.positions[number]).any()
    ]
    differences = []
    for numbers, what in (
        (set(mine.tel) - both, "are missing"),
        (set(theirs.tel) - both, "are new"),
        (changed, "differ"),
    ):
        if numbers:
            shown = ", ".join(str(number) for number in sorted(numbers)[:N_SHOWN])
            more = f", ... ({len(numbers)})" if len(numbers) > N_SHOWN else ""
            differences.append(f"telescopes {shown}{more} {what}")
    raise DataError(
        f"{other}: expected the array of {first}: "
        f"{'; '.join(differences) or 'its name or position differs'}; merge files of one array"
    )


def _read_events(contents: Contents, obs_id: int) -> np.ndarray:
    """Numbers of the events of one run."""
    if TRIGGERS not in contents.rows:
        return np.array([], dtype=np.int64)
    with open_hdf5(contents.path) as file:
        table = file.get_node(TRIGGERS)
        return table.col("event_id")[table.col("obs_id") == obs_id]


def _read_subarray(path: Path) -> SubarrayDescription:
    try:
        # Every file has equivalent focal lengths; which kind is used does not matter here.
        return SubarrayDescription.from_hdf(path, focal_length_choice=FocalLengthKind.EQUIVALENT)
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: telescope description cannot be read ({reason})") from error


def share_out(weights: Sequence[int], n_groups: int) -> list[slice]:
    """Cut the sequence into slices, in order, none empty, of sums as equal as may be.

    >>> share_out([1, 1, 2, 4], 2)
    [slice(0, 3, None), slice(3, 4, None)]
    """
    # The small constant tells files without weight apart.
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(weights) + 1e-6)])
    cuts = [0]
    for group in range(1, n_groups):
        # The cut nearest to an equal share.
        target = sums[-1] * group / n_groups
        cut = int(np.argmin(np.abs(sums - target)))
        # One file at least for this group, and for each of those to come.
        cuts.append(min(max(cut, cuts[-1] + 1), len(weights) - n_groups + group))
    cuts.append(len(weights))
    return [slice(low, high) for low, high in zip(cuts[:-1], cuts[1:], strict=True)]


def merge_files(contents: Sequence[Contents], output: Path) -> list[str]:
    """Merge the files; return the tables that ctapipe leaves out and in which the inputs differ.

    Parameters
    ----------
    contents : sequence of Contents
        Inputs in the order in which their rows are wanted, already checked.
    output : Path
        File to write, whole or not at all.

    Raises
    ------
    DataError
        ctapipe refuses a file, or rows are missing in what it wrote.
    """
    with atomic_path(output) as temporary:
        run_merger(contents, temporary)
        # What the merger did not take, such as an atmosphere, is copied if all inputs agree.
        known = {path for each in contents for path in each.rows}
        with open_hdf5(temporary) as merged:
            missing = [path for path in known if path not in merged]
        missing = sorted(path for path in missing if not path.startswith(INSTRUMENT))
        constant = copy_constant_tables(contents, missing, temporary)
        left_out = sorted(set(missing) - set(constant))
        # Every row of every input is in the output, no more, no less.
        expected: Counter[str] = Counter()
        for each in contents:
            for path, n_rows in each.rows.items():
                if path in constant or path.startswith(STATISTICS) or path == LAYOUT:
                    expected[path] = n_rows
                elif not path.startswith(INSTRUMENT) and path not in left_out:
                    expected[path] += n_rows
        with open_hdf5(temporary) as file:
            found = {table._v_pathname: int(table.nrows) for table in file.walk_nodes("/", "Table")}
        for path, n_rows in sorted(expected.items()):
            if found.get(path, 0) != n_rows:
                raise DataError(
                    f"{output}: {path}: expected {n_rows} rows, as the inputs have, got "
                    f"{found.get(path, 0)}; nothing was written"
                )
    return left_out


def run_merger(contents: Sequence[Contents], output: Path) -> None:
    """Run ctapipe's merger, as an activity of its provenance."""
    provenance = Provenance()
    provenance.start_activity(ACTIVITY)
    status = "error"
    try:
        with HDF5Merger(output, overwrite=True) as merger:
            # Ours have been checked; a file without events lacks the tables of events.
            merger.required_nodes = set()
            for path in with_progress([each.path for each in contents], "merging"):
                merger(path)
            merger.meta.activity = Activity.from_provenance(provenance.current_activity.provenance)
            write_to_hdf5(merger.meta.to_dict(), merger.h5file)
        status = "completed"
    except CannotMerge as error:
        raise DataError(f"{output.parent}: ctapipe cannot merge: {error}") from error
    finally:
        provenance.finish_activity(status=status, activity_name=ACTIVITY)


def copy_constant_tables(
    contents: Sequence[Contents], paths: Sequence[str], output: Path
) -> list[str]:
    """Copy those tables in which all inputs that have them agree; return their paths."""
    constant = []
    with tables.open_file(output, "a") as merged:
        for path in paths:
            holders = [each for each in contents if path in each.rows]
            held: set[bytes] = set()
            for each in holders:
                with open_hdf5(each.path) as file:
                    held.add(sha256(file.get_node(path).read().tobytes()).digest())
            if len(held) > 1:
                continue
            # PyTables copies between files into a group that exists: the root, then it is moved.
            parent, _, name = path.rpartition("/")
            with open_hdf5(holders[0].path) as file:
                file.get_node(path).copy(merged.root, name)
            merged.move_node(f"/{name}", parent, createparents=True)
            constant.append(path)
    return constant
