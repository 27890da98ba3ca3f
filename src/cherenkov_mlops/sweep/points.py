"""The runs of a sweep: every combination, a list or draws, each with a name to read."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from cherenkov_mlops.config.files import place_of
from cherenkov_mlops.config.words import show
from cherenkov_mlops.config.yaml_text import Document, Key, Problem
from cherenkov_mlops.sweep.names import NAME, SweepProblems, labels_of, make_names, slug

#: More runs than this are a slip of the pen.
MAX_RUNS = 10_000
_SIGNIFICANT_DIGITS = 4
_RANGE = {"min", "max", "log"}


@dataclass(frozen=True)
class Choice:
    """One value of an axis: its part of a run's name, and what it sets."""

    label: str
    overlay: Document


@dataclass(frozen=True)
class Point:
    """One run of a sweep: its name, and what it sets over the options of all runs."""

    name: str
    overlays: list[Document]
    labels: dict[str, str] = field(default_factory=dict)


def make_points(document: Document, template: str | None) -> list[Point]:
    """The runs of a sweep file in a fixed order, each with a name of its own.

    Parameters
    ----------
    document : Document
        The file, of the right structure (``SweepConfig``).
    template : str, optional
        Of the names; ``{key}`` stands for the value of an axis, ``{n}`` for the run's number.

    Raises
    ------
    SweepProblems
        Axes without values, values that stand twice, options set twice, names that clash.
    """
    makers = {"grid": _combine, "list": _take_items, "random": _draw}
    way = next(way for way in makers if document.values.get(way) is not None)
    labelled = list(makers[way](document))
    names = make_names(
        place_of(document, ("name",)), template, [labels for labels, _ in labelled], way
    )
    return [
        Point(name, overlays, labels)
        for name, (labels, overlays) in zip(names, labelled, strict=True)
    ]


def overlay(document: Document, where: Key, target: Key, value: Any) -> Document:
    """A document in which ``value``, which stands at ``where`` of a sweep file, is at ``target``.

    Keys of ``value`` may be dotted if it stands for several options, that is, without ``target``.
    """
    values: dict[str, Any] = {}
    parts = [(target, where, value)]
    if not target:
        parts = [(tuple(key.split(".")), (*where, key), item) for key, item in value.items()]
    places = {}
    for key, place, item in parts:
        _put(values, key, item)
        known = [found for found in document.places if found[: len(place)] == place]
        places |= {(*key, *found[len(place) :]): document.places[found] for found in known}
        places.setdefault(key, place_of(document, place))
    return Document(values, places)


def _put(values: dict[str, Any], key: Key, item: Any) -> None:
    for part in key[:-1]:
        below = values.get(part)
        values[part] = below = dict(below) if isinstance(below, dict) else {}
        values = below
    before = values.get(key[-1])
    both = isinstance(before, dict) and isinstance(item, dict)
    values[key[-1]] = {**before, **item} if both else item


def _combine(document: Document) -> Iterator[tuple[dict[str, str], list[Document]]]:
    """Labels and overlays of every combination of the values in ``grid``."""
    grid, problems = document.values["grid"], []
    axes: dict[str, list[Choice]] = {}
    for name, values in grid.items():
        try:
            axes[name] = _choices(document, ("grid", name), name, values)
        except SweepProblems as error:
            problems += error.problems
    problems += _find_clashes(document, axes)
    total = math.prod(len(choices) for choices in axes.values())
    if not grid or total > MAX_RUNS:
        text = f"expected 1 to {MAX_RUNS:,} runs, got {total if grid else 0:,}; change the axes"
        problems.append(Problem(place_of(document, ("grid",)), "grid", text))
    if problems:
        raise SweepProblems(problems)
    for combination in product(*axes.values()):
        labels = {name: choice.label for name, choice in zip(axes, combination, strict=True)}
        yield labels, [choice.overlay for choice in combination]


def _choices(document: Document, where: Key, name: str, values: Any) -> list[Choice]:
    """The values of one axis: a list of values, or a section of choices by name."""
    wrong = _find_mistake(values, name)
    if wrong:
        raise SweepProblems([Problem(place_of(document, where), f"grid.{name}", wrong)])
    if isinstance(values, dict):
        return [
            Choice(label, overlay(document, (*where, label), (), options))
            for label, options in values.items()
        ]
    target = tuple(name.split("."))
    overlays = [
        overlay(document, (*where, number), target, value) for number, value in enumerate(values)
    ]
    return [Choice(*pair) for pair in zip(labels_of(values), overlays, strict=True)]


