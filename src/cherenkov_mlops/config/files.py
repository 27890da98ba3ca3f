"""Configuration files: reading, ``extends``, and paths that stand in them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cherenkov_mlops.config.schema import RunConfig, name_tasks
from cherenkov_mlops.config.words import find_paths, show
from cherenkov_mlops.config.yaml_text import Document, Key, Place, Problem, read_yaml

#: Keys of the list of tasks and of its short form.
_TASKS = (("task",), ("tasks",))


def read_files(path: Path, above: tuple[Path, ...] = ()) -> Document:
    """Read the values of a YAML file over those of the files that it extends.

    Parameters
    ----------
    path : pathlib.Path
        File to read.
    above : tuple of pathlib.Path
        Files that led here by ``extends``, absolute.
    """
    document = read_file(path, rank=len(above))
    if document.values is None or "extends" not in document.values:
        return document
    base = document.values.pop("extends")
    seen = (*above, path.resolve())
    found = path.parent / expand(base) if isinstance(base, str) else path.parent
    if found.is_file() and found.resolve() not in seen:
        return merge(read_files(found, seen), document)
    message = f"expected the path of a YAML file, got {show(base)}"
    if isinstance(base, str):
        circle = found.resolve() in seen
        message = f"'{base}' extends itself in a circle" if circle else f"no such file: {found}"
    problem = Problem(document.places[("extends",)], "extends", message)
    return merge(Document(None, {}, [problem]), document)


def read_file(path: Path, rank: int = 0) -> Document:
    """Read the values of one YAML file alone; None, and a problem, if it does not hold sections."""
    whole = Place(rank, 0, 0, str(path), path.absolute().parent)
    text, trouble = _read_text(path)
    document = read_yaml(text, replace(whole, line=1, column=1))
    document.places[()] = whole
    if isinstance(document.values, dict):
        return document
    if not trouble and document.values is None:
        trouble = "the file is empty; `cherenkov-mlops init` writes one to start from"
    elif not trouble:
        trouble = f"expected sections such as 'run:', got {show(document.values)}"
    return Document(None, document.places, document.problems or [Problem(whole, "", trouble)])


def _read_text(path: Path) -> tuple[str, str]:
    """Text of a file, and what is wrong with it."""
    try:
        return path.read_bytes().decode("utf-8-sig"), ""
    except FileNotFoundError:
        return "", "no such file"
    except IsADirectoryError:
        return "", "expected a YAML file, got a folder"
    except UnicodeDecodeError:
        return "", "expected text in UTF-8, got another encoding or a binary file"
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"


def merge(base: Document, upper: Document) -> Document:
    """Lay ``upper`` over ``base``: sections key by key, lists and values as a whole.

    The values are None where those of ``base`` could not be read.
    """
    settle_tasks(base)
    settle_tasks(upper)
    below = dict(base.places)
    if ("tasks",) in upper.places:
        below = {key: place for key, place in below.items() if key[:1] not in _TASKS}
    values = None if base.values is None else _merge_values(base.values, upper.values)
    return Document(values, below | upper.places, base.problems + upper.problems)


def settle_tasks(document: Document) -> None:
    """Write ``task: x`` and ``tasks: x`` as the list that they are short for.

    The place of ``task`` is that of both then, and a sign that messages have to name it so.
    """
    values, places = document.values, document.places
    if not isinstance(values, dict):
        return
    for spelling in _TASKS:
        # An override such as tasks.x=1 has a place below it only.
        found = next((place for key, place in places.items() if key[:1] == spelling), None)
        if found is not None:
            places.setdefault(spelling, found)
    if "task" in values and "tasks" in values:
        message = "stands beside tasks; write one of them"
        document.problems.append(Problem(places.pop(("task",)), "task", message))
        document.values = {key: value for key, value in values.items() if key != "task"}
    elif "task" in values:
        document.values = name_tasks(values)
        places[("tasks",)] = places[("tasks", 0)] = places[("task",)]
    elif isinstance(values.get("tasks"), str):
        document.values = values | {"tasks": [values["tasks"]]}
        places[("tasks", 0)] = places[("tasks",)]


def _merge_values(base: Any, upper: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(upper, dict)):
        return upper
    return base | {key: _merge_values(base.get(key), value) for key, value in upper.items()}


def expand(path: str) -> str:
    """Replace ``~`` and ``$VARIABLE`` in a path."""
    return os.path.expandvars(os.path.expanduser(path))


def resolve_paths(document: Document, schema: type[BaseModel] = RunConfig) -> None:
    """Make every path of a document absolute, against the folder of the file that holds it."""
    for key in find_paths(schema):
        section = value_at(document.values, key[:-1])
        if isinstance(section, dict) and key[-1] in section:
            section[key[-1]] = _resolve(document, key, section[key[-1]])


def _resolve(document: Document, key: Key, value: Any) -> Any:
    if isinstance(value, list):
        return [_resolve(document, (*key, number), item) for number, item in enumerate(value)]
    if not isinstance(value, str) or not value:
        return value
    return os.path.normpath(place_of(document, key).folder / expand(value))


def place_of(document: Document, key: Key) -> Place:
    """Find the place of ``key``, or of the nearest section above it."""
    while key not in document.places:
        key = key[:-1]
    return document.places[key]


def value_at(values: Any, key: Key, default: Any = None) -> Any:
    """Look up the value at ``key`` of nested sections and lists, or ``default``."""
    for part in key:
        if not isinstance(values, dict) or part not in values:
            return default
        values = values[part]
    return values
