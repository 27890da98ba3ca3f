"""Half precision while training, float32 in what is saved."""

import keras
import numpy as np
import pytest

from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.stages import prepare, train
from cherenkov_mlops.training.backup import read_backup
from cherenkov_mlops.training.precision import as_float32, use_mixed_precision
from simulated import load_study, study


def make_model(task: str) -> keras.Model:
    """A nested model as CTLearn builds them."""
    image = keras.Input((8, 8, 1))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    block = keras.Model(image, features, name="x_block")
    value = keras.layers.Dense(2, name=task)(block(image))
    output = keras.layers.Softmax()(value) if task == "type" else {task: value}
    return keras.Model(image, output)


@pytest.mark.parametrize("task", ["type", "energy"])
def test_the_output_stays_float32(task):
    model = make_model(task)
    use_mixed_precision(model)
    images = np.ones((3, 8, 8, 1), "f4")
    (output,) = keras.tree.flatten(model(images))
    assert output.dtype == "float32"
    (block,) = [layer for layer in model.layers if layer.name == "x_block"]
    assert block(images).dtype == "float16"
    assert {variable.dtype for variable in model.variables} == {"float32"}
    model.compile("adam", "mse")
    with as_float32(model):
        assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}
        assert type(model.optimizer) is keras.optimizers.Adam
    assert block.compute_dtype == "float16"
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_a_model_in_full_precision_is_left_alone():
    model = make_model("type")
    model.compile("adam", "mse")
    optimizer = model.optimizer
    with as_float32(model):
        assert model.optimizer is optimizer


@pytest.mark.parametrize("option", ["mixed_precision", "xla"])
def test_a_run_with_the_option(dl1_files, tmp_path, option):
    over = {"train": {option: True, "n_epochs": 2}}
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, **over))
    prepare.run(config, run_dir)
    train.run(config, run_dir)
    assert not run_dir.backup.exists()
    # With its optimizer, as stock CTLearn does; a warning would be an error here.
    model = keras.saving.load_model(run_dir.trained_model)
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    chain.test(config, run_dir)
    assert run_dir.metrics.exists()
    assert read_backup(run_dir.backup) is None
