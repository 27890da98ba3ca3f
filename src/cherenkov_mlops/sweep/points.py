"""The runs of a sweep: every combination, a list or draws, each with a name to read."""

import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import PurePath
from typing import Any

from cherenkov_mlops.config.files import place_of
from cherenkov_mlops.config.words import show
from cherenkov_mlops.config.yaml_text import Document, Key, Place, Problem
from cherenkov_mlops.registry import did_you_mean

#: More runs than this are a slip of the pen.
MAX_RUNS = 10_000
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_MAX_LABEL = 24
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SIGNIFICANT_DIGITS = 4
_RANGE = {"min", "max", "log"}

Labelled = tuple[dict[str, str], list[Document]]


class SweepProblems(Exception):
    """Mistakes of a sweep file.

    Parameters
    ----------
    problems : list of Problem
        All of them.
    """

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


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
    """Make the runs of a sweep file, in a fixed order, each with a name of its own.

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
    makers = {"grid": combine_axes, "list": take_items, "random": draw_values}
    way = next(way for way in makers if document.values.get(way) is not None)
    labelled = list(makers[way](document))
    place = place_of(document, ("name",))
    names = make_names(place, template, [labels for labels, _ in labelled], way)
    return [
        Point(name, overlays, labels)
        for name, (labels, overlays) in zip(names, labelled, strict=True)
    ]


def overlay(document: Document, where: Key, target: Key, value: Any) -> Document:
    """Make a document in which ``value``, from ``where`` of a sweep file, is at ``target``.

    Keys of ``value`` may be dotted if it stands for several options, that is, without ``target``.
    """
    values: dict[str, Any] = {}
    parts = [(target, where, value)]
    if not target:
        parts = [(tuple(key.split(".")), (*where, key), item) for key, item in value.items()]
    places = {}
    for key, place, item in parts:
        section = values
        for part in key[:-1]:
            # Copied on the way down: what is there may be the value of another part.
            below = section.get(part)
            section[part] = dict(below) if isinstance(below, dict) else {}
            section = section[part]
        before = section.get(key[-1])
        both = isinstance(before, dict) and isinstance(item, dict)
        section[key[-1]] = {**before, **item} if both else item
        # The places of all below it move along.
        known = [found for found in document.places if found[: len(place)] == place]
        places |= {(*key, *found[len(place) :]): document.places[found] for found in known}
        places.setdefault(key, place_of(document, place))
    return Document(values, places)


def combine_axes(document: Document) -> Iterator[Labelled]:
    """Labels and overlays of every combination of the values in ``grid``."""
    grid, problems = document.values["grid"], []
    axes: dict[str, list[Choice]] = {}
    for name, values in grid.items():
        where = ("grid", name)
        if wrong := find_mistake_of_axis(name, values):
            problems.append(Problem(place_of(document, where), f"grid.{name}", wrong))
        elif isinstance(values, dict):
            axes[name] = [
                Choice(label, overlay(document, (*where, label), (), options))
                for label, options in values.items()
            ]
        else:
            target = tuple(name.split("."))
            axes[name] = [
                Choice(label, overlay(document, (*where, number), target, value))
                for number, (label, value) in enumerate(zip(labels_of(values), values, strict=True))
            ]
    # Of two axes that set one option, one would overrule the other silently.
    own = {
        name: {key for choice in choices for key in _leaves(choice.overlay.values)}
        for name, choices in axes.items()
    }
    for number, name in enumerate(own):
        for other in list(own)[:number]:
            both = [
                key
                for key in sorted(own[name])
                for old in own[other]
                if key[: len(old)] == old[: len(key)]
            ]
            if both:
                text = f"sets {'.'.join(both[0])}, as the axis '{other}' does; leave it out of one"
                problems.append(Problem(place_of(document, ("grid", name)), f"grid.{name}", text))
    total = math.prod(len(choices) for choices in axes.values())
    # Before the runs are made: a product grows fast.
    if not grid or total > MAX_RUNS:
        text = f"expected 1 to {MAX_RUNS:,} runs, got {total if grid else 0:,}; change the axes"
        problems.append(Problem(place_of(document, ("grid",)), "grid", text))
    if problems:
        raise SweepProblems(problems)
    for combination in product(*axes.values()):
        labels = {name: choice.label for name, choice in zip(axes, combination, strict=True)}
        yield labels, [choice.overlay for choice in combination]


def find_mistake_of_axis(name: str, values: Any) -> str:
    """Say what is wrong with an axis, a list or choices by name; empty if nothing."""
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


def _leaves(values: Any, above: Key = ()) -> Iterator[Key]:
    if above and (not isinstance(values, dict) or not values):
        yield above
        return
    for key, item in values.items():
        yield from _leaves(item, (*above, str(key)))


def take_items(document: Document) -> Iterator[Labelled]:
    """Labels and overlays of the items of ``list``."""
    items = document.values["list"]
    if not items:
        raise SweepProblems(
            [Problem(place_of(document, ("list",)), "list", "expected at least one run, got none")]
        )
    # Options that only some of the runs set are labelled among those runs.
    columns = dict.fromkeys(key for item in items for key in item)
    labels = {
        key: labels_of([item[key] for item in items if key in item], unique=False)
        for key in columns
    }
    for number, item in enumerate(items):
        own = {key: labels[key].pop(0) for key in columns if key in item}
        yield own, [overlay(document, ("list", number), (), item)]


def draw_values(document: Document) -> Iterator[Labelled]:
    """Labels and overlays of the runs that ``random`` draws.

    From Python's generator and not by Optuna's ``RandomSampler``, which draws other values: a
    sweep would find none of the runs that it has made already.
    """
    section = document.values["random"]
    keys = section["keys"]
    problems = [
        Problem(place_of(document, ("random", "keys", key)), f"random.keys.{key}", wrong)
        for key, values in keys.items()
        if (wrong := find_mistake_of_draw(values))
    ]
    if problems:
        raise SweepProblems(problems)
    generator = random.Random(section.get("seed", 0))
    for _ in range(section["n_runs"]):
        drawn = {key: draw_one(values, generator) for key, values in keys.items()}
        labels = {key: slug(value) for key, value in drawn.items()}
        overlays = [
            overlay(document, ("random", "keys", key), tuple(key.split(".")), value)
            for key, value in drawn.items()
        ]
        yield labels, overlays


def find_mistake_of_draw(values: Any) -> str:
    """Say what is wrong with what an option is drawn from; empty if nothing."""
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


def draw_one(values: Any, generator: random.Random) -> Any:
    """Draw a value: of a list, or between two numbers, evenly or in the logarithm."""
    if isinstance(values, list):
        return generator.choice(values)
    low, high = values["min"], values["max"]
    whole = isinstance(low, int) and isinstance(high, int)
    if values.get("log"):
        # Evenly in the logarithm: as many runs from 1e-5 to 1e-4 as from 1e-4 to 1e-3.
        drawn = math.exp(generator.uniform(math.log(low), math.log(high)))
    elif whole:
        return generator.randint(low, high)
    else:
        drawn = generator.uniform(low, high)
    return round(drawn) if whole else few_digits(drawn)


def few_digits(drawn: float) -> float:
    """Round to few digits: the number can be read in the run's name, and typed again."""
    return float(f"{drawn:.{_SIGNIFICANT_DIGITS}g}")


