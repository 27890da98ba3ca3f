"""Mistakes of values: every error of the schema as one line for the user."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cherenkov_mlops.config.model_section import BROKEN_OPTIONS
from cherenkov_mlops.config.train_section import GONE_OPTIONS
from cherenkov_mlops.config.words import Kind, fields_of, kind_at, kind_of, kind_of_field, show
from cherenkov_mlops.config.yaml_text import Key
from cherenkov_mlops.registry import did_you_mean

# Pydantic's mark for a mistake in a key instead of in its value.
_KEY_ITSELF = "[key]"
_WORDS_FOR_BOOL = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def explain_errors(error: ValidationError, schema: type[BaseModel]) -> Iterator[tuple[Key, str]]:
    """(key, message) of each mistake; a key's alternatives are reported once."""
    seen: set[Key] = set()
    for details in error.errors(include_url=False):
        *above, last = details["loc"]
        key = tuple(above) if last == _KEY_ITSELF else details["loc"]
        if key not in seen:
            seen.add(key)
            yield key, _explain(details, schema)


def _explain(details: ErrorDetails, schema: type[BaseModel]) -> str:
    key, value = details["loc"], details["input"]
    if details["type"] == "extra_forbidden":
        return _explain_unknown(key, schema)
    expected = _expected_at(key, schema)
    if details["type"] == "missing":
        return f"missing; expected {expected.describe()}"
    return f"expected {expected.describe()}, got {show(value)}{_advise(value, expected)}"


def _expected_at(key: Key, schema: type[BaseModel]) -> Kind:
    if key[-1:] == (_KEY_ITSELF,):
        return kind_of(kind_at(schema, key[:-2]).names)
    return kind_at(schema, key)


def _explain_unknown(key: Key, schema: type[BaseModel]) -> str:
    name = str(key[-1])
    if key[0] == "model" and name in BROKEN_OPTIONS:
        return "refused: CTLearn drops this layer and then rejects the data; leave it out"
    if key[0] == "pruning" and name in GONE_OPTIONS:
        return GONE_OPTIONS[name]
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


def _advise(value: Any, expected: Kind) -> str:
    """What to write instead, where that can be guessed."""
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
