"""Tables that compute each derived column once, and take rows of it afterwards."""

import numpy as np

from cherenkov_mlops.metrics.table import EventTable, n_rows, per_event, remembered, take_rows

CALLS: list[int] = []


@per_event
def doubled(events):
    CALLS.append(len(events["x"]))
    return 2 * events["x"]


@remembered
def total(events, power):
    CALLS.append(len(events["x"]))
    return float(np.sum(events["x"] ** power))


def _table() -> EventTable:
    CALLS.clear()
    return EventTable({"x": np.arange(6.0)})


def test_a_derived_column_is_computed_once_and_taken_by_row():
    table = _table()
    part = take_rows(table, np.array([4, 1, 1]))
    again = take_rows(part, np.array([2, 0]))
    assert doubled(again).tolist() == [2, 8]
    assert doubled(part).tolist() == [8, 2, 2]
    assert doubled(table).tolist() == [0, 2, 4, 6, 8, 10]
    assert CALLS == [6]


def test_a_number_is_computed_once_for_each_table_and_option():
    table = _table()
    part = take_rows(table, np.array([1, 2]))
    assert [total(table, 1), total(table, 1), total(table, 2), total(part, 1)] == [15, 15, 55, 3]
    assert CALLS == [6, 6, 2]


def test_plain_dictionaries_are_computed_anew():
    CALLS.clear()
    events = {"x": np.array([1.0, 2.0])}
    assert doubled(events).tolist() == doubled(events).tolist() == [2, 4]
    assert total(events, 1) == 3
    assert CALLS == [2, 2, 2]


def test_a_table_has_the_columns_and_rows_it_was_made_of():
    table = _table()
    part = take_rows(table, np.array([5]))
    assert (n_rows(table), n_rows(part), n_rows({"x": np.zeros(2)}), n_rows({})) == (6, 1, 2, 0)
    assert list(part) == ["x"]
    assert "x" in part
    assert "y" not in part
    assert part["x"] is part["x"]
