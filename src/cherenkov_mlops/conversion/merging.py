"""Several files into one by ctapipe's HDF5Merger, rows counted."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import tables
from ctapipe.core import Provenance
from ctapipe.io import HDF5Merger
from ctapipe.io.hdf5merger import CannotMerge
from ctapipe.io.metadata import Activity, write_to_hdf5

from cherenkov_mlops.conversion.contents import INSTRUMENT, Contents
from cherenkov_mlops.data.dl1_file import open_hdf5
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path

ACTIVITY = "cherenkov-mlops merge"
LAYOUT = f"{INSTRUMENT}/subarray/layout"
#: The merger adds the numbers in these tables instead of appending rows.
STATISTICS = ("/dl1/service/image_statistics", "/dl2/service/tel_event_statistics/")


def share_out(weights: Sequence[int], n_groups: int) -> list[slice]:
    """Slices of the sequence, in order, none empty, of sums as equal as may be.

    >>> share_out([1, 1, 2, 4], 2)
    [slice(0, 3, None), slice(3, 4, None)]
    """
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(weights) + 1e-6)])
    cuts = [0]
    for group in range(1, n_groups):
        target = sums[-1] * group / n_groups
        cut = int(np.argmin(np.abs(sums - target)))
        # One file at least for this group, and for each of those to come.
        cuts.append(min(max(cut, cuts[-1] + 1), len(weights) - n_groups + group))
    cuts.append(len(weights))
    return [slice(low, high) for low, high in zip(cuts[:-1], cuts[1:], strict=True)]


def merge_files(contents: Sequence[Contents], output: Path) -> list[str]:
    """Tables that are not in the output: ctapipe does not merge them, and the inputs differ there.

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
        _merge(contents, temporary)
        missing = _find_missing(contents, temporary)
        constant = [path for path in missing if _is_constant(contents, path)]
        _copy_tables(contents, constant, temporary)
        left_out = sorted(set(missing) - set(constant))
        expected = _count_rows(contents, constant)
        for path in left_out:
            del expected[path]
        _check_rows(output, temporary, expected)
    return left_out


def _merge(contents: Sequence[Contents], output: Path) -> None:
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


def _find_missing(contents: Sequence[Contents], output: Path) -> list[str]:
    """Tables of the inputs that the merger did not take, as an atmosphere."""
    known = {path for each in contents for path in each.rows}
    with open_hdf5(output) as merged:
        return sorted(
            path for path in known if path not in merged and not path.startswith(INSTRUMENT)
        )


def _is_constant(contents: Sequence[Contents], table: str) -> bool:
    """Whether all inputs that have the table agree in it."""
    held: set[bytes] = set()
    for each in contents:
        if table in each.rows:
            with open_hdf5(each.path) as file:
                held.add(sha256(file.get_node(table).read().tobytes()).digest())
    return len(held) == 1


def _copy_tables(contents: Sequence[Contents], paths: Sequence[str], output: Path) -> None:
    with tables.open_file(output, "a") as merged:
        for path in paths:
            holder = next(each for each in contents if path in each.rows)
            parent, _, name = path.rpartition("/")
            with open_hdf5(holder.path) as file:
                file.get_node(path).copy(merged.root, name)
            merged.move_node(f"/{name}", parent, createparents=True)


def _count_rows(contents: Sequence[Contents], constant: Sequence[str]) -> dict[str, int]:
    """Table -> rows that the output must have."""
    expected: Counter[str] = Counter()
    for each in contents:
        for path, n_rows in each.rows.items():
            if path in constant or path.startswith(STATISTICS) or path == LAYOUT:
                expected[path] = n_rows
            elif not path.startswith(INSTRUMENT):
                expected[path] += n_rows
    return dict(expected)


def _check_rows(output: Path, written: Path, expected: dict[str, int]) -> None:
    """Every row of every input is in the output, no more, no less."""
    with open_hdf5(written) as file:
        found = {table._v_pathname: int(table.nrows) for table in file.walk_nodes("/", "Table")}
    for path, n_rows in sorted(expected.items()):
        if found.get(path, 0) != n_rows:
            raise DataError(
                f"{output}: {path}: expected {n_rows} rows, as the inputs have, got "
                f"{found.get(path, 0)}; nothing was written"
            )
