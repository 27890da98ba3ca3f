"""The event table as plain arrays, with the columns that a task's metrics need."""

from collections.abc import Mapping, Sequence

import numpy as np

from cherenkov_mlops.errors import DataError
from cherenkov_mlops.metrics.table import EventTable
from cherenkov_mlops.tasks import task_of_kind

#: Columns that are used where the table has them.
OPTIONAL_COLUMNS = ("pointing_alt", "pointing_az", "signal")
#: From the last key to the first.
_ROW_ORDER = ("tel_id", "event_id", "obs_id", "signal")
_SHOWER_KEYS = ("signal", "obs_id", "event_id")


def extract_events(table: Mapping[str, Sequence], kind: str) -> EventTable:
    """Take the columns that metrics of this kind read, as arrays in an order of their own.

    Rows are sorted by class, ``obs_id``, ``event_id`` and ``tel_id`` where the table has these, so
    that row ``i`` is the same event in every run on the same test files. Added are ``shower``, the
    number of the shower that a row belongs to (telescope images of one shower share it), and what
    `Task.derive` adds. What this function returned before is returned as it is.

    Parameters
    ----------
    table : pandas.DataFrame or mapping of str to array
        One row an event.
    kind : str
        Kind of a task.

    Raises
    ------
    DataError
        A column is missing or holds a value that is not finite, where `Task.may_be_nan` does not
        allow it.
    """
    if isinstance(table, EventTable):
        return table
    task = task_of_kind(kind)
    names = [*task.required, *(name for name in OPTIONAL_COLUMNS if name in table)]
    events = {name: _column(table, name) for name in dict.fromkeys(names)}
    for name, values in events.items():
        bad = ~np.isfinite(values)
        exempt = task.may_be_nan(name, events)
        if exempt is not None:
            bad &= ~(exempt & np.isnan(values))
        n_bad = int(np.count_nonzero(bad))
        if n_bad:
            raise DataError(
                f"event table: {n_bad} of {len(values)} values of '{name}' are not finite; "
                "the training may have diverged: look at its loss, or lower the learning rate"
            )
    keys = [np.asarray(table[name]) for name in _ROW_ORDER if name in table]
    order = np.lexsort(keys) if keys else np.arange(len(events[names[0]]))
    events = {name: column[order] for name, column in events.items()}
    events["shower"] = _shower_numbers(table, order)
    return EventTable(task.derive(events))


def _column(table: Mapping[str, Sequence], name: str) -> np.ndarray:
    if name not in table:
        raise DataError(f"event table: expected a column '{name}', got {', '.join(table)}")
    return np.asarray(table[name], dtype=bool if name == "signal" else float)


def _shower_numbers(table: Mapping[str, Sequence], order: np.ndarray) -> np.ndarray:
    """Ascending from zero; each row is a shower of its own where the table names none."""
    if "event_id" not in table:
        return np.arange(len(order))
    begins = np.zeros(len(order), dtype=bool)
    for name in _SHOWER_KEYS:
        if name in table:
            key = np.asarray(table[name])[order]
            begins[1:] |= key[1:] != key[:-1]
    return np.cumsum(begins)
