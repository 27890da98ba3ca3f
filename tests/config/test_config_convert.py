"""The predecessor's layout becomes ours and nothing is lost."""

import pytest
from ruamel.yaml import YAML

from cherenkov_mlops.config.convert import convert, convert_file
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import ConfigError

OLD = """\
prepare_model:
  model_type: CustomModel
  tasks: [type]
  input_shape: [96, 96, 2]
  num_classes: 2
  temp_dir: scratch
  CTLearnModel: {head_layers: {type: [64, 2]}}
  CustomModel: {model_filename: my_model.py, model_name: MyModel}
training_model:
  TrainCTLearnModel:
    output_dir: out/first
    input_dir_signal: gammas
    file_pattern_signal: [a_*.h5, b.h5]
    input_dir_background: protons
    file_pattern_background: ["*.dl1.h5"]
    model_type: LoadedModel
    reco_tasks: [type]
    n_epochs: 4
    batch_size: 32
    overwrite: true
    quiet: false
    percentage_per_epoch: 0.4
    log_level: DEBUG
    save_onnx: true
    pruning_model: {initial_sparsity: 0.1, final_sparsity: 0.8, begin_step: 10}
    early_stopping: {monitor: val_loss, patience: 4, verbose: 1, restore_best_weights: true}
    DLImageReader: {mode: mono, channels: [image], min_telescopes_of_type: 2}
"""


@pytest.fixture
def converted(write_yaml):
    text, warnings = convert_file(write_yaml(OLD, "old.yaml"))
    return load_config(write_yaml(text, "new.yaml")), warnings


def test_every_option_arrives(converted, tmp_path):
    config, _ = converted
    assert (config.tasks, config.run_path) == (["type"], tmp_path / "out" / "first")
    assert config.data.train.signal == [str(tmp_path / "gammas" / n) for n in ("a_*.h5", "b.h5")]
    assert config.data.train.background == [str(tmp_path / "protons" / "*.dl1.h5")]
    assert (config.data.mode, config.data.channels) == ("mono", ["image"])
    assert (config.model.type, config.model.class_name) == ("custom", "MyModel")
    assert config.model.file == tmp_path / "my_model.py"
    assert config.model.head_layers == {"type": [64, 2]}
    assert (config.train.n_epochs, config.train.batch_size) == (4, 32)
    assert config.train.early_stopping.patience == 4
    assert config.sampling.percentage_per_epoch == 0.4
    assert (config.pruning.final_sparsity, config.pruning.begin_step) == (0.8, 10)


def test_options_without_a_key_of_ours_go_to_ctlearn(converted):
    assert converted[0].ctlearn == {
        "TrainCTLearnModel": {"save_onnx": True},
        "DLImageReader": {"min_telescopes_of_type": 2},
    }


def test_what_has_no_place_is_listed(converted):
    listed = [warning.split(":")[0].split(".")[-1] for warning in converted[1]]
    assert listed == [
        "input_shape", "num_classes", "temp_dir", "model_type", "overwrite", "quiet", "log_level",
        "test",
    ]  # fmt: skip


def test_warnings_stand_as_comments_in_the_file(write_yaml):
    text, warnings = convert_file(write_yaml(OLD, "old.yaml"))
    assert [line[2:] for line in text.splitlines() if line.startswith("# ")] == warnings


def test_every_given_value_is_in_the_file_or_in_a_warning(write_yaml):
    marked = {"prepare_model": {"a": "v1", "CTLearnModel": {"b": "v2"}, "CustomModel": {"c": "v3"}}}
    marked["training_model"] = {
        "d": "v4",
        "TrainCTLearnModel": {"e": "v5", "reco_tasks": ["v6", "v7"], "pruning_model": {"f": "v8"}},
        "SomeTool": {"g": "v9", "Inner": {"h": "v10"}},
    }
    marked["other"] = {"i": "v11"}
    path = write_yaml("", "old.yaml")
    YAML().dump(marked, path)
    text, _ = convert_file(path)
    missing = [f"v{n}" for n in range(1, 12) if f"v{n}" not in text]
    assert missing == []


def test_percentages_become_fractions():
    old = {"training_model": {"TrainCTLearnModel": {
        "percentage_per_epoch": 40, "pruning_model": {"final_sparsity": 80}}}}  # fmt: skip
    values = convert(old, "x").values
    assert values["sampling"] == {"percentage_per_epoch": 0.4}
    assert values["pruning"] == {"final_sparsity": 0.8}


def test_several_tasks_are_kept_and_an_unsafe_name_is_a_warning():
    old = {"training_model": {"TrainCTLearnModel": {
        "reco_tasks": ["energy", "type"], "output_dir": "out/my run"}}}  # fmt: skip
    conversion = convert(old, "x")
    assert conversion.values["tasks"] == ["energy", "type"]
    assert conversion.values["run"]["name"] == "my_run"
    assert len([w for w in conversion.warnings if '"out/my run"' in w]) == 1


@pytest.mark.parametrize("text", ["run: {name: a}\n", "x", ""])
def test_another_layout_is_refused(write_yaml, text):
    with pytest.raises(ConfigError):
        convert_file(write_yaml(text, "old.yaml"))
