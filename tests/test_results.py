"""Reading and writing of ``metrics.json``."""

import json
import math
import re

import numpy as np
import pytest

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.results import (
    plain_values,
    read_results,
    results_from_json,
    results_to_json,
    write_results,
)
from synthetic import TASKS, as_version_1, make_results, only_task


@pytest.mark.parametrize("task", TASKS)
def test_results_survive_writing_and_reading(tmp_path, task):
    results = make_results(task, n_events=60)
    first = write_results(results, tmp_path / "metrics.json")
    again = write_results(read_results(first), tmp_path / "again.json")
    assert first.read_bytes() == again.read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again.json", "metrics.json"]


def test_nan_is_null_in_the_file_and_nan_again_when_read(tmp_path):
    results = make_results(n_events=20)
    task = only_task(results)
    task.metrics["auc"].value = float("nan")
    task.replicates["auc"] = [0.5, math.inf]
    results.facts["network_time_ms"] = None
    text = write_results(results, tmp_path / "metrics.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    back = read_results(tmp_path / "metrics.json")
    assert math.isnan(only_task(back).value("auc"))
    assert math.isnan(only_task(back).replicates["auc"][1])
    # Not a number that was measured: what was not recorded stays None.
    assert back.facts["network_time_ms"] is None


def test_numpy_types_and_paths_become_plain(tmp_path):
    plain = plain_values({"a": np.float32(0.5), "b": np.arange(2), "c": (tmp_path, True), 1: None})
    assert plain == {"a": 0.5, "b": [0, 1], "c": [str(tmp_path), True], "1": None}


def _with_run(**changes) -> str:
    run = {"name": "x", "task": "type", "created": "2026-01-02T03:04:05", "classes": {}}
    return json.dumps({"run": run | changes, "schema_version": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected results with a section 'run'"),
        (json.dumps({"run": {}, "schema_version": 99}), "expected schema_version 2, got 99"),
        (json.dumps({"run": {"name": "x"}, "schema_version": 1}), "no run.tasks"),
        (
            json.dumps(
                {
                    "run": {
                        "name": "x",
                        "task": "type",
                        "created": "2026-01-02T03:04:05",
                        "classes": {},
                    },
                    "schema_version": 1,
                    "metrics": [],
                }
            ),
            "'metrics' not a table",
        ),
        (_with_run(task="spectrum"), "run.tasks ['spectrum']"),
        (_with_run(created="yesterday"), "run.created 'yesterday'"),
        (_with_run(name=None), "run.name None"),
        (_with_run(classes=["gamma"]), "run.classes"),
    ],
)
def test_a_file_that_is_not_results_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_results(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_names_the_command_to_run(tmp_path):
    with pytest.raises(UserError, match="run 'cherenkov-mlops test'"):
        read_results(tmp_path / "metrics.json")


def test_unknown_sections_of_a_later_version_are_left_out(tmp_path):
    path = tmp_path / "metrics.json"
    run = {"name": "x", "task": "type", "created": "2026-01-02T03:04:05", "classes": {}}
    path.write_text(json.dumps({"run": run, "schema_version": 1, "later": {}}))
    results = read_results(path)
    assert results.run.tasks == list(results.tasks) == ["type"]
    assert "later" not in results_to_json(results)


@pytest.mark.parametrize("task", TASKS)
def test_results_of_version_1_are_those_of_one_task(task):
    results = make_results(task, n_events=60)
    old = json.dumps(as_version_1(results))
    read = results_from_json(old, "metrics.json")
    assert results_to_json(read) == results_to_json(results)
    assert read.gaps == []


def test_results_of_several_tasks_survive(tmp_path):
    results = make_results(("type", "energy"), n_events=60)
    back = read_results(write_results(results, tmp_path / "metrics.json"))
    assert list(back.tasks) == ["type", "energy"]
    assert "auc" in back.tasks["type"].metrics
    assert "mdae" not in back.tasks["type"].metrics
    assert back.stored("auc").n == 60
    assert back.stored("mmacs").value == 256.1
    assert back.stored("nothing") is None
