"""Rows of HDF5 tables, read once where there is room."""

import numpy as np
import tables


class TableMemory:
    """Keeps small tables whole; rows of large ones are read from the file each time.

    Parameters
    ----------
    n_bytes : int
        Room for all tables together.
    """

    def __init__(self, n_bytes: int):
        self._bytes_left = n_bytes
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    def read_rows(self, table: tables.Table, rows: np.ndarray) -> np.ndarray:
        """Rows of the table in the order asked for, as they are in the file."""
        key = (table._v_file.filename, table._v_pathname)
        if key not in self._kept:
            n_bytes = len(table) * table.rowsize
            if n_bytes > self._bytes_left:
                return _read_from_file(table, rows)
            self._bytes_left -= n_bytes
            self._kept[key] = table.read()
        return self._kept[key][rows]


def _read_from_file(table: tables.Table, rows: np.ndarray) -> np.ndarray:
    first, last = int(rows.min()), int(rows.max())
    if last - first < 2 * len(rows):
        # Close together: one piece of the file, which PyTables reads fastest.
        return table.read(first, last + 1)[rows - first]
    # In the order of the file: each compressed chunk is opened once.
    order = np.argsort(rows, kind="stable")
    return table.read_coordinates(rows[order])[np.argsort(order)]
