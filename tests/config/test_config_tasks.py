"""One task or a list of them: either spelling means the same, and messages keep to it."""

from dataclasses import replace

import pytest

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.template import make_template
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.data.files import labels_of
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.tasks import TASKS, DL2Place

CONTENT = {"run": {"name": "first"}}


def problems_of(path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(path, overrides)
    return [problem.replace(f"{path}", path.name) for problem in error.value.problems]


@pytest.mark.parametrize(
    "spelling", ["task: energy", "tasks: [energy]", "tasks:\n  - energy", "tasks: energy"]
)
def test_one_task_is_a_list_of_one(write_yaml, minimal, spelling):
    config = load_config(write_yaml(minimal.replace("task: energy", spelling)))
    assert config.tasks == ["energy"]
    assert config.dump()["tasks"] == ["energy"]
    assert "task" not in config.dump()
    assert "tasks" not in config.changes_from_defaults()
    assert load_config(write_yaml(to_yaml(config.dump()), "again.yaml")).dump() == config.dump()


def test_both_spellings_at_once_are_a_mistake(write_yaml, minimal):
    assert problems_of(write_yaml(minimal + "tasks: [energy]\n")) == [
        "study.yaml:3:1: task: stands beside tasks; write one of them"
    ]


@pytest.mark.parametrize("base", ["task: type", "tasks: [type]"])
@pytest.mark.parametrize("upper", ["task: energy", "tasks: [energy]"])
def test_the_upper_file_and_the_override_win_in_either_spelling(write_yaml, minimal, base, upper):
    write_yaml(minimal.replace("task: energy", base), "base.yaml")
    path = write_yaml(f"extends: base.yaml\n{upper}\n")
    config = load_config(path)
    assert config.tasks == ["energy"]
    assert config.locate("tasks") == f"{path}:2:1"
    for override in ("task=cameradirection", "tasks=[cameradirection]"):
        config = load_config(path, [override])
        assert config.tasks == ["cameradirection"]
        assert config.locate("tasks") == f"-o {override.partition('=')[0]}"
    assert load_config(path, ["tasks=[energy]", "task=cameradirection"]).tasks == [
        "cameradirection"
    ]


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("task: energi", "3:1: task: expected one of type, energy, cameradirection, skydirection, "
         "got 'energi'; did you mean 'energy'?"),
        ("tasks: [type, energi]", "3:15: tasks[1]: expected one of type, energy, cameradirection, "
         "skydirection, got 'energi'; did you mean 'energy'?"),
        ("task: [energy]", "3:1: task: expected one of type, energy, cameradirection, "
         "skydirection, got a list of 1"),
        ("task:", "3:1: task: expected one of type, energy, cameradirection, skydirection, "
         "got null"),
        ("tasks: []", "3:1: tasks: expected a list, each item one of type, energy, "
         "cameradirection, skydirection, got an empty list"),
        ("tasks: [energy, energy]", "3:17: tasks[1]: energy stands twice; leave one out"),
        ("tasks: [energy, cameradirection]", "3:1: tasks: one network learns one task as yet; "
         "write one, and name trained runs of the others in test.with_runs"),
    ],
)  # fmt: skip
def test_a_wrong_task_is_one_line_in_its_spelling(write_yaml, minimal, spelling, expected):
    path = write_yaml(minimal.replace("task: energy", spelling))
    assert problems_of(path) == [f"study.yaml:{expected}"]


def test_a_wrong_override_is_named_as_it_was_written(write_yaml):
    assert problems_of(write_yaml(), "task=typ")[0].startswith("-o task: expected one of type, ")
    assert problems_of(write_yaml(), "task.x=3")[0].startswith("-o task.x: ")
    assert problems_of(write_yaml(), "tasks.x=3")[0].startswith("-o tasks.x: tasks: expected a ")
    assert problems_of(write_yaml(), "tasks=[typ]")[0].startswith("-o tasks: tasks[0]: expected ")


def test_each_task_has_to_fit_the_mode(write_yaml, minimal):
    path = write_yaml(minimal.replace("task: energy", "tasks: [energy, skydirection]"))
    assert "study.yaml:4:1: data.mode: task skydirection needs mode stereo, got mono; write " in (
        "\n".join(problems_of(path))
    )


def test_a_list_is_what_stands_below_the_configuration():
    config = RunConfig.model_validate(CONTENT | {"tasks": ["energy", "type"]})
    assert config.tasks == ["energy", "type"]
    assert labels_of(config.tasks) == ("signal", "background")
    assert labels_of(["energy"]) == ("signal",)


@pytest.fixture
def new_task(monkeypatch):
    """A task as a package would add it: of one mode, and without one for the other mode."""
    task = replace(
        TASKS["energy"],
        name="impact",
        modes=("mono",),
        dl2=DL2Place(group="impact", prefix="Impact", columns={"distance": "reco_impact"}),
    )
    monkeypatch.setitem(TASKS._entries, "impact", task)
    return task


def test_a_new_task_of_one_mode_is_checked_like_any(write_yaml, minimal, new_task):
    path = write_yaml(minimal.replace("task: energy", "task: impact"))
    assert load_config(path).tasks == ["impact"]
    stereo = ["data.mode=stereo", "data.stack_telescope_images=true"]
    assert problems_of(path, *stereo) == [
        "-o data.mode: task impact needs mode mono, got stereo; write mono"
    ]
    heads = "model: {head_layers: {impact: [8, 2]}}\n"
    assert (
        "expected 1 neurons in the last layer, got 2"
        in problems_of(write_yaml(minimal.replace("energy", "impact") + heads))[0]
    )
    assert load_config(write_yaml(make_template("impact", "SST1M", "a"))).tasks == ["impact"]


def test_two_tasks_of_one_place_are_refused(write_yaml, minimal, new_task, monkeypatch):
    same = replace(new_task, dl2=TASKS["energy"].dl2)
    monkeypatch.setitem(TASKS._entries, "impact", same)
    path = write_yaml(minimal.replace("task: energy", "tasks: [energy, impact]"))
    assert "study.yaml:3:17: tasks[1]: impact and energy have one place in DL2 files; leave " in (
        "\n".join(problems_of(path))
    )
