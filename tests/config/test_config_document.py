"""The page about the options and the JSON Schema follow the schema."""

import json
from pathlib import Path

from cherenkov_mlops.config.document import make_json_schema, make_markdown
from cherenkov_mlops.tasks import TASKS

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == make_markdown(), (
        "run: cherenkov-mlops config schema --markdown --output docs/config.md --force"
    )


def test_the_page_has_a_row_for_options_of_every_depth():
    page = make_markdown()
    for row in ("| `tasks` |", "| `n_epochs` |", "| `base_learning_rate` |", "| `blocks` |"):
        assert row in page


def test_the_json_schema_knows_the_sections_and_forbids_others():
    schema = json.loads(make_json_schema())
    assert {"extends", "run", "data", "task", "tasks", "ctlearn"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_the_json_schema_requires_nothing_as_a_base_file_may_give_it():
    schema = json.loads(make_json_schema())
    assert not [name for name, part in schema["$defs"].items() if "required" in part]


def test_the_json_schema_takes_one_file_without_a_list():
    files = json.loads(make_json_schema())["$defs"]["FileSets"]["properties"]["signal"]
    assert {"type": "string"} in files["anyOf"]


def test_the_json_schema_names_the_registered_tasks():
    schema = json.loads(make_json_schema())
    head = schema["$defs"]["ModelSection"]["properties"]["head_layers"]["anyOf"][0]
    names = [
        schema["properties"]["task"]["enum"],
        schema["properties"]["tasks"]["items"]["enum"],
        head["propertyNames"]["enum"],
    ]
    assert names == [list(TASKS)] * 3
