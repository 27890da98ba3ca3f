"""Results to compare: read from run folders, ``metrics.json`` or reports, and checked."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.results import Results, TaskResults, read_results, results_from_json
from cherenkov_mlops.run_dir import RunDir

#: Element of a report that holds its ``metrics.json``.
EMBEDDED_ID = "results"
_EMBEDDED = re.compile(rf'<script type="application/json" id="{EMBEDDED_ID}">(.*?)</script>', re.S)
#: Settings that may differ between runs without changing what a value means.
_HARMLESS_SETTINGS = {"n_bootstrap", "classes"}


def load_results(path: Path) -> Results:
    """Results in a run folder, a ``metrics.json`` or the HTML file of a report."""
    if path.is_dir():
        return read_results(RunDir(path).metrics)
    if path.suffix.lower() in (".html", ".htm") and path.is_file():
        return _read_report(path)
    return read_results(path)


def _read_report(path: Path) -> Results:
    found = _EMBEDDED.search(path.read_text(encoding="utf-8"))
    if not found:
        raise UserError(
            f"{path}: expected a report with its results inside, found none; "
            "give the run folder or its metrics.json"
        )
    return results_from_json(found.group(1), str(path))


def load_runs(paths: Sequence[Path]) -> list[Results]:
    """Read the results of each path; raise UserError if there is none."""
    if not paths:
        raise UserError("compare: expected run folders or metrics.json files, got none")
    return [load_results(Path(path)) for path in paths]


def find_baseline(labels: Sequence[str], baseline: str | None) -> int | None:
    """Place of the run of this name, None if none is asked for; ``UserError`` if unknown."""
    if baseline is None:
        return None
    if baseline not in labels:
        raise UserError(
            f"compare: no run '{baseline}' to take as baseline; "
            f"{did_you_mean(baseline, list(labels))}"
        )
    return list(labels).index(baseline)


def unique_labels(runs: Sequence[Results]) -> list[str]:
    """Name of each run, numbered where several runs have the same."""
    names = [str(run.run.name) for run in runs]
    total, seen, labels = Counter(names), Counter(), []
    for name in names:
        seen[name] += 1
        labels.append(name if total[name] == 1 else f"{name} ({seen[name]})")
    return labels


def find_obstacles(runs: Sequence[Results]) -> list[str]:
    """List why the values of these runs do not measure the same thing; empty if they do.

    Runs are compared task by task: those that both have must have been tested alike, and there
    must be one.
    """
    first, obstacles = runs[0], []
    for run in runs[1:]:
        pair = f"'{first.run.name}' and '{run.run.name}'"
        obstacles += [
            f"{pair} differ in {what}: {_shorten(old)} and {_shorten(new)}"
            for what, old, new in _conditions(first, run)
            if old != new
        ]
    return obstacles


def refuse_obstacles(obstacles: Sequence[str]) -> None:
    """Raise UserError with one line if there are reasons not to rank the runs."""
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        raise UserError(
            f"compare: {obstacles[0]}{more}; test them alike, "
            "or write --allow-different-data to see them side by side without ranks"
        )


def _conditions(first: Results, second: Results) -> Iterator[tuple[str, Any, Any]]:
    shared = [name for name in first.tasks if name in second.tasks]
    if not shared:
        yield ("the task", ", ".join(first.tasks), ", ".join(second.tasks))
    for name in shared:
        tested, other = first.tasks[name], second.tasks[name]
        yield ("the test files", tested.test_digest, other.test_digest)
    settings, others = (run.evaluation.model_dump() for run in (first, second))
    for name in sorted((settings.keys() | others.keys()) - _HARMLESS_SETTINGS):
        yield (f"the setting {name}", settings.get(name), others.get(name))
    for name in shared:
        tested, other = first.tasks[name], second.tasks[name]
        yield ("the number of tested events", _n_tested(tested), _n_tested(other))


def _n_tested(task: TaskResults) -> int | None:
    return max((entry.n for entry in task.metrics.values() if entry.n is not None), default=None)


def _shorten(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"{len(value)} values from {value[0]:g} to {value[-1]:g}" if value else "none"
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "…"
