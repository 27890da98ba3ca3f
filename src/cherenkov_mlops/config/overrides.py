"""Overrides from the command line, ``-o dotted.key=value``."""

from pathlib import Path
from typing import Any

from cherenkov_mlops.config.files import merge
from cherenkov_mlops.config.yaml_text import Document, Key, Place, Problem, dotted, read_yaml

# Behind the places of all files.
_RANK = 1_000_000


def apply_override(document: Document, override: str, number: int = 0) -> Document:
    """``document`` with one option changed, or with one more mistake.

    Parameters
    ----------
    document : Document
        Values so far.
    override : str
        ``dotted.key=value``, the value as in YAML; relative paths start in the current folder.
    number : int
        Position on the command line.
    """
    name, equals, text = override.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    place = Place(_RANK + number, 0, 0, f"-o {name.strip()}", Path.cwd())
    if not equals or not all(key):
        return _complain(document, place, "expected key=value, such as train.n_epochs=5")
    blocked = _find_value_above(document.values, key)
    if blocked:
        return _complain(document, place, f"'{blocked}' is a value, not a section")
    given = read_yaml(text, place, key)
    for part in reversed(key):
        given.values = {part: given.values}
    return merge(document, given)


def _complain(document: Document, place: Place, message: str) -> Document:
    return merge(document, Document({}, {}, [Problem(place, "", message)]))


def _find_value_above(values: Any, key: Key) -> str:
    """The key above ``key`` that holds a plain value, so that nothing can stand below it."""
    for depth, part in enumerate(key):
        if values is None:
            return ""
        if not isinstance(values, dict):
            return dotted(key[:depth])
        values = values.get(part)
    return ""
