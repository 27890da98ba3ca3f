"""Results of one run: what ``metrics.json`` holds, how it is written and read."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.run_dir import write_json_atomically
from cherenkov_mlops.tasks import TASKS

SCHEMA_VERSION = 1

#: Sections of numbers, where null in the file stands for NaN.
_NUMERIC_SECTIONS = ("metrics", "replicates", "figures", "training")


@dataclass
class Results:
    """All that a report or a comparison needs, as plain dictionaries.

    Parameters
    ----------
    run : dict
        ``name``, ``task``, ``mode``, ``created`` (ISO 8601), ``title``, ``seed``, ``classes``.
    config : dict
        Resolved configuration.
    config_changes : dict of str to list
        Dotted key -> [default, value] where the value is not the default.
    data : dict
        Numbers of events ``train``, ``validation``, ``test`` a class, after each of the ``cuts``,
        ``test_digest``, ``n_invalid``, ``files``.
    evaluation : dict
        Settings that the values depend on, from ``EvaluationSettings.dump``.
    facts : dict of str to float or None
        Numbers about the run and the model.
    metrics : dict of str to dict
        Name -> ``value``, ``low``, ``high``, ``n``.
    replicates : dict of str to list of float
        Name -> bootstrap values.
    figures : dict of str to dict
        Name -> arrays by name.
    training : dict
        ``history`` (column -> values), ``best_epoch``, ``attempts``.
    model : dict
        ``name``, ``summary``.
    provenance : dict
        Versions, host, code.
    examples : dict
        ``cameras`` and ``events``: images of some events (``data.examples.read_example_images``).
    """

    run: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    config_changes: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    replicates: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    examples: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _are_classes(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) for item in value.items() for name in item
    )


#: What a page cannot do without -> whether a value will do.
_RUN_KEYS: dict[str, Callable[[Any], bool]] = {
    "name": _is_text,
    "task": lambda value: _is_text(value) and value in TASKS,
    "created": _is_time,
    "classes": _are_classes,
}


def _describe_run_key(run: dict[str, Any], key: str) -> str:
    return f"run.{key} {run[key]!r}" if key in run else f"no run.{key}"


def plain_values(content: Any) -> Any:
    """The content in JSON's own types: arrays as lists, NaN and infinities as None."""
    if isinstance(content, Mapping):
        return {str(key): plain_values(value) for key, value in content.items()}
    if isinstance(content, np.ndarray | np.generic):
        return plain_values(content.tolist())
    if isinstance(content, list | tuple | set):
        return [plain_values(value) for value in content]
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, bool | int | str):
        return content
    return str(content)


def results_to_json(results: Results) -> dict[str, Any]:
    """The results in JSON's own types, ready for ``json.dumps``."""
    return plain_values(asdict(results))


def write_results(results: Results, path: Path) -> Path:
    """``path``, holding the results as JSON; written to a temporary name and renamed."""
    return write_json_atomically(path, results_to_json(results))


def read_results(path: Path) -> Results:
    """Results from a ``metrics.json``.

    Raises
    ------
    UserError
        If the file is missing, is not JSON, or is not of this schema.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: expected the results of a test, found no such file; "
            "run 'cherenkov-mlops test' on its configuration first"
        )
    return results_from_json(path.read_text(encoding="utf-8"), str(path))


def results_from_json(text: str, source: str) -> Results:
    """Results from the text of a ``metrics.json``; ``source`` names it in errors."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{source}:{error.lineno}: expected JSON, {error.msg}") from error
    _check_schema(content, source)
    known = {item.name for item in fields(Results)}
    sections = {name: value for name, value in content.items() if name in known}
    for name in _NUMERIC_SECTIONS:
        sections[name] = _null_to_nan(sections.get(name, {}))
    return Results(**sections)


def _check_schema(content: Any, source: str) -> None:
    if not isinstance(content, dict) or not isinstance(content.get("run"), dict):
        raise UserError(f"{source}: expected results with a section 'run'; write them with 'test'")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{source}: expected schema_version {SCHEMA_VERSION}, got {version!r}; "
            "run 'cherenkov-mlops test --force' to write it again"
        )
    odd = [key for key, accept in _RUN_KEYS.items() if not accept(content["run"].get(key))]
    wrong = [
        item.name
        for item in fields(Results)
        if item.name != "schema_version" and not isinstance(content.get(item.name, {}), dict)
    ]
    if odd or wrong:
        found = [_describe_run_key(content["run"], key) for key in odd]
        found += [f"'{name}' not a table" for name in wrong]
        raise UserError(f"{source}: expected complete results, got {', '.join(found)}")


def _null_to_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _null_to_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_null_to_nan(value) for value in content]
    return math.nan if content is None else content
