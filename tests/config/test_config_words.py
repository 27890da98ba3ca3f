"""What an option expects, in words; and that every option says what it does."""

import ast
from importlib.util import find_spec
from typing import get_args

import pytest

from cherenkov_mlops.config.data_section import Mapper
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.words import (
    default_at,
    field_at,
    fields_of,
    find_paths,
    show,
    type_at,
    type_of_field,
)
from cherenkov_mlops.tasks import TASKS


def all_options(section=RunConfig, above=""):
    for key, info in fields_of(section).items():
        yield f"{above}{key}", info
        kind = type_of_field(info)
        below = kind.section or kind.item_section
        if below:
            yield from all_options(below, f"{above}{key}.")


@pytest.mark.parametrize("key", [key for key, _ in all_options()])
def test_every_option_is_described_in_a_sentence(key):
    description = dict(all_options())[key].description
    assert description and description.endswith(".")


@pytest.mark.parametrize("key", [key for key, _ in all_options()])
def test_every_option_says_what_it_expects(key):
    words = type_of_field(dict(all_options())[key]).describe()
    assert words and "typing" not in words and "<class" not in words


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("train", "n_epochs"), "a whole number of at least 1"),
        (("train", "optimizer", "base_learning_rate"), "a number above 0"),
        (("train", "lr_reducing", "factor"), "a number above 0 and below 1"),
        (("run", "seed"), "a whole number from 0 to 4294967295"),
        (("data", "allowed_tels"), "a list, each item a whole number of at least 0 or null"),
        (("data", "quality_criteria", 0), "a pair [name, expression]"),
        (("model", "file"), "a path or null"),
        (("ctlearn", "ResNet", "x"), "any value"),
    ],
)
def test_kinds_in_words(key, words):
    assert type_at(RunConfig, key).describe() == words


def test_options_that_do_not_exist_are_none():
    assert type_at(RunConfig, ("train", "nothing")) is None
    assert type_at(RunConfig, ("tasks", 0, "below")) is None
    assert field_at(RunConfig, ("task", "below")) is None
    assert default_at(RunConfig, ("run", "name")) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ({}, "an empty section"), ([1, 2], "a list of 2"),
     ("a\nb", "'a b'"), ("x" * 99, "'" + "x" * 57 + "...'"), (1e-4, "0.0001")],
)  # fmt: skip
def test_values_are_shown_as_written(value, text):
    assert show(value) == text


def test_the_tasks_of_the_schema_are_the_known_tasks():
    assert type_at(RunConfig, ("tasks", 0)).choices == tuple(TASKS)


def test_the_mappers_are_those_of_the_installed_reader():
    source = find_spec("dl1_data_handler").submodule_search_locations[0] + "/image_mapper.py"
    with open(source, encoding="utf-8") as stream:
        classes = [node for node in ast.parse(stream.read()).body if isinstance(node, ast.ClassDef)]
    known = {node.name for node in classes if "ImageMapper" in [b.id for b in node.bases]}
    assert known == set(get_args(Mapper))


def test_paths_are_found_in_all_sections():
    assert set(find_paths(RunConfig)) == {
        ("run", "dir"),
        *(
            ("data", part, label)
            for part in ("train", "test")
            for label in ("signal", "background")
        ),
        ("data", "cache_dir"),
        ("data", "cache_local_dir"),
        ("model", "file"),
        ("model", "load_model_from"),
        ("test", "with_runs"),
        ("export", "of"),
        ("slurm", "image"),
    }
