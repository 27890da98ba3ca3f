"""The schema as a page of tables and as JSON Schema for editors."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.words import fields_of, type_of_field
from cherenkov_mlops.tasks import TASKS

_INTRODUCTION = """\
# Configuration

Made from the schema by `cherenkov-mlops config schema --markdown`; do not edit.

One YAML file describes one run. `cherenkov-mlops init` writes one to start from,
`cherenkov-mlops config check study.yaml` finds all mistakes at once, and
`cherenkov-mlops config show study.yaml` prints it with every default filled in.

- Only `run.name`, `tasks` (or `task`, for one) and the files in `data` must be given.
- Values are YAML 1.2: `1e-4` is a number, `yes` is a text (write `true`). A key that stands twice,
  or that nobody knows, is a mistake.
- Relative paths start in the folder of the YAML file that holds them. `~` and `$VARIABLE` are
  replaced. On the command line they start in the current folder.
- `extends: base.yaml` takes everything from another file first: sections are filled in key by key,
  lists and values are replaced as a whole. That file may extend another one.
- `-o train.n_epochs=5` on the command line changes one option; it may be repeated.
- Shares are fractions: write `0.4` for 40 %.
"""


def make_markdown() -> str:
    """Describe every option on a page: what it expects, its default, what it does."""
    fields = fields_of(RunConfig).items()
    top = [_row(key, info) for key, info in fields if not type_of_field(info).section]
    tables = [_table("Outside the sections", "", top), *_sections(RunConfig, "")]
    return "\n".join([_INTRODUCTION, *tables])


def _sections(section: type[BaseModel], above: str) -> Iterator[str]:
    """Make the tables of all sections below one, parents first."""
    for key, info in fields_of(section).items():
        kind = type_of_field(info)
        below = kind.section or kind.item_section
        if below:
            name = f"{above}{key}" if kind.section else f"{above}{key}[]"
            rows = [_row(field, details) for field, details in fields_of(below).items()]
            yield _table(f"`{name}`", info.description or "", rows)
            yield from _sections(below, f"{name}.")


def _table(title: str, text: str, rows: list[str]) -> str:
    head = ["| key | expected | default | what it does |", "|---|---|---|---|"]
    return "\n".join([f"## {title}\n", *([f"{text}\n"] if text else []), *head, *rows, ""])


def _row(key: str, info: FieldInfo) -> str:
    default = info.get_default()
    text = default if isinstance(default, str) else json.dumps(default, default=str)
    shown = f"`{text.strip('"')}`"
    if info.is_required() or isinstance(default, BaseModel):
        shown = "(required)" if info.is_required() else "see below"
    cells = [f"`{key}`", type_of_field(info).describe(), shown, info.description]
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"


def make_json_schema() -> str:
    """Make the JSON Schema (draft 2020-12) of the YAML file, as text."""
    schema = RunConfig.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "cherenkov-mlops run"
    extends = {"type": "string", "description": "YAML file that this one takes its options from."}
    names = {"enum": list(TASKS)}
    task = {"description": "The task of a run that has one, in place of `tasks`."} | names
    schema["properties"] = {"extends": extends, "task": task} | schema["properties"]
    schema["properties"]["tasks"]["items"] = names
    for head in ("head_layers", "head_activation_function"):
        # Of the section or null.
        section = schema["$defs"]["ModelSection"]["properties"][head]["anyOf"][0]
        section["propertyNames"] = names
    return json.dumps(_without_required(schema), indent=2) + "\n"


def _without_required(schema: Any) -> Any:
    # With `extends` a file may leave out anything, so an editor must not ask for it.
    if isinstance(schema, dict):
        return {
            key: _without_required(value)
            for key, value in schema.items()
            if not (key == "required" and isinstance(value, list))
        }
    return [_without_required(item) for item in schema] if isinstance(schema, list) else schema
