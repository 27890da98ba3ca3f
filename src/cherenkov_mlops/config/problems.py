"""Mistakes of values: every error of the schema as one line for the user."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError

from cherenkov_mlops.config.model_section import BROKEN_OPTIONS
from cherenkov_mlops.config.train_section import GONE_OPTIONS
from cherenkov_mlops.config.words import ValueType, fields_of, show, type_at, type_of, type_of_field
from cherenkov_mlops.config.yaml_text import Key
from cherenkov_mlops.registry import did_you_mean

# Pydantic's mark for a mistake in a key instead of in its value.
_KEY_ITSELF = "[key]"
_WORDS_FOR_BOOL = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def explain_errors(error: ValidationError, schema: type[BaseModel]) -> Iterator[tuple[Key, str]]:
    """Give (key, message) of each mistake; a key's alternatives are reported once."""
    seen: set[Key] = set()
    for details in error.errors(include_url=False):
        *above, last = details["loc"]
        is_name = last == _KEY_ITSELF
        key = tuple(above) if is_name else details["loc"]
        if key in seen:
            continue
        seen.add(key)
        if details["type"] == "extra_forbidden":
            yield key, _explain_unknown(key, schema)
            continue
        # Where the key itself is wrong, what is expected is a name of the section above.
        expected = type_of(type_at(schema, key[:-1]).names) if is_name else type_at(schema, key)
        if details["type"] == "missing":
            yield key, f"missing; expected {expected.describe()}"
        else:
            value = details["input"]
            advice = _advise(value, expected)
            yield key, f"expected {expected.describe()}, got {show(value)}{advice}"


def _explain_unknown(key: Key, schema: type[BaseModel]) -> str:
    name = str(key[-1])
    if key[0] == "model" and name in BROKEN_OPTIONS:
        return "refused: CTLearn drops this layer and then rejects the data; leave it out"
    if key[0] == "pruning" and name in GONE_OPTIONS:
        return GONE_OPTIONS[name]
    section = type_at(schema, key[:-1])
    known = list(fields_of(section.section)) if section and section.section else []
    elsewhere = next(_find_option(name, schema), None)
    hint = f"did you mean '{elsewhere}'?" if elsewhere else did_you_mean(name, known)
    return f"unknown key; {hint}"


def _find_option(name: str, schema: type[BaseModel], above: str = "") -> Iterator[str]:
    """Give the dotted keys of the options called ``name``, in any section."""
    for key, info in fields_of(schema).items():
        if key == name:
            yield f"{above}{key}"
        section = type_of_field(info).section
        if section:
            yield from _find_option(name, section, f"{above}{key}.")


def _advise(value: Any, expected: ValueType) -> str:
    """Say what to write instead, where that can be guessed."""
    if isinstance(value, str):
        if expected.choices:
            hint = did_you_mean(value, expected.choices)
            return f"; {hint}" if hint.startswith("did you mean") else ""
        if bool in expected.options and value.lower() in _WORDS_FOR_BOOL:
            return f"; write {_WORDS_FOR_BOOL[value.lower()]}"
        if {int, float} & set(expected.options):
            with suppress(ValueError):
                float(value)
                return f"; write {value.strip()} without quotes"
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if expected.bounds.get("le", expected.bounds.get("lt", 0)) <= 1 < value <= 100 and (
        float in expected.options
    ):
        return f"; write {value / 100:g} for {value:g} %"
    return f"; write '{value}' in quotes" if str in expected.options else ""
