"""Names of the runs of a sweep: short, to read, all different."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from cherenkov_mlops.config.words import show
from cherenkov_mlops.config.yaml_text import Place, Problem
from cherenkov_mlops.registry import did_you_mean

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_MAX_LABEL = 24
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NUMBER = "n"


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


def labels_of(values: Sequence[Any], *, unique: bool = True) -> list[str]:
    """A short text for each value; of sections, what differs between them."""
    sections = [_flat(value) for value in values if isinstance(value, dict)]
    keys = dict.fromkeys(key for section in sections for key in section)
    differ = [key for key in keys if any(s.get(key) != sections[0].get(key) for s in sections)]
    labels = []
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            flat = _flat(value)
            text = "_".join(slug(flat[key]) for key in differ if key in flat)
        else:
            text = slug(value)
        labels.append(text if text and len(text) <= _MAX_LABEL else f"v{number}")
    counts = Counter(labels)
    if not unique:
        return labels
    return [
        label if counts[label] == 1 else f"{label}-{number}"
        for number, label in enumerate(labels, start=1)
    ]


def slug(value: Any) -> str:
    """The value as letters, digits, '.' and '-'; paths without folder and ending."""
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
    """Names of the runs, from the template or from all labels.

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
            f"unknown {{{field}}}; {did_you_mean(field, [*map(_last, axes), _NUMBER])}"
            for field in _PLACEHOLDER.findall(template)
            if field != _NUMBER and _axis(field, axes) is None
        ]
        if wrong:
            raise SweepProblems([Problem(place, "name", text) for text in wrong])
    width = len(str(len(labels)))
    names = []
    for number, own in enumerate(labels, start=1):
        numbered = f"{number:0{width}d}"
        if template is not None:
            names.append(_fill(template, own, axes, numbered))
        elif way == "random":
            names.append("_".join([f"run{numbered}", *_readable(own)])[:100].rstrip("_.-"))
        else:
            names.append("_".join(_readable(own)))
    _refuse_clashes(place, names)
    return names


def _fill(template: str, labels: Mapping[str, str], axes: list[str], number: str) -> str:
    def replace(found: re.Match) -> str:
        return number if found[1] == _NUMBER else labels.get(_axis(found[1], axes) or "", "none")

    return _PLACEHOLDER.sub(replace, template)


def _axis(name: str, axes: Sequence[str]) -> str | None:
    """The axis of this name, or the only one whose last part it is."""
    if name in axes:
        return name
    found = [axis for axis in axes if _last(axis) == name]
    return found[0] if len(found) == 1 else None


def _last(axis: str) -> str:
    return axis.rpartition(".")[2]


def _readable(labels: Mapping[str, str]) -> list[str]:
    """The labels, numbers with the name of what they are."""
    return [
        f"{_last(axis)}{label}" if label[:1] in "-.0123456789" else label
        for axis, label in labels.items()
        if label
    ]


def _refuse_clashes(place: Place, names: list[str]) -> None:
    wrong = next((name for name in names if not NAME.match(name)), None)
    if wrong is not None:
        text = f"expected names of letters, digits, '.', '_' and '-', got {show(wrong)}"
        raise SweepProblems([Problem(place, "name", text)])
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        text = f"{count} runs would be called '{name}'; put more of what differs, or {{n}}, into it"
        raise SweepProblems([Problem(place, "name", text)])
