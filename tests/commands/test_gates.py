"""Bounds on metrics: read, checked, and failed with one line."""

import math

import pytest

from cherenkov_mlops.commands.gates import Gate, check_gates, parse_gates
from cherenkov_mlops.errors import QualityError, UserError
from cherenkov_mlops.results import Results

ENTRIES = {
    "auc": {"value": 0.91, "low": 0.9, "high": 0.92, "n": 100},
    "log_loss": {"value": 0.4, "low": 0.38, "high": 0.42, "n": 100},
    "accuracy": {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0},
    "training_time_s": {"value": 90.0, "low": None, "high": None, "n": None},
}
COST = ENTRIES.pop("training_time_s")
RESULTS = Results(
    run={"name": "study", "tasks": ["type"], "created": "", "classes": {}},
    metrics={"training_time_s": COST},
    tasks={"type": {"metrics": ENTRIES}},
)


def _check(under: list[str], over: list[str]) -> None:
    check_gates(RESULTS, parse_gates(under, over))


def test_gates_are_read_from_the_command_line():
    gates = parse_gates(["auc=0.9", " accuracy = .8 "], ["log_loss=5e-1"])
    assert gates == [
        Gate("auc", "under", 0.9),
        Gate("accuracy", "under", 0.8),
        Gate("log_loss", "over", 0.5),
    ]


@pytest.mark.parametrize(
    ("under", "over"),
    [([], []), (["auc=0.9"], ["log_loss=0.5"]), (["auc=0.91"], ["log_loss=0.4"])],
)
def test_values_on_the_good_side_pass_and_so_does_the_bound_itself(under, over):
    _check(under, over)


def test_each_failed_gate_is_named_with_value_interval_and_bound():
    with pytest.raises(QualityError) as caught:
        _check(["auc=0.95"], ["log_loss=0.3", "training_time_s=60"])
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("study: quality gate not passed: ")
    assert "auc = 0.91 (68 %: 0.9 to 0.92), under 0.95" in message
    assert "log_loss = 0.4 (68 %: 0.38 to 0.42), over 0.3" in message
    assert "training_time_s = 90, over 60 s" in message


def test_only_failed_gates_are_named():
    with pytest.raises(QualityError) as caught:
        _check(["auc=0.9"], ["log_loss=0.3"])
    assert "auc" not in str(caught.value)


@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_a_metric_without_value_does_not_pass(name):
    with pytest.raises(QualityError, match=f"{name} has no value, must not be under 0.1"):
        _check([f"{name}=0.1"], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auk=0.9", "unknown metric 'auk'; did you mean 'auc'"),
        ("auc", "expected NAME=BOUND"),
        ("auc=high", "expected a number after '=', got 'high'"),
        ("auc=nan", "expected a number after '=', got 'nan'"),
        ("auc=", "expected a number after '=', got ''"),
        ("mdae=0.3", "a run of task 'type' has no such metric"),
    ],
)
def test_a_mistake_in_a_gate_is_the_users_and_says_which(text, message):
    with pytest.raises(UserError, match=message) as caught:
        _check([text], [])
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"--fail-under {text}")
