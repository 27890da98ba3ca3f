"""Models of every origin: built, checked, frozen, fine-tuned."""

from pathlib import Path

import keras
import numpy as np
import pytest

import cherenkov_mlops.models.template as template
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.cost import count_flops, count_multiply_accumulates, model_facts
from cherenkov_mlops.models.keras_model import build_model, load_model_file, summarise
from cherenkov_mlops.pipeline import chain as run
from simulated import load_study, study, write_study

SHAPE = (48, 48, 2)
HEADS = {"type": [8, 2], "energy": [8, 1], "cameradirection": [8, 2], "skydirection": [8, 2]}
TEMPLATE = {
    "type": "custom",
    "file": template.__file__,
    "class": "TemplateModel",
    "options": {"filters": [4, 4]},
    "head_layers": HEADS,
}


@pytest.fixture
def build(dl1_files, tmp_path):
    """Function that builds a model from the section ``model`` of a configuration."""

    def make(model: dict, task: str = "energy", shape=SHAPE) -> keras.Model:
        content = study(task, dl1_files) | {"model": model}
        return build_model(load_config(write_study(tmp_path, content)), shape)

    return make


@pytest.mark.parametrize("task", ["type", "energy", "cameradirection"])
@pytest.mark.parametrize(
    "model",
    [
        {
            "type": "SingleCNN",
            "pooling_type": None,
            "batchnorm": True,
            "bottleneck_filters": 4,
            "attention_mechanism": None,
        },
        {"type": "SingleCNN", "pooling_type": "average", "attention_mechanism": "Dual-SE"},
        {"type": "ResNet", "residual_block_type": "basic", "attention_mechanism": None},
        {"type": "ResNet", "residual_block_type": "bottleneck", "attention_mechanism": "Dual-SE"},
        {"type": "ResNet", "residual_block_type": "basic", "attention_mechanism": "Spatial-SE"},
        {"type": "ResNet", "residual_block_type": "basic", "attention_mechanism": "Channel-SE"},
    ],
)
def test_shipped_models(build, model, task):
    blocks = {"SingleCNN": {"kernel_size": 3, "number": 1}, "ResNet": {"blocks": 1}}
    architecture = [{"filters": 4} | blocks[model["type"]]] * 2
    ratio = {"attention_reduction_ratio": 2} if model.get("attention_mechanism") else {}
    built = build(model | ratio | {"architecture": architecture, "head_layers": HEADS}, task)
    names = " ".join(layer.name for layer in built.layers[1].layers)
    assert ("pool_1" in names) == (model.get("pooling_type") is not None)
    endings = {"Dual-SE": "dse", "Channel-SE": "cse", "Spatial-SE": "sse", None: ""}
    assert endings[model.get("attention_mechanism")] in names
    assert built.input_shape == (None, *SHAPE)


def test_null_means_no_attention(build):
    plain = build({"type": "SingleCNN", "attention_mechanism": None, "head_layers": HEADS})
    dual = build({"type": "SingleCNN", "head_layers": HEADS})
    assert plain.count_params() < dual.count_params()


