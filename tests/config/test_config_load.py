"""Loading: values, places, paths, `extends`, and the configuration's own methods."""

import re
from pathlib import Path

import pytest

from cherenkov_mlops.config.load import load_config, open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import ConfigError, UserError
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.sweep.plan import is_sweep, load_sweep


def test_minimal_configuration_has_the_documented_defaults(write_yaml):
    config = load_config(write_yaml())
    assert config.data.mode == "mono"
    assert config.data.channels == ["cleaned_image", "cleaned_relative_peak_time"]
    assert config.model.type == "ResNet"
    assert config.train.optimizer.base_learning_rate == 1e-4
    assert config.train.early_stopping is None
    assert config.pruning is None


def test_numbers_are_read_as_yaml_1_2(write_yaml, minimal):
    config = load_config(write_yaml(minimal + "train: {optimizer: {base_learning_rate: 3e-5}}\n"))
    assert config.train.optimizer.base_learning_rate == 3e-5


def test_a_date_is_a_text(write_yaml, minimal):
    assert load_config(write_yaml(minimal.replace("first", "2024-05-01"))).run.name == "2024-05-01"


def test_paths_start_in_the_folder_of_the_file(write_yaml, tmp_path):
    config = load_config(write_yaml())
    assert config.data.train.signal == [str(tmp_path / "gammas.h5")]
    assert config.run_path == tmp_path / "runs" / "first"


def test_home_and_variables_are_replaced_in_paths(write_yaml, minimal, monkeypatch):
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    config = load_config(write_yaml(minimal.replace("gammas.h5", "[$SCRATCH/a.h5, ~/b.h5]")))
    assert config.data.train.signal == ["/scratch/me/a.h5", str(Path.home() / "b.h5")]


def test_locate_gives_line_and_column_or_the_nearest_place_above(write_yaml):
    path = write_yaml()
    config = load_config(path)
    assert config.locate("data.train.signal") == f"{path}:6:5"
    assert config.locate("data.train.signal[0]") == f"{path}:6:5"
    assert config.locate("data.mode") == f"{path}:4:1"
    assert config.locate("slurm.time") == str(path)


def test_a_configuration_made_in_python_has_no_places():
    config = RunConfig.model_validate({"run": {"name": "a"}, "task": "energy"})
    assert config.locate("task") == ""
    assert config.source is None


def test_the_resolved_configuration_loads_to_the_same_values(write_yaml, minimal, tmp_path):
    extra = """
model: {type: custom, file: my.py, class: Net, options: {depth: 3, note: "yes"}}
pruning: {final_sparsity: 0.8}
ctlearn: {DLImageReader: {skip_incompatible_files: true}}
"""
    config = load_config(write_yaml(minimal + extra))
    run_dir = RunDir(tmp_path / "elsewhere")
    config.write_to(run_dir)
    assert load_config(run_dir.resolved_config).dump() == config.dump()
    assert run_dir.config.read_text() == minimal + extra


@pytest.mark.parametrize("kind", ["SingleCNN", "ResNet"])
def test_dump_leaves_out_options_of_other_models(write_yaml, minimal, kind):
    dumped = load_config(write_yaml(minimal + f"model: {{type: {kind}}}\n")).dump()["model"]
    assert ("pooling_type" in dumped) == (kind == "SingleCNN")
    assert "load_model_from" not in dumped and "class" not in dumped


def test_null_switches_attention_and_pooling_off(write_yaml, minimal, tmp_path):
    text = "model: {type: SingleCNN, attention_mechanism: null, pooling_type: null}\n"
    config = load_config(write_yaml(minimal + text))
    again = load_config(write_yaml(minimal + "model: {type: SingleCNN}\n"))
    assert config.model.attention_mechanism is None and config.model.pooling_type is None
    assert again.model.attention_mechanism == "Dual-SE" and again.model.pooling_type == "max"


def test_changes_from_defaults_name_what_was_changed(write_yaml, minimal):
    extra = "train: {n_epochs: 3, lr_reducing: null}\nctlearn: {X: {y: 1}}\n"
    assert load_config(write_yaml(minimal + extra)).changes_from_defaults() == {
        "train.n_epochs": (10, 3),
        "train.lr_reducing": (
            {"factor": 0.5, "patience": 5, "min_delta": 0.01, "min_lr": 1e-6},
            None,
        ),
        "ctlearn.X": (None, {"y": 1}),
    }


