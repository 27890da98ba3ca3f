"""What an option expects, in words: the same ones in messages, templates and documentation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cherenkov_mlops.config.base import Expected
from cherenkov_mlops.config.yaml_text import Key, shorten

_PLAIN = {str: "text", bool: "true or false", dict: "a section", Any: "any value"}
_BOUNDS = ("ge", "gt", "le", "lt")


@dataclass(frozen=True)
class ValueType:
    """A type of the schema, taken apart.

    Parameters
    ----------
    options : tuple
        Types that are accepted, without null and without limits.
    nullable : bool
        Whether null is accepted.
    bounds : dict of str to float
        Limits by name: ``ge``, ``gt``, ``le``, ``lt``.
    words : str
        What is expected, where the schema says it in words.
    is_path : bool
        Whether it names files.
    registry : mapping, optional
        Registry whose names alone are accepted.
    """

    options: tuple[Any, ...]
    nullable: bool = False
    bounds: dict[str, float] = field(default_factory=dict)
    words: str = ""
    is_path: bool = False
    registry: Mapping[str, Any] | None = None

    @property
    def section(self) -> type[BaseModel] | None:
        """The section, if a section is accepted."""
        sections = [o for o in self.options if isinstance(o, type) and issubclass(o, BaseModel)]
        return sections[0] if sections else None

    @property
    def choices(self) -> tuple[str, ...]:
        """Accepted words, if only certain words are."""
        if self.registry is not None:
            return tuple(self.registry)
        return tuple(w for o in self.options if get_origin(o) is Literal for w in get_args(o))

    @property
    def items(self) -> Any:
        """Type of the items of a list or of the values of a section with free keys, else None."""
        found = [o for o in self.options if get_origin(o) in (list, dict)]
        return get_args(found[0])[-1] if found else None

    @property
    def names(self) -> Any:
        """Type of the keys of a section with free keys, else None."""
        found = [o for o in self.options if get_origin(o) is dict]
        return get_args(found[0])[0] if found else None

    @property
    def item_section(self) -> type[BaseModel] | None:
        """The section that each item of a list is, else None."""
        return type_of(self.items).section if self.items is not None else None

    def describe(self) -> str:
        """Say what is accepted, such as ``a whole number of at least 1 or null``."""
        words = [self.words] if self.words else [self._describe(o) for o in self.options]
        return " or ".join(words + ["null"] * self.nullable)

    def _describe(self, option: Any) -> str:
        if option in (int, float):
            return _describe_number(option, self.bounds)
        if self.choices:
            separator, head = (", ", "one of ") if len(self.choices) > 2 else (" or ", "")
            return head + separator.join(self.choices)
        if get_origin(option) is list:
            return f"a list, each item {type_of(self.items).describe()}"
        return _PLAIN.get(option, "a section")


def type_of(annotation: Any) -> ValueType:
    """Take a type annotation apart."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return _with_metadata(type_of(inner), metadata)
    if get_origin(annotation) in (Union, UnionType):
        united = [type_of(option) for option in get_args(annotation)]
        return ValueType(
            options=tuple(option for each in united for option in each.options),
            nullable=any(each.nullable for each in united),
            bounds={name: value for each in united for name, value in each.bounds.items()},
            words=" or ".join(each.words for each in united if each.words),
            is_path=any(each.is_path for each in united),
            registry=next((e.registry for e in united if e.registry is not None), None),
        )
    if annotation is NoneType:
        return ValueType((), nullable=True)
    return ValueType((annotation,))


def _with_metadata(kind: ValueType, metadata: list[Any]) -> ValueType:
    pieces = [piece for item in metadata for piece in (item, *getattr(item, "metadata", ()))]
    bounds = {name: getattr(p, name) for p in pieces for name in _BOUNDS if hasattr(p, name)}
    expected = [item for item in metadata if isinstance(item, Expected)]
    told = expected[-1] if expected else Expected(kind.words, kind.is_path, kind.registry)
    limits = kind.bounds | bounds
    return ValueType(kind.options, kind.nullable, limits, told.words, told.is_path, told.names)


def _describe_number(number: type, bounds: dict[str, float]) -> str:
    whole = "a whole number" if number is int else "a number"
    low = bounds.get("ge", bounds.get("gt"))
    high = bounds.get("le", bounds.get("lt"))
    if low is None:
        return whole
    if high is None:
        return f"{whole} above {low:g}" if "gt" in bounds else f"{whole} of at least {low:g}"
    if "gt" in bounds or "lt" in bounds:
        start = "above" if "gt" in bounds else "from"
        return f"{whole} {start} {low:g} and {'below' if 'lt' in bounds else 'up to'} {high:g}"
    return f"{low:g} to {high:.10g}" if number is float else f"{whole} from {low:g} to {high:.10g}"


def fields_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields of a section by their key in the YAML file."""
    return {info.alias or name: info for name, info in section.model_fields.items()}


def type_of_field(info: FieldInfo) -> ValueType:
    """Type of a field together with its limits."""
    return _with_metadata(type_of(info.annotation), info.metadata)


def type_at(section: type[BaseModel], key: Key) -> ValueType | None:
    """Type that is expected at ``key`` of a section; None if there is no such option."""
    kind = ValueType((section,))
    for part in key:
        if kind.section:
            info = fields_of(kind.section).get(str(part))
            if info is None:
                return None
            kind = type_of_field(info)
        elif kind.items is not None:
            kind = type_of(kind.items)
        else:
            return None
    return kind


def find_paths(section: type[BaseModel], above: Key = ()) -> Iterator[Key]:
    """Find the keys of all options that name files, in the sections below one."""
    for name, info in fields_of(section).items():
        kind, key = type_of_field(info), (*above, name)
        if kind.is_path:
            yield key
        elif kind.section:
            yield from find_paths(kind.section, key)


def show(value: Any) -> str:
    """Write ``value`` as the user did, short enough for a message."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a section" if value else "an empty section"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"'{shorten(value)}'" if isinstance(value, str) else shorten(str(value))


def field_at(section: type[BaseModel], key: Key) -> FieldInfo | None:
    """Field at ``key`` of a section; None if there is no such option."""
    above = type_at(section, key[:-1])
    return fields_of(above.section).get(str(key[-1])) if above and above.section else None


def default_at(section: type[BaseModel], key: Key) -> Any:
    """Default of the option at ``key`` of a section; None if it has none."""
    info = field_at(section, key)
    return None if info is None or info.is_required() else info.get_default()
