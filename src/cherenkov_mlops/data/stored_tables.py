"""Tables of ctapipe's HDF5 files: columns decoded when they are asked for, and joined."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import tables
from astropy.table import Column
from ctapipe.core.expression_engine import ExpressionEngine
from ctapipe.io.hdf5tableio import get_column_transforms
from ctapipe.io.tableio import EnumColumnTransform

from cherenkov_mlops.errors import DataError


class StoredTable:
    """A table of an open file, read at once.

    ``ctapipe.io.read_table`` reads the attributes of all columns and decodes all of them, used or
    not, which for a file of few events takes longer than all else together.

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
        self._n_rows = len(table)
        # What ctapipe did to each column when it wrote it, from attributes by its position.
        said: dict[str, dict[str, Any]] = {
            name: {"DTYPE": column.dtype} for name, column in table.coldescrs.items()
        }
        for key in table._v_attrs._v_attrnamesuser:
            if key.startswith("CTAFIELD_"):
                number, _, what = key.removeprefix("CTAFIELD_").partition("_")
                value = table._v_attrs.__dict__[key]
                plain = value.item() if isinstance(value, np.generic) else value
                said[table.colnames[int(number)]][what] = plain
        self._said = said

    @property
    def n_bytes(self) -> int:
        """Memory that the table takes."""
        whole = isinstance(self._stored, np.ndarray)
        return self._stored.nbytes if whole else sum(c.nbytes for c in self._stored.values())

    def __len__(self) -> int:
        return self._n_rows

    def __getitem__(self, name: str) -> Column:
        """Values of the column with their unit; names of an enumeration stay numbers."""
        stored = self._stored[name]
        transform = get_column_transforms({name: self._said[name]}).get(name)
        if transform is None or isinstance(transform, EnumColumnTransform):
            return Column(stored)
        values = transform.inverse(stored)
        if isinstance(values, u.Quantity):
            return Column(values.value, unit=values.unit)
        return Column(values)

    def numbers(self, name: str, unit: str) -> np.ndarray:
        """Values of the column in this unit; as they are if it has none."""
        column = self[name]
        return column.quantity.to_value(unit) if column.unit else np.asarray(column)

    def keys(self, names: Sequence[str]) -> np.ndarray:
        """Identifiers of the rows, shape (rows, names)."""
        return np.stack([self._stored[name].astype(np.int64) for name in names], axis=1)


type Identity = tuple[str, int, int]


def identify(path: str | Path) -> Identity:
    """Path, size and time of change: a file with the same is taken as unchanged."""
    status = Path(path).stat()
    return str(Path(path).resolve()), status.st_size, status.st_mtime_ns


class LeftTables:
    """Whole tables that one reader of a file leaves to the next in the same process.

    PyTables takes several milliseconds to open a table of ctapipe, whatever is in it: with many
    small files, most of all that is done with them.

    Parameters
    ----------
    room_bytes : int
        Room for all; tables that find none are read again.
    """

    def __init__(self, room_bytes: int):
        self._room = room_bytes
        self._tables: dict[tuple[Identity, str], StoredTable] = {}

    def leave(self, path: str | Path, left: Mapping[str, StoredTable]) -> None:
        """Keep tables of a file, by node, if there is room."""
        identity = identify(path)
        for node, table in left.items():
            if table.n_bytes <= self._room and (identity, node) not in self._tables:
                self._room -= table.n_bytes
                self._tables[(identity, node)] = table

    def take(self, file: tables.File, node: str) -> StoredTable | None:
        """Give the table that was left, once, or read it; None if the file has none."""
        table = self._tables.pop((identify(file.filename), node), None)
        if table is not None:
            self._room += table.n_bytes
            return table
        return StoredTable(file, node) if node in file else None


left_tables = LeftTables(room_bytes=100_000_000)


class JoinedColumns:
    """Columns of several tables side by side, as a join would give them.

    Parameters
    ----------
    parts : list of (StoredTable, array of int)
        A table, and its row for each row of the join. Of two columns with one name, the first
        counts. -1, where `find_rows` found none, stands for the last row.
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
        """Take the rows where ``mask`` is true."""
        return JoinedColumns([(table, rows[mask]) for table, rows in self._parts])

    def passing(self, criteria: Sequence[Sequence[str]]) -> np.ndarray:
        """Mask of the rows that pass all cuts.

        Raises
        ------
        ctapipe.core.expression_engine.ExpressionError
            A cut cannot be computed.
        """
        mask = np.ones(len(self), dtype=bool)
        columns: Any = self
        with np.errstate(all="ignore"):
            for passed in ExpressionEngine([tuple(pair) for pair in criteria])(columns):
                mask &= np.asarray(passed, dtype=bool)
        return mask


def repeated_rows(keys: np.ndarray) -> np.ndarray:
    """Rows that are equal to an earlier one."""
    return np.flatnonzero(pd.DataFrame(keys).duplicated())


def find_rows(
    wanted: Any,
    table: StoredTable,
    keys: Sequence[str],
    agree_on: Sequence[str] | None = None,
) -> np.ndarray:
    """Row of ``table`` with the same keys for each row of ``wanted``, -1 where there is none.

    Parameters
    ----------
    wanted : StoredTable, JoinedColumns or Table
        What to look for.
    table : StoredTable
        Where.
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
    # Each combination of keys is one number: rows are compared by one comparison.
    places = np.zeros(len(table), dtype=np.int64)
    sought = np.zeros(len(wanted), dtype=np.int64)
    for name in keys:
        both = np.concatenate([np.asarray(table[name]), np.asarray(wanted[name])])
        values, codes = np.unique(both, return_inverse=True)
        places = places * len(values) + codes[: len(places)]
        sought = sought * len(values) + codes[len(places) :]
    # The first of equal rows comes first.
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(again) and agree_on != ():
        first, second = order[again], order[again + 1]
        columns = [np.asarray(table[name]) for name in agree_on or ()]
        if agree_on is None or any((each[first] != each[second]).any() for each in columns):
            row = second.min()
            twice = {name: np.asarray(table[name])[row].item() for name in keys}
            raise DataError(
                f"{table.place}: expected each {', '.join(keys)} once, got {twice} again; "
                "merge only files of different runs"
            )
    if not len(places):
        return np.full(len(sought), -1)
    found = np.minimum(np.searchsorted(ordered, sought), len(ordered) - 1)
    return np.where(ordered[found] == sought, order[found], -1)
