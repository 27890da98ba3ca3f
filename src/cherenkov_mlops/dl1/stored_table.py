"""Columns of ctapipe's HDF5 tables, decoded one by one when they are asked for."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import tables
from astropy.table import Column
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms

from cherenkov_mlops.data.stored_columns import decode
from cherenkov_mlops.errors import DataError


class StoredTable:
    """A table of an open file. ``ctapipe.io.read_table`` decodes all columns, used or not.

    Parameters
    ----------
    file : tables.File
        Open file.
    node : str
        Path of the table in it.
    columns : sequence of str, optional
        Columns to read, where others are too large; None reads all.
    """

    def __init__(self, file: tables.File, node: str, columns: Sequence[str] | None = None):
        table = file.get_node(node)
        self.place = f"{file.filename}: {node}"
        self.names: list[str] = list(columns or table.colnames)
        self._stored = (
            table.read() if columns is None else {name: table.col(name) for name in columns}
        )
        self._transforms = get_column_transforms(get_column_attrs(table))

    def __len__(self) -> int:
        return len(self._stored[self.names[0]])

    def __getitem__(self, name: str) -> Column:
        return decode(self._stored[name], self._transforms.get(name))


class JoinedColumns:
    """Columns of several tables side by side, as an inner join would give them.

    Parameters
    ----------
    parts : list of (StoredTable, array of int)
        A table, and its row for each row of the join. Of two columns with one name, the first
        counts.
    """

    def __init__(self, parts: Sequence[tuple[StoredTable, np.ndarray]]):
        self._parts = list(parts)

    def __len__(self) -> int:
        return len(self._parts[0][1])

    def __getitem__(self, name: str) -> Column:
        for table, rows in self._parts:
            if name in table.names:
                return table[name][rows]
        raise KeyError(name)

    def select(self, mask: np.ndarray) -> "JoinedColumns":
        """The rows where ``mask`` is true."""
        return JoinedColumns([(table, rows[mask]) for table, rows in self._parts])


def find_rows(
    wanted: StoredTable | JoinedColumns,
    table: StoredTable,
    keys: Sequence[str],
    agree_on: Sequence[str] | None = None,
) -> np.ndarray:
    """Row of ``table`` with the same keys for each row of ``wanted``, -1 where there is none.

    Parameters
    ----------
    wanted, table : StoredTable or JoinedColumns
        What to look for, and where.
    keys : sequence of str
        Columns that both have.
    agree_on : sequence of str, optional
        Columns on which rows with the same keys must agree; the first of them counts then. None
        allows no such rows.

    Raises
    ------
    DataError
        Two rows of ``table`` have the same keys.
    """
    places = pd.DataFrame({name: np.asarray(table[name]) for name in [*keys, *(agree_on or ())]})
    if agree_on is not None:
        places = places.drop_duplicates()
        if not agree_on:
            places = places.drop_duplicates(list(keys))
    index = pd.MultiIndex.from_frame(places[list(keys)])
    if not index.is_unique:
        twice = dict(zip(keys, index[index.duplicated()][0], strict=True))
        raise DataError(
            f"{table.place}: expected each {', '.join(keys)} once, got {twice} again; "
            "merge only files of different runs"
        )
    found = index.get_indexer(
        pd.MultiIndex.from_arrays([np.asarray(wanted[name]) for name in keys])
    )
    return np.where(found < 0, -1, places.index.to_numpy()[found])
