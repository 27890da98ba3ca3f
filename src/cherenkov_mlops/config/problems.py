"""Mistakes of values: every error of the schema as one line for the user."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from cherenkov_mlops.config.model_section import BROKEN_OPTIONS
from cherenkov_mlops.config.words import Kind, fields_of, kind_at, kind_of_field, show
from cherenkov_mlops.config.yaml_text import Key
from cherenkov_mlops.registry import did_you_mean

_WORDS_FOR_BOOL = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def explain_errors(error: ValidationError, schema: type[BaseModel]) -> Iterator[tuple[Key, str]]:
    """(key, message) of each mistake; a key's alternatives are reported once."""
    seen: set[Key] = set()
    for details in error.errors(include_url=False):
        key = tuple(part for part in details["loc"] if part != "[key]")
        if key not in seen:
            seen.add(key)
            yield key, _explain(key, details["type"], details.get("input"), schema)


def _explain(key: Key, kind: str, value: Any, schema: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return _explain_unknown(key, schema)
    expected = kind_at(schema, key)
    words = expected.describe() if expected else "another value"
    if kind == "missing":
        return f"missing; expected {words}"
    return f"expected {words}, got {show(value)}{_advise(value, expected)}"


def _explain_unknown(key: Key, schema: type[BaseModel]) -> str:
    name = str(key[-1])
    if key[0] == "model" and name in BROKEN_OPTIONS:
        return "refused: CTLearn drops this layer and then rejects the data; leave it out"
    section = kind_at(schema, key[:-1])
    known = list(fields_of(section.section)) if section and section.section else []
    elsewhere = next(_find_option(name, schema), None)
    hint = f"did you mean '{elsewhere}'?" if elsewhere else did_you_mean(name, known)
    return f"unknown key; {hint}"


def _find_option(name: str, schema: type[BaseModel], above: str = "") -> Iterator[str]:
    """Dotted keys of the options called ``name``, in any section."""
    for key, info in fields_of(schema).items():
        if key == name:
            yield f"{above}{key}"
        section = kind_of_field(info).section
        if section:
            yield from _find_option(name, section, f"{above}{key}.")


def _advise(value: Any, expected: Kind | None) -> str:
    """What to write instead, where that can be guessed."""
    if expected is None:
        return ""
    if isinstance(value, str):
        return _advise_on_text(value, expected)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if expected.bounds.get("le", expected.bounds.get("lt", 0)) <= 1 < value <= 100 and (
        float in expected.options
    ):
        return f"; write {value / 100:g} for {value:g} %"
    return f"; write '{value}' in quotes" if str in expected.options else ""


def _advise_on_text(value: str, expected: Kind) -> str:
    if expected.choices:
        hint = did_you_mean(value, expected.choices)
        return f"; {hint}" if hint.startswith("did you mean") else ""
    if bool in expected.options and value.lower() in _WORDS_FOR_BOOL:
        return f"; write {_WORDS_FOR_BOOL[value.lower()]}"
    if {int, float} & set(expected.options) and _is_number(value):
        return f"; write {value.strip()} without quotes"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
