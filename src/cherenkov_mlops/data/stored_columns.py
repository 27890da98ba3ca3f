"""Columns of the tables of one telescope, joined with those of its events when asked for."""

from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
import tables
from astropy.table import Column
from ctapipe.core.expression_engine import ExpressionEngine
from ctapipe.io.hdf5tableio import get_column_attrs, get_column_transforms
from ctapipe.io.tableio import ColumnTransform, EnumColumnTransform

PARAMETERS = "/dl1/event/telescope/parameters"
SHOWERS = "/simulation/event/subarray/shower"
TRIGGERS = "/dl1/event/subarray/trigger"
EVENT_KEYS = ("obs_id", "event_id")
IMAGE_KEYS = (*EVENT_KEYS, "tel_id")


def read_column(table: tables.Table, name: str) -> Column:
    """The column with its unit, as ctapipe would decode it."""
    return decode(table.col(name), get_column_transforms(get_column_attrs(table)).get(name))


def decode(stored: np.ndarray, transform: ColumnTransform | None) -> Column:
    """Values of a column with their unit; names of an enumeration stay numbers.

    Parameters
    ----------
    stored : array
        Values as they are in the file.
    transform : ColumnTransform, optional
        What ctapipe did to them when it wrote them.
    """
    if transform is None or isinstance(transform, EnumColumnTransform):
        return Column(stored)
    values = transform.inverse(stored)
    if isinstance(values, u.Quantity):
        return Column(values.value, unit=values.unit)
    return Column(values)


def read_numbers(table: tables.Table, name: str, unit: str) -> np.ndarray:
    """The column in this unit; as it is if it has none."""
    column = read_column(table, name)
    return column.quantity.to_value(unit) if column.unit else np.asarray(column)


def read_keys(table: tables.Table, names: Sequence[str]) -> np.ndarray:
    """Identifiers of the rows, shape (rows, names)."""
    return np.stack([table.col(name).astype(np.int64) for name in names], axis=1)


def repeated_rows(keys: np.ndarray) -> np.ndarray:
    """Rows that are equal to an earlier one."""
    return np.flatnonzero(pd.DataFrame(keys).duplicated())


def find_rows(wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Row of ``keys`` equal to each row of ``wanted``, -1 where there is none; keys are unique."""
    if np.array_equal(wanted, keys):
        return np.arange(len(wanted))
    index = pd.MultiIndex.from_arrays(keys.T)
    return index.get_indexer(pd.MultiIndex.from_arrays(wanted.T))


class ImageColumns:
    """Columns by name, one row an image of a telescope: parameters, then shower, then trigger.

    Columns are read when asked for; those of showers and triggers are joined by event.

    Parameters
    ----------
    file : tables.File
        Open DL1 file.
    telescope : int
        One that has a table of parameters.
    """

    def __init__(self, file: tables.File, telescope: int):
        self._file = file
        self.parameters = file.get_node(f"{PARAMETERS}/tel_{telescope:03d}")
        self._rows: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.parameters)

    def __getitem__(self, name: str) -> Column:
        if name in self.parameters.colnames:
            return read_column(self.parameters, name)
        for node in (SHOWERS, TRIGGERS):
            if name in self._file.get_node(node).colnames:
                return read_column(self._file.get_node(node), name)[self.rows_of(node)]
        raise KeyError(name)

    def rows_of(self, node: str) -> np.ndarray:
        """Row of this table of events for each image; images without event get the last one."""
        if node not in self._rows:
            events = read_keys(self._file.get_node(node), EVENT_KEYS)
            self._rows[node] = find_rows(read_keys(self.parameters, EVENT_KEYS), events)
        return self._rows[node]

    def passing(self, criteria: Sequence[Sequence[str]]) -> np.ndarray:
        """Mask of the images that pass all cuts.

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
