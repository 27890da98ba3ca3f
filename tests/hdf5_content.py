"""What HDF5 files hold, to be compared: their bytes differ by times and identifiers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tables


def read_tables(path: Path) -> dict[str, np.ndarray]:
    """Path of each table -> its rows."""
    with tables.open_file(path) as file:
        return {table._v_pathname: table.read() for table in file.walk_nodes("/", "Table")}


def differing_tables(path: Path, other: Path, *, tolerance: float = 0) -> list[str]:
    """Tables that only one of the files has, or that differ.

    They differ in a bit, or with a tolerance, in other columns than 64-bit numbers that agree so
    far: sums come out in another order on other processors.
    """
    mine, theirs = read_tables(path), read_tables(other)
    differing = set(mine) ^ set(theirs)
    for name in set(mine) & set(theirs):
        if not same_rows(mine[name], theirs[name], tolerance):
            differing.add(name)
    return sorted(differing)


def same_rows(rows: np.ndarray, others: np.ndarray, tolerance: float = 0) -> bool:
    """Whether types and values are equal."""
    if rows.dtype != others.dtype or rows.shape != others.shape:
        return False
    return all(same_column(rows[name], others[name], tolerance) for name in rows.dtype.names)


def same_column(values: np.ndarray, others: np.ndarray, tolerance: float) -> bool:
    """Whether all bits are equal; of 64-bit numbers, all within the tolerance."""
    if tolerance and values.dtype == np.float64:
        return np.allclose(values, others, rtol=tolerance, atol=0, equal_nan=True)
    return values.tobytes() == others.tobytes()


def renumber(path: Path, obs_id: int) -> Path:
    """``path``, all of whose rows now belong to another run."""
    with tables.open_file(path, "r+") as file:
        for table in file.walk_nodes("/", "Table"):
            if "obs_id" in table.colnames:
                change_column(table, "obs_id", lambda _: obs_id)
    return path


def change_column(table: tables.Table, name: str, change: Callable) -> None:
    """Put what ``change`` makes of a column in its place."""
    rows = table.read()
    if len(rows):
        rows[name] = change(rows[name])
        table.modify_rows(0, rows=rows)
