"""Columns of equal length, where what was computed from them is computed only once."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import numpy as np

#: Columns of equal length, by name: an `EventTable`, or a plain dictionary of arrays.
type Events = Mapping[str, np.ndarray]


class EventTable(Mapping[str, np.ndarray]):
    """Columns of events, or of some rows of another table.

    A column is taken from the other table when it is first asked for. Results of functions marked
    with `per_event` or `remembered` are kept, so that many metrics share one sorting.

    Parameters
    ----------
    columns : mapping of str to numpy.ndarray
        The columns, or the other table.
    rows : numpy.ndarray of int, optional
        Numbers of the rows to take; all if not given.
    """

    def __init__(self, columns: Events, rows: np.ndarray | None = None):
        self.columns = columns
        self.rows = rows
        self.memory: dict[Any, Any] = {}

    @property
    def n_rows(self) -> int:
        """Number of events."""
        return n_rows(self.columns) if self.rows is None else len(self.rows)

    def __getitem__(self, name: str) -> np.ndarray:
        if self.rows is None:
            return self.columns[name]
        return _recall(self, name, lambda: self.columns[name][self.rows])

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns


def n_rows(events: Events) -> int:
    """Number of events."""
    if isinstance(events, EventTable):
        return events.n_rows
    return len(next(iter(events.values()))) if events else 0


def take_rows(events: Events, rows: np.ndarray) -> EventTable:
    """Take the events with these row numbers, in this order."""
    return EventTable(events, rows)


def per_event(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The function, whose value is one number an event that depends on that event alone.

    Of rows taken from another table, the values are taken from those of the other table.
    """

    @wraps(function)
    def column(events: Events, *options: Any) -> np.ndarray:
        # A plain dictionary may be changed by its owner: nothing is kept for it.
        if not isinstance(events, EventTable):
            return function(events, *options)
        if events.rows is None:
            return _recall(events, (function, options), lambda: function(events, *options))
        return _recall(
            events, (function, options), lambda: column(events.columns, *options)[events.rows]
        )

    return column


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of events, that is called once for each table and each set of options."""

    @wraps(function)
    def recalled(events: Events, *options: Any) -> Any:
        if not isinstance(events, EventTable):
            return function(events, *options)
        return _recall(events, (function, options), lambda: function(events, *options))

    return recalled


def _recall(events: EventTable, key: Any, compute: Callable[[], Any]) -> Any:
    if key not in events.memory:
        events.memory[key] = compute()
    return events.memory[key]