def test_a_run_folder_stays_the_run_folder_after_a_move(write_yaml, tmp_path):
    config, run_dir = open_run(write_yaml())
    config.write_to(run_dir)
    moved = run_dir.path.rename(tmp_path / "moved")
    again, run_dir_again = open_run(moved)
    assert run_dir_again.path == moved
    assert again.dump() == config.dump()


def test_storing_from_the_run_folder_keeps_the_configuration_as_given(write_yaml, minimal):
    config, run_dir = open_run(write_yaml())
    config.write_to(run_dir)
    open_run(run_dir.path)[0].write_to(run_dir)
    assert run_dir.config.read_text() == minimal


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a YAML file or a run folder"):
        open_run(tmp_path)


def test_extends_fills_in_sections_and_replaces_lists(write_yaml, minimal):
    write_yaml(minimal + "train: {n_epochs: 3, batch_size: 8}\n", "base.yaml")
    child = "extends: base.yaml\nrun: {name: second}\ntrain: {n_epochs: 4}\n"
    child += "data: {channels: [image]}\n"
    config = load_config(write_yaml(child))
    assert (config.run.name, config.tasks) == ("second", ["energy"])
    assert (config.train.n_epochs, config.train.batch_size) == (4, 8)
    assert config.data.channels == ["image"]


def test_paths_of_a_base_start_in_its_own_folder(write_yaml, minimal, tmp_path):
    write_yaml(minimal, "shared/base.yaml")
    config = load_config(write_yaml("extends: shared/base.yaml\n"))
    assert config.data.train.signal == [str(tmp_path / "shared" / "gammas.h5")]
    assert config.run.dir == tmp_path / "runs"


def test_mistakes_in_a_base_point_into_the_base(write_yaml, minimal, tmp_path):
    write_yaml(minimal + "train:\n  n_epochs: 0\n", "base.yaml")
    path = write_yaml("extends: base.yaml\ntest: {threshold: 2}\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert error.value.problems == [
        f"{path}:2:8: test.threshold: expected 0 to 1, got 2; write 0.02 for 2 %",
        f"{tmp_path / 'base.yaml'}:8:3: train.n_epochs: "
        "expected a whole number of at least 1, got 0",
    ]


def test_a_circle_of_extends_is_one_line(write_yaml, minimal, tmp_path):
    write_yaml("extends: study.yaml\n", "base.yaml")
    path = write_yaml(minimal + "extends: base.yaml\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert error.value.problems == [
        f"{tmp_path / 'base.yaml'}:1:1: extends: 'study.yaml' extends itself in a circle"
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nothere.yaml", "no such file"),
        ("[1]", "expected the path of a YAML file, got a list of 1"),
    ],
)
def test_a_base_that_is_not_there_is_one_line(write_yaml, minimal, value, message):
    path = write_yaml(minimal + f"extends: {value}\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{path}:7:1: extends: {message}")


def test_merge_keys_work_and_are_overwritten(write_yaml, minimal):
    text = minimal + "test: &t {batch_size: 8}\ntrain: {<<: *t, n_epochs: 2}\n"
    config = load_config(write_yaml(text))
    assert (config.train.batch_size, config.train.n_epochs) == (8, 2)


CONFIGS = Path(__file__).parents[2] / "configs"


def shipped_studies() -> list[str]:
    """Names of the shipped YAML files, without those that only others extend."""
    texts = {path.name: path.read_text() for path in sorted(CONFIGS.glob("*.yaml"))}
    bases = re.findall(r"^extends: *(\S+)", "\n".join(texts.values()), re.MULTILINE)
    return [name for name in texts if name not in bases and not is_sweep(CONFIGS / name)]


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_configuration_loads(name):
    assert load_config(CONFIGS / name).run.name


@pytest.mark.parametrize(
    ("name", "n_runs"), [("study_compression.yaml", 153), ("study_compression_small.yaml", 72)]
)
def test_every_shipped_sweep_loads(name, n_runs):
    sweep = load_sweep(CONFIGS / name)
    assert len({config.run.name for config in sweep.runs}) == n_runs
    assert sum(config.pruning is None for config in sweep.runs) == n_runs / (
        17 if n_runs == 153 else 9
    )
