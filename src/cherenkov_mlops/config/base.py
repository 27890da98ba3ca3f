"""What all sections of a configuration share: frozen, strict, no unknown keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from cherenkov_mlops.tasks import TASKS


@dataclass(frozen=True)
class Expected:
    """What a value must be, in words, where its type alone does not say it.

    Parameters
    ----------
    words : str
        Such as ``a path``.
    is_path : bool
        Whether it names files, so that it resolves against the folder of its YAML file.
    names : mapping, optional
        Registry whose names are accepted; empty words then list them.
    """

    words: str = ""
    is_path: bool = False
    # Left out of the hash: a registry has none.
    names: Mapping[str, Any] | None = field(default=None, hash=False)


class Section(BaseModel):
    """One section of the YAML file; values are never converted between types silently."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        validate_default=True,
    )


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_task(name: str) -> str:
    if name not in TASKS:
        raise ValueError("unknown task")
    return name


def _as_path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value else value


_ONE_OR_MORE = (
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
)

FileList = Annotated[
    list[str],
    *_ONE_OR_MORE,
    Expected("a path, folder or pattern, or a list of them", is_path=True),
]
"""Paths, folders or glob patterns; a single one may stand without a list."""

FolderList = Annotated[
    list[str], *_ONE_OR_MORE, Expected("a folder or a list of them", is_path=True)
]
"""Folders; a single one may stand without a list."""

FilePath = Annotated[
    Path,
    BeforeValidator(_as_path),
    WithJsonSchema({"type": "string"}),
    Expected("a path", is_path=True),
]
"""One path."""

TaskName = Annotated[str, AfterValidator(_is_task), Expected(names=TASKS)]
"""Name of a task; which there are, the registry says when a configuration is checked."""

TaskList = Annotated[list[TaskName], BeforeValidator(_as_list), Field(min_length=1)]
"""Tasks; a single one may stand without a list."""

FileName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"),
    Expected("a name of letters, digits, '.', '_' and '-'"),
]
"""Text that is safe as the name of a folder."""

Fraction = Annotated[float, Field(gt=0, le=1)]
"""A share above 0 and up to 1."""
