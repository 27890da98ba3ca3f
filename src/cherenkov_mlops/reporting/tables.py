"""Numbers as text, and nested or ragged contents as flat tables."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

import numpy as np

MISSING = "–"
#: What may stand as it is in the address of a file: numbers stay as short as they are.
_SAFE = ",.;:()[]+-=/|"


def format_number(value: float | None, digits: int = 4) -> str:
    """The number with this many significant digits; a dash for None and NaN."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}g}"
    # Trailing zeros stay: they say how precise the number is.
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{decimals}f}"


def format_measured(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """Value and interval as text, to the second digit of the interval's half width."""
    known = [item for item in (value, low, high) if item is not None and math.isfinite(item)]
    if len(known) < 3 or not high > low:
        return format_number(value), ""
    decimals = 1 - math.floor(math.log10((high - low) / 2))
    if not 0 <= decimals <= 8:
        return format_number(value), f"{format_number(low)} to {format_number(high)}"
    return f"{value:.{decimals}f}", f"{low:.{decimals}f} to {high:.{decimals}f}"


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value of all leaves; an empty mapping is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{name}.")
        else:
            leaves[name] = value
    return leaves


def format_value(value: Any) -> str:
    """Any configured or recorded value as one line."""
    if value is None or value == {} or value == []:
        return MISSING
    if isinstance(value, list | tuple):
        return ", ".join(format_value(item) for item in value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {format_value(item)}" for key, item in value.items()) + "}"
    return str(value)


def differing_keys(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Dotted key -> value in each configuration, for the keys whose values are not all equal."""
    flat = [flatten(config) for config in configs]
    keys = dict.fromkeys(key for leaves in flat for key in leaves)
    rows = {key: [format_value(leaves.get(key)) for leaves in flat] for key in keys}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def figure_table(
    runs: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a figure's arrays, one run below the other.

    Lists are columns, matrices one column for each of their columns, single values are repeated.
    """
    header: list[str] = []
    rows: list[list[str]] = []
    for label, arrays in runs:
        columns = _columns(arrays)
        lists = [values for values in columns.values() if isinstance(values, list)]
        n_rows = max((len(values) for values in lists), default=1)
        filled = [
            values if isinstance(values, list) else [values] * n_rows for values in columns.values()
        ]
        header = header or ["run", *columns]
        rows += [[label, *map(_cell, row)] for row in zip_longest(*filled)]
    return header, rows


def csv_link(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A ``data:`` address that holds the table as CSV."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return "data:text/csv;charset=utf-8," + quote(stream.getvalue(), safe=_SAFE)


def _columns(arrays: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, values in flatten(arrays).items():
        if isinstance(values, list) and values and isinstance(values[0], list):
            columns |= {
                f"{name}[{index}]": column
                for index, column in enumerate(np.transpose(values).tolist())
            }
        else:
            columns[name] = values
    return columns


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
