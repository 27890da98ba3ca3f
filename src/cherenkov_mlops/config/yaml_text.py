"""YAML text as plain values, with the place of every key and all mistakes of the text."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Key = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands: sorts by file, line and column.

    Parameters
    ----------
    rank : int
        Order of the file among those of one configuration; overrides come last.
    line, column : int
        From 1; line 0 is an override, which has no lines.
    source : str
        File as the user named it, or the override.
    folder : pathlib.Path
        Folder against which relative paths at this place resolve.
    """

    rank: int
    line: int
    column: int
    source: str
    folder: Path = field(compare=False, default=Path())

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Problem:
    """One mistake: where, in which key, and what to do about it."""

    place: Place
    key: str
    message: str

    def __str__(self) -> str:
        # An override already names its key.
        named = not self.key or self.place.source == f"-o {self.key}"
        text = ": ".join([str(self.place), *([] if named else [self.key]), self.message])
        return " ".join(text.splitlines())


@dataclass
class Document:
    """Values of one text, the place of each key, and the mistakes of the text itself."""

    values: Any = None
    places: dict[Key, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def dotted(key: Key) -> str:
    """Write ``key`` as ``data.train.signal[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def split_key(text: str) -> Key:
    """Split a key such as ``data.train.signal[0]``."""
    found = re.findall(r"([^.\[\]]+)|\[(\d+)\]", text)
    return tuple(name or int(number) for name, number in found)


def shorten(text: str, length: int = 60) -> str:
    """Put ``text`` on one line, cut to ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."


def read_yaml(text: str, start: Place, key: Key = ()) -> Document:
    """Read values, places and mistakes of a YAML 1.2 text; nothing is ever raised for bad text.

    Parameters
    ----------
    text : str
        The text.
    start : Place
        Place of the first character; if its line is 0 every place in the text is ``start``.
    key : tuple of str or int
        Key that the whole text is the value of.
    """
    document = Document(places={key: start})
    yaml = YAML(typ="safe", pure=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            root = yaml.compose(text)
        if root is not None:
            document.values = _Reader(document, start, yaml.constructor).value(root, key)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(start, mark) if mark else start
        document.problems.append(Problem(place, "", _explain_syntax(error)))
    except YAMLError as error:
        document.problems.append(Problem(start, "", f"not YAML: {shorten(str(error), 120)}"))
    except RecursionError:
        document.problems.append(Problem(start, "", "not YAML: nested too deeply"))
    return document


def _place(start: Place, mark: Any) -> Place:
    if not start.line:
        return start
    return Place(start.rank, mark.line + 1, mark.column + 1, start.source, start.folder)


def _explain_syntax(error: MarkedYAMLError) -> str:
    problem = error.problem or error.context or "cannot be read"
    if "'\\t'" in problem:
        return "expected spaces, got a tab; indent with spaces only"
    if "expected a single document" in str(error):
        return "expected one document, got a second one; remove '---'"
    context = f" ({error.context})" if error.context and error.problem else ""
    return f"not YAML: {shorten(problem + context, 120)}; check indentation, colons and quotes"


class _Reader:
    """Turns the nodes of one text into values and notes places and mistakes on the way."""

    def __init__(self, document: Document, start: Place, constructor: Any):
        self.document = document
        self.start = start
        self.open: set[int] = set()
        self.scalars: dict[str, Callable[[ScalarNode], Any]] = {
            "null": constructor.construct_yaml_null,
            "bool": constructor.construct_yaml_bool,
            "int": constructor.construct_yaml_int,
            "float": constructor.construct_yaml_float,
            "str": lambda node: node.value,
            # A date is text here: a run may be called 2024-05-01.
            "timestamp": lambda node: node.value,
        }

    def value(self, node: Node, key: Key) -> Any:
        """Plain value of ``node``; null where it cannot be read."""
        if id(node) in self.open:
            return self.complain(node, key, "an anchor that contains itself")
        self.open.add(id(node))
        try:
            return self.read(node, key)
        finally:
            self.open.discard(id(node))

    def read(self, node: Node, key: Key) -> Any:
        if isinstance(node, MappingNode):
            return self.mapping(node, key)
        if isinstance(node, SequenceNode):
            return self.sequence(node, key)
        return self.scalar(node, key)

    def complain(self, node: Node, key: Key, message: str) -> None:
        place = _place(self.start, node.start_mark)
        self.document.problems.append(Problem(place, dotted(key), message))

    def scalar(self, node: ScalarNode, key: Key) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind not in self.scalars:
            return self.complain(node, key, f"expected no tag, got {shorten(str(node.tag))}")
        try:
            return self.scalars[kind](node)
        except (ValueError, KeyError, IndexError):
            return self.complain(node, key, f"not a value of type {kind}: {shorten(node.value)}")

    def sequence(self, node: SequenceNode, key: Key) -> list[Any]:
        items = []
        for number, item in enumerate(node.value):
            below = (*key, number)
            self.document.places[below] = _place(self.start, item.start_mark)
            items.append(self.value(item, below))
        return items

    def mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[dict[str, Any]] = []
        for name_node, value_node in node.value:
            if str(name_node.tag) == f"{_TAG}merge":
                merged.append(self.merged(value_node, key))
                continue
            name = self.name(name_node, key)
            below = (*key, name)
            if name in lines:
                message = f"stands twice, first in line {lines[name]}; remove one of them"
                self.complain(name_node, below, message)
            lines[name] = name_node.start_mark.line + 1
            self.document.places[below] = _place(self.start, name_node.start_mark)
            values[name] = self.value(value_node, below)
        for other in merged:
            values = other | values
        return values

    def merged(self, node: Node, key: Key) -> dict[str, Any]:
        """Values of ``<<: *anchor``; its keys keep the place of the anchor unless overwritten."""
        value = self.value(node, key)
        if isinstance(value, dict):
            return value
        self.complain(node, key, "expected a section after '<<'")
        return {}

    def name(self, node: Node, key: Key) -> str:
        if isinstance(node, ScalarNode):
            return str(node.value)
        self.complain(node, key, "expected a name before ':', got a list or a section")
        return ""
