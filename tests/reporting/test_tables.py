"""Numbers as text, flat tables, CSV."""

import math
from urllib.parse import unquote

import pytest

from cherenkov_mlops.reporting.tables import (
    csv_link,
    differing_keys,
    figure_table,
    flatten,
    format_measured,
    format_number,
    format_value,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (123456.7, "123,457"),
        (0.91234567, "0.9123"),
        (0.5, "0.5000"),
        (-12.3456, "-12.35"),
        (0.00001234, "1.23e-05"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("measured", "texts"),
    [
        ((0.97041, 0.9693, 0.9713), ("0.9704", "0.9693 to 0.9713")),
        ((29.68596, 29.09, 30.07), ("29.69", "29.09 to 30.07")),
        ((0.5, None, None), ("0.5000", "")),
        ((math.nan, math.nan, math.nan), ("–", "")),
        ((0.0, 0.0, 0.0), ("0", "")),
        ((4321.5, 4000.0, 5000.0), ("4322", "4,000 to 5,000")),
    ],
)
def test_a_measured_value_has_two_digits_of_its_uncertainty(measured, texts):
    assert format_measured(*measured) == texts


def test_nested_keys_become_dotted_and_empty_tables_stay():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
    assert format_value([["x", 1], None]) == "x, 1, –"
    assert format_value([{"filters": 16, "sizes": [3, 5]}]) == "{filters: 16, sizes: 3, 5}"


def test_only_differing_keys_are_listed_with_a_dash_where_one_is_missing():
    rows = differing_keys([{"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3, "d": 4}}])
    assert rows == {"b.c": ["2", "3"], "b.d": ["–", "4"]}


def test_arrays_of_a_figure_become_one_table():
    runs = [("first", {"x": [1.0, 2.5], "m": [[1, 2], [3, 4]], "auc": 0.5}), ("b", {"x": [None]})]
    header, rows = figure_table(runs)
    assert header == ["run", "x", "m[0]", "m[1]", "auc"]
    assert rows[:2] == [["first", "1", "1", "2", "0.5"], ["first", "2.5", "3", "4", "0.5"]]
    assert rows[2] == ["b", ""]


def test_the_csv_link_holds_the_table():
    kind, content = csv_link(["a", "b"], [["1", "x,y & z"]]).split(",", 1)
    assert kind == "data:text/csv;charset=utf-8"
    assert unquote(content) == 'a,b\n1,"x,y & z"\n'
    assert not set(content) & set('"<>& \n#')
