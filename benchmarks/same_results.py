"""Whether two demo folders hold the same results, bit by bit.

``python benchmarks/same_results.py OLD NEW`` compares all runs that lie in ``runs/`` of both: every
column of every table of predictions and of triggered events in the DL2 files, and every value,
interval, replicate, array and fact of ``metrics.json``, of whatever schema. Times, dates and hosts
are left out by name. Differences are printed; the last line is ``RESULT runs=5 dl2_differences=0
value_differences=0``, and the exit status is 1 if there are any.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tables

#: Groups of a DL2 file that are compared.
GROUPS = ("/dl2", "/dl1/event")
#: Keys whose values say when and where, not what.
LEFT_OUT = {
    "started",
    "ended",
    "created",
    "host",
    "seconds",
    "events_per_s",
    "dir",
    "training_time_s",
    "testing_time_s",
    "reading_time_ms",
    "network_time_ms",
    "latency_ms",
    "throughput_hz",
    "peak_memory_mb",
    "engine_difference",
}
#: Sections that are compared: the others are texts, paths and versions.
SECTIONS = ("metrics", "replicates", "figures", "facts", "evaluation", "data", "training")
#: What stands elsewhere in schema 2: section of a task -> place in schema 1.
MOVED = {
    "metrics": "metrics",
    "replicates": "replicates",
    "figures": "figures",
    "examples": "examples",
    "test": "data.test",
    "n_invalid": "data.n_invalid",
    "test_digest": "data.test_digest",
    "predictions": "data.predictions",
}


def main() -> int:
    """Compare, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    runs = sorted(path.parent.name for path in options.old.glob("runs/*/metrics.json"))
    n_dl2 = n_values = 0
    for name in runs:
        old, new = options.old / "runs" / name, options.new / "runs" / name
        for difference in compare_dl2(old, new):
            n_dl2 += 1
            print(f"{name}: {difference}")
        for difference in compare_values(old, new):
            n_values += 1
            print(f"{name}: {difference}")
    print(f"RESULT runs={len(runs)} dl2_differences={n_dl2} value_differences={n_values}")
    return int(n_dl2 + n_values > 0 or not runs)


def compare_dl2(old: Path, new: Path) -> Iterator[str]:
    """Name tables and columns of the DL2 files of two runs that differ."""
    files = [
        {path.name: path for kind in ("test", "predict") for path in run.glob(f"{kind}/*.dl2.h5")}
        for run in (old, new)
    ]
    for name in sorted(files[0].keys() | files[1].keys()):
        if name not in files[0] or name not in files[1]:
            yield f"{name}: only in the {'new' if name in files[1] else 'old'} run"
            continue
        with tables.open_file(files[0][name]) as one, tables.open_file(files[1][name]) as other:
            found = [find_tables(file) for file in (one, other)]
            for path in sorted(found[0].keys() | found[1].keys()):
                if path not in found[0] or path not in found[1]:
                    yield f"{name}: {path}: only in one of them"
                    continue
                yield from (
                    f"{name}: {path}: {text}" for text in unlike(found[0][path], found[1][path])
                )


def find_tables(file: tables.File) -> dict[str, tables.Table]:
    """Path -> table, for all tables in the groups that are compared."""
    return {
        node._v_pathname: node
        for group in GROUPS
        if group in file
        for node in file.walk_nodes(group, "Table")
    }


def unlike(one: tables.Table, other: tables.Table) -> Iterator[str]:
    """Name the columns that differ in name, type or any bit."""
    if one.colnames != other.colnames or len(one) != len(other):
        yield f"{len(one)} x {one.colnames} and {len(other)} x {other.colnames}"
        return
    rows = one.read(), other.read()
    for name in one.colnames:
        first, second = (np.ascontiguousarray(table[name]) for table in rows)
        if first.dtype != second.dtype or first.tobytes() != second.tobytes():
            n = int((first != second).reshape(len(first), -1).any(axis=1).sum())
            yield f"{name}: {n} of {len(first)} rows differ"


def compare_values(old: Path, new: Path) -> Iterator[str]:
    """Name values of ``metrics.json`` that differ, are gone or have come."""
    one, other = (read_values(run / "metrics.json") for run in (old, new))
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key, "nothing"), other.get(key, "nothing")
        # As text: 1 and 1.0 are the same number, NaN is null in both.
        if first != second:
            yield f"{key}: {str(first)[:60]} and {str(second)[:60]}"


def read_values(path: Path) -> dict[str, Any]:
    """Dotted key -> value, in the places of schema 1; several tasks have a prefix each."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    parts = [(name, content.get(name, {})) for name in SECTIONS]
    if content.get("schema_version") == 1:
        parts.append(("examples", content.get("examples", {})))
    tasks = content.get("tasks", {})
    for name, task in tasks.items():
        prefix = f"{name}." if len(tasks) > 1 else ""
        parts += [(prefix + MOVED[key], part) for key, part in task.items() if key in MOVED]
    leaves: dict[str, Any] = {}
    for name, part in parts:
        leaves |= dict(flatten(part, name))
    return leaves


def flatten(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of all leaves that are compared."""
    if name.rpartition(".")[2] in LEFT_OUT:
        return
    if isinstance(content, dict):
        for key, value in content.items():
            yield from flatten(value, f"{name}.{key}")
    elif isinstance(content, list) and any(isinstance(value, dict) for value in content):
        for place, value in enumerate(content):
            yield from flatten(value, f"{name}.{place}")
    elif content not in (None, [], {}, 0):
        # What is empty may be left out, as what an older version did not know.
        yield name, content


if __name__ == "__main__":
    sys.exit(main())
