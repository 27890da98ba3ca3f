"""The event table that metrics see."""

import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.errors import DataError
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.tasks import task_of_kind
from synthetic import KIND_TASKS, make_events


@pytest.mark.parametrize("kind", KIND_TASKS)
def test_rows_come_in_the_same_order_whatever_the_order_of_the_table(kind):
    table = pd.DataFrame(make_events(200))
    shuffled = table.sample(frac=1, random_state=4)
    first, second = extract_events(table, kind), extract_events(shuffled, kind)
    for name, column in first.items():
        np.testing.assert_array_equal(column, second[name], err_msg=name)


@pytest.mark.parametrize("kind", KIND_TASKS)
def test_a_missing_column_is_named(kind):
    for name in task_of_kind(kind).required:
        table = make_events(5)
        del table[name]
        with pytest.raises(DataError, match=f"expected a column '{name}'"):
            extract_events(table, kind)


def test_predictions_that_are_not_finite_are_counted_and_refused():
    table = make_events(5)
    table["gh_score"][1:3] = np.nan
    with pytest.raises(DataError, match="2 of 5 values of 'gh_score' are not finite"):
        extract_events(table, "type")


def test_rounding_beyond_one_is_clipped_but_a_score_of_another_scale_is_refused():
    table = make_events(3) | {"gh_score": np.array([1 + 1e-7, 0.5, -1e-7])}
    assert sorted(extract_events(table, "type")["gh_score"]) == [0, 0.5, 1]
    with pytest.raises(DataError, match="between 0 and 1, 1 values"):
        extract_events(table | {"gh_score": np.array([0.1, 0.5, 3.0])}, "type")