def test_the_seed_decides_the_weights(build, dl1_files, tmp_path):
    first, again = (build(TEMPLATE).get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    content = study("energy", dl1_files, run={"seed": 4}) | {"model": TEMPLATE}
    other = build_model(load_config(write_study(tmp_path, content)), SHAPE).get_weights()
    assert not np.array_equal(first[0], other[0])


def test_the_template_runs_through_all_stages(dl1_files, tmp_path):
    content = study("type", dl1_files, train={"n_epochs": 1}) | {"model": TEMPLATE}
    config, run_dir = load_study(tmp_path, content)
    run.run(config, run_dir)
    assert run_dir.custom_model.read_text() == Path(template.__file__).read_text()
    assert run_dir.report.exists()


def test_a_frozen_backbone_has_only_a_head_to_train(build):
    frozen = build(TEMPLATE | {"trainable_backbone": False})
    free = build(TEMPLATE)
    assert 0 < len(frozen.trainable_weights) < len(free.trainable_weights)
    assert all("fc_energy" in w.path or "energy" in w.path for w in frozen.trainable_weights)


def test_a_backbone_replaced_by_that_of_another_run(build, tmp_path):
    trained = build(TEMPLATE, "type")
    trained.save(tmp_path / "other.keras")
    options = {"filters": [4, 4], "load_backbone_from": str(tmp_path / "other.keras")}
    built = build(TEMPLATE | {"options": options})
    pairs = zip(trained.layers[1].get_weights(), built.layers[1].get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_fine_tuning_with_a_new_head(build, completed_runs):
    _, type_run = completed_runs["type"]
    section = {
        "type": "loaded",
        "load_model_from": str(type_run.trained_model),
        "overwrite_head": True,
        "trainable_backbone": False,
        "head_layers": HEADS,
    }
    model = build(section)
    assert list(model(np.zeros((1, *SHAPE), np.float32))) == ["energy"]
    assert all("energy" in weight.path for weight in model.trainable_weights)


def test_fine_tuning_runs(dl1_files, completed_runs, tmp_path):
    _, energy_run = completed_runs["energy"]
    section = {"type": "loaded", "load_model_from": str(energy_run.trained_model)}
    content = study("energy", dl1_files, train={"n_epochs": 1}) | {"model": section}
    config, run_dir = load_study(tmp_path, content)
    run.run(config, run_dir)
    assert run_dir.metrics.exists()


CUSTOM = """
import keras

class Wrong:
    def __init__(self, input_shape, tasks, size=3, scale=1.0):
        image = keras.Input(input_shape)
        x = keras.layers.GlobalAveragePooling2D()(image)
        x = keras.layers.Dense(size, name="out")(x)
        self.model = keras.Model(image, {"energy": x * scale})

class NoModel:
    def __init__(self, input_shape, tasks):
        pass

class OtherInput:
    def __init__(self, input_shape, tasks):
        image = keras.Input((10, 10, 1))
        x = keras.layers.GlobalAveragePooling2D()(image)
        self.model = keras.Model(image, {"energy": keras.layers.Dense(1)(x)})

class NotProbabilities:
    def __init__(self, input_shape, tasks):
        image = keras.Input(input_shape)
        x = keras.layers.GlobalAveragePooling2D()(image)
        self.model = keras.Model(image, keras.layers.Dense(2)(x))
"""


@pytest.mark.parametrize(
    ("section", "task", "words"),
    [
        ({"class": "Wrong"}, "energy", "expects the output {'energy': (n, 1)}, got {'energy': (n"),
        ({"class": "Wrong"}, "type", "expects the output (n, 2), got {'energy'"),
        ({"class": "Wrong", "options": {"size": 1, "scale": float("inf")}}, "energy", "finite"),
        ({"class": "Wrong", "options": {"sise": 1}}, "energy", "sise"),
        ({"class": "NoModel"}, "energy", "expected a keras.Model"),
        ({"class": "OtherInput"}, "energy", "expected input (48, 48, 2)"),
        ({"class": "NotProbabilities"}, "type", "add up to 1"),
        ({"class": "Wrnog"}, "energy", "did you mean 'Wrong'?"),
    ],
)
def test_a_custom_model_that_does_not_fit(build, tmp_path, section, task, words):
    (tmp_path / "my_model.py").write_text(CUSTOM)
    section = {"type": "custom", "file": str(tmp_path / "my_model.py"), **section}
    infinite = (section.get("options") or {}).get("scale") == float("inf")
    if infinite:
        section["options"] = {"size": 1, "scale": 1e39}
    with pytest.raises(UserError) as caught:
        build(section, task)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_model_file_that_cannot_be_imported(build, tmp_path):
    (tmp_path / "my_model.py").write_text("import no_such_package\n")
    section = {"type": "custom", "file": str(tmp_path / "my_model.py"), "class": "X"}
    with pytest.raises(UserError, match="no_such_package"):
        build(section)


def test_operations_of_a_known_model():
    image = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(x))
    by_hand = 8 * 8 * 4 * 3 * 3 * 2 + 8 * 8 * 4 * 3
    assert count_multiply_accumulates(model) == by_hand
    assert count_flops(model) == pytest.approx(2 * by_hand, rel=0.02)


def test_facts_of_a_saved_model(completed_runs):
    _, run_dir = completed_runs["type"]
    model = load_model_file(run_dir.trained_model)
    facts = model_facts(model)
    assert facts["n_parameters"] == model.count_params() >= facts["n_nonzero_parameters"]
    assert facts["model_size_zipped_mb"] < facts["model_size_mb"]
    # The file of the training holds the optimizer's state as well.
    assert facts["model_size_mb"] * 1e6 < run_dir.trained_model.stat().st_size
    assert 0 <= facts["sparsity"] < 0.5
    assert "SingleCNN_block" in summarise(model)
