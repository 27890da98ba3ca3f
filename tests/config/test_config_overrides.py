"""Overrides: values as in YAML, places of their own, every mistake one line."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import ConfigError


def test_an_override_wins_and_knows_its_place(write_yaml, minimal):
    path = write_yaml(minimal + "train: {n_epochs: 3}\n")
    config = load_config(path, ["train.n_epochs=5", "train.optimizer.base_learning_rate=1e-3"])
    assert config.train.n_epochs == 5
    assert config.train.optimizer.base_learning_rate == 1e-3
    assert config.locate("train.n_epochs") == "-o train.n_epochs"


@pytest.mark.parametrize(
    ("override", "section", "name", "value"),
    [
        ("train.lr_reducing=null", "train", "lr_reducing", None),
        ("train.lr_reducing=", "train", "lr_reducing", None),
        ("data.channels=[image]", "data", "channels", ["image"]),
        ("report.title=a=b", "report", "title", "a=b"),
        ("report.title='12'", "report", "title", "12"),
    ],
)
def test_values_are_yaml(write_yaml, override, section, name, value):
    assert getattr(getattr(load_config(write_yaml(), [override]), section), name) == value


def test_later_overrides_win(write_yaml):
    assert load_config(write_yaml(), ["run.seed=1", "run.seed=2"]).run.seed == 2


def test_paths_start_in_the_current_folder(write_yaml, tmp_path, monkeypatch):
    path = write_yaml()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = load_config(path, ["run.dir=out"])
    assert config.run.dir == tmp_path / "here" / "out"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.n_epoch=5", "-o train.n_epoch: unknown key; did you mean 'n_epochs'?"),
        ("train.n_epochs=x", "-o train.n_epochs: expected a whole number of at least 1, got 'x'"),
        ("train={n_epochs: 0}",
         "-o train: train.n_epochs: expected a whole number of at least 1, got 0"),
        ("train.n_epochs", "-o train.n_epochs: expected key=value, such as train.n_epochs=5"),
        ("=5", "-o : expected key=value, such as train.n_epochs=5"),
        ("train..x=5", "-o train..x: expected key=value, such as train.n_epochs=5"),
        ("task.name=5", "-o task.name: 'task' is a value, not a section"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_the_override(write_yaml, override, expected):
    with pytest.raises(ConfigError) as error:
        load_config(write_yaml(), [override])
    assert error.value.problems == [expected]


def test_mistakes_of_overrides_come_after_those_of_the_file(write_yaml, minimal):
    path = write_yaml(minimal + "test: {threshold: x}\n")
    with pytest.raises(ConfigError) as error:
        load_config(path, ["train.n_epochs=0"])
    assert [problem.split(": ")[0] for problem in error.value.problems] == [
        f"{path}:7:8",
        "-o train.n_epochs",
    ]


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(override=st.text(max_size=30) | st.from_regex(r"(train|data|run)[.a-z]*=.*", fullmatch=True))
def test_any_override_loads_or_complains(write_yaml, override):
    try:
        load_config(write_yaml(), [override])
    except ConfigError as error:
        assert error.problems and all("\n" not in problem for problem in error.problems)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(1e-12, 10))
def test_numbers_come_back_exactly(write_yaml, seed, rate):
    overrides = [f"run.seed={seed}", f"train.optimizer.base_learning_rate={rate!r}"]
    config = load_config(write_yaml(), overrides)
    assert (config.run.seed, config.train.optimizer.base_learning_rate) == (seed, rate)