def labels_of(values: Sequence[Any], *, unique: bool = True) -> list[str]:
    """Write a short text for each value; of sections, what differs between them."""
    sections = [_flat(value) for value in values if isinstance(value, dict)]
    # What all sections share says nothing about one of them.
    keys = dict.fromkeys(key for section in sections for key in section)
    differ = [key for key in keys if any(s.get(key) != sections[0].get(key) for s in sections)]
    labels = []
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            flat = _flat(value)
            text = "_".join(slug(flat[key]) for key in differ if key in flat)
        else:
            text = slug(value)
        # Too long to be read, or nothing left of it: its number in the list.
        labels.append(text if text and len(text) <= _MAX_LABEL else f"v{number}")
    counts = Counter(labels)
    if not unique:
        return labels
    return [
        label if counts[label] == 1 else f"{label}-{number}"
        for number, label in enumerate(labels, start=1)
    ]


def slug(value: Any) -> str:
    """Write the value as letters, digits, '.' and '-'; paths without folder and ending."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, float):
        value = f"{value:g}"
    if isinstance(value, list):
        return "-".join(slug(item) for item in value)
    text = str(value)
    text = PurePath(text).stem if "/" in text else text
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")


def _flat(section: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in section.items():
        nested = isinstance(value, dict)
        flat |= _flat(value, f"{above}{key}.") if nested else {f"{above}{key}": value}
    return flat


def make_names(
    place: Place, template: str | None, labels: Sequence[Mapping[str, str]], way: str
) -> list[str]:
    """Make the names of the runs, from the template or from all labels.

    Parameters
    ----------
    place : Place
        Where mistakes are reported.
    template : str, optional
        ``{key}`` stands for the label of an axis, ``{n}`` for the number of the run.
    labels : sequence of mapping
        For each run: axis -> label of its value.
    way : str
        ``grid``, ``list`` or ``random``.

    Raises
    ------
    SweepProblems
        Unknown axes in the template, or names that clash or are no names of folders.
    """
    axes = list(dict.fromkeys(axis for each in labels for axis in each))
    if template is not None:
        wrong = [
            f"unknown {{{field}}}; {did_you_mean(field, [*map(_last, axes), 'n'])}"
            for field in _PLACEHOLDER.findall(template)
            if field != "n" and _axis(field, axes) is None
        ]
        if wrong:
            raise SweepProblems([Problem(place, "name", text) for text in wrong])
    width = len(str(len(labels)))
    names = []
    for number, own in enumerate(labels, start=1):
        numbered = f"{number:0{width}d}"
        if template is not None:
            found = {
                field: numbered if field == "n" else own.get(_axis(field, axes) or "", "none")
                for field in _PLACEHOLDER.findall(template)
            }
            names.append(_PLACEHOLDER.sub(lambda field: found[field[1]], template))  # noqa: B023
        elif way == "random":
            names.append("_".join([f"run{numbered}", *_readable(own)])[:100].rstrip("_.-"))
        else:
            names.append("_".join(_readable(own)))
    for name in names:
        if not NAME.match(name):
            text = f"expected names of letters, digits, '.', '_' and '-', got {show(name)}"
            raise SweepProblems([Problem(place, "name", text)])
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        text = f"{count} runs would be called '{name}'; put more of what differs, or {{n}}, into it"
        raise SweepProblems([Problem(place, "name", text)])
    return names


def _axis(name: str, axes: Sequence[str]) -> str | None:
    """Find the axis of this name, or the only one whose last part it is."""
    if name in axes:
        return name
    found = [axis for axis in axes if _last(axis) == name]
    return found[0] if len(found) == 1 else None


def _last(axis: str) -> str:
    return axis.rpartition(".")[2]


def _readable(labels: Mapping[str, str]) -> list[str]:
    """Write the labels, numbers with the name of what they are."""
    return [
        f"{_last(axis)}{label}" if label[:1] in "-.0123456789" else label
        for axis, label in labels.items()
        if label
    ]