def _find_mistake(values: Any, name: str) -> str:
    """What is wrong with the values of an axis, if anything."""
    if not isinstance(values, list | dict):
        return f"expected a list of values, got {show(values)}; write [{show(values)}]"
    if not values:
        return "expected at least one value, got none"
    if isinstance(values, list):
        twice = next((item for n, item in enumerate(values) if item in values[:n]), values)
        return "" if twice is values else f"{show(twice)} stands twice; leave one out"
    for label, options in values.items():
        if not NAME.match(str(label)):
            return f"expected names of letters, digits, '.', '_' and '-', got {show(label)}"
        if not isinstance(options, dict):
            return (
                f"'{label}': expected the options that this choice sets, got {show(options)}; "
                f"write {{{name}: {show(options)}}}, or a list of values"
            )
    return ""


def _find_clashes(document: Document, axes: Mapping[str, list[Choice]]) -> Iterator[Problem]:
    """Options that two axes set, so that one would overrule the other silently."""
    own = {
        name: {key for choice in choices for key in _leaves(choice.overlay.values)}
        for name, choices in axes.items()
    }
    names = list(own)
    for number, name in enumerate(names):
        for other in names[:number]:
            clash = next(
                (key for key in sorted(own[name]) for old in own[other] if _overlap(key, old)), None
            )
            if clash:
                text = f"sets {'.'.join(clash)}, as the axis '{other}' does; leave it out of one"
                yield Problem(place_of(document, ("grid", name)), f"grid.{name}", text)


def _leaves(values: Any, above: Key = ()) -> Iterator[Key]:
    if above and (not isinstance(values, dict) or not values):
        yield above
        return
    for key, item in values.items():
        yield from _leaves(item, (*above, str(key)))


def _overlap(key: Key, other: Key) -> bool:
    shorter = min(len(key), len(other))
    return key[:shorter] == other[:shorter]


def _take_items(document: Document) -> Iterator[tuple[dict[str, str], list[Document]]]:
    """Labels and overlays of the items of ``list``."""
    items = document.values["list"]
    if not items:
        raise SweepProblems(
            [Problem(place_of(document, ("list",)), "list", "expected at least one run, got none")]
        )
    columns = dict.fromkeys(key for item in items for key in item)
    labels = {
        key: labels_of([item[key] for item in items if key in item], unique=False)
        for key in columns
    }
    for number, item in enumerate(items):
        own = {key: labels[key].pop(0) for key in columns if key in item}
        yield own, [overlay(document, ("list", number), (), item)]


def _draw(document: Document) -> Iterator[tuple[dict[str, str], list[Document]]]:
    """Labels and overlays of the runs that ``random`` draws."""
    section = document.values["random"]
    keys = section["keys"]
    problems = [
        Problem(place_of(document, ("random", "keys", key)), f"random.keys.{key}", wrong)
        for key, values in keys.items()
        if (wrong := _find_mistake_of_draw(values))
    ]
    if problems:
        raise SweepProblems(problems)
    generator = random.Random(section.get("seed", 0))
    for _ in range(section["n_runs"]):
        drawn = {key: _draw_one(values, generator) for key, values in keys.items()}
        labels = {key: slug(value) for key, value in drawn.items()}
        overlays = [
            overlay(document, ("random", "keys", key), tuple(key.split(".")), value)
            for key, value in drawn.items()
        ]
        yield labels, overlays


def _find_mistake_of_draw(values: Any) -> str:
    if isinstance(values, list):
        return "" if values else "expected at least one value, got none"
    if not isinstance(values, dict) or not {"min", "max"} <= values.keys() <= _RANGE:
        return f"expected a list, or {{min: ..., max: ..., log: true}}, got {show(values)}"
    low, high = values["min"], values["max"]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
    if not numbers or not low < high:
        return f"expected numbers, min below max, got {show(low)} and {show(high)}"
    if values.get("log") and low <= 0:
        return f"log: expected min above 0, got {show(low)}"
    return ""


def _draw_one(values: Any, generator: random.Random) -> Any:
    if isinstance(values, list):
        return generator.choice(values)
    low, high = values["min"], values["max"]
    whole = isinstance(low, int) and isinstance(high, int)
    if values.get("log"):
        drawn = math.exp(generator.uniform(math.log(low), math.log(high)))
    elif whole:
        return generator.randint(low, high)
    else:
        drawn = generator.uniform(low, high)
    # Few digits: the value can be read in the run's name, and typed again.
    return round(drawn) if whole else float(f"{drawn:.{_SIGNIFICANT_DIGITS}g}")
