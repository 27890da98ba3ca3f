"""The graph of Keras models: private access pinned to versions, models in models written flat."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from ctlearn.core.model import LoadedModel
from traitlets.config import Config

from cherenkov_mlops.compression import graph
from cherenkov_mlops.compression.graph import flatten
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.layers import walk_layers
from small_networks import MODELS, SHAPE, build, energies, noise

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "cherenkov_mlops"
#: Versions of Keras with which all functions of ``compression/graph.py`` were tried.
TRIED = ("3.15.1",)
GATES = ["Dual-SE", "Channel-SE", "Spatial-SE"]


def is_flat(model: keras.Model) -> bool:
    """Whether no model is in the model."""
    return not any(isinstance(layer, keras.Model) for layer in model.layers)


@pytest.fixture
def nested():
    """A model in a model, with a layer in a layer, a Sequential one, and an operation."""
    inner_image = keras.Input((8, 8, 2))
    inner = keras.layers.Conv2D(4, 3, name="inner_conv")(inner_image)
    inner = keras.Model(inner_image, keras.layers.ReLU(name="relu")(inner), name="inner")
    head = keras.Sequential([keras.layers.Dense(3, name="head_dense")], name="head")
    image = keras.Input((8, 8, 2), name="image")
    each = keras.layers.TimeDistributed(keras.layers.Dense(5, name="wrapped"), name="wrapper")
    value = keras.ops.add(each(inner(image)), 1.0)
    pooled = keras.layers.GlobalMaxPooling2D(name="pool")(value)
    return keras.Model(image, head(pooled), name="outer")


def test_this_keras_was_tried():
    """A new Keras fails here first: then run this file, cure ``graph.py``, and add the version."""
    pins = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.findall(r"^keras==(.+)$", pins, re.MULTILINE) == [TRIED[-1]]
    assert keras.__version__ in TRIED, (
        f"compression/graph.py uses private attributes of Keras, tried with {', '.join(TRIED)}; "
        f"this is Keras {keras.__version__}"
    )


def test_layers_in_models_and_in_layers_are_found(nested):
    names = [layer.name for layer in graph.all_layers(nested)]
    wanted = ["inner", "inner_conv", "relu", "wrapper", "wrapped", "pool", "head", "head_dense"]
    assert [name for name in names if name in wanted] == wanted
    assert len(names) == len(set(names))
    public = [layer.name for layer in walk_layers(nested)]
    assert {"inner", "head", "wrapped"}.isdisjoint(public)
    assert [name for name in public if name in wanted] == [
        *("inner_conv", "relu", "wrapper", "pool", "head_dense")
    ]
    assert "inner" in [each.name for each in walk_layers(nested, lambda model: False)]


def test_own_weights_are_not_those_of_layers_within(nested):
    found = {layer.name: graph.has_own_weights(layer) for layer in graph.all_layers(nested)}
    assert found["inner_conv"] and found["wrapped"] and found["head_dense"]
    assert not (found["inner"] or found["wrapper"] or found["pool"] or found["head"])


def test_the_source_of_a_tensor_and_the_order_of_calls(nested):
    assert graph.source_of(nested.outputs[0]).name == "head"
    flat = flatten(nested)
    assert graph.source_of(flat.outputs[0]).name == "head_dense"
    calls = list(graph.calls_in(flat))
    names = [call.operation.name for call in calls]
    inner = ["inner_conv", "relu", "wrapper", "pool", "head_dense"]
    assert [name for name in names if name in inner] == inner
    for number, call in enumerate(calls):
        assert all(names.index(each.operation.name) < number for each in call.parent_nodes)
        assert len(call.outputs) == 1
        assert all(graph.source_of(each) is call.operation for each in call.outputs)
        assert len(call.input_tensors) == len(call.parent_nodes)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype(np.float32)
    np.testing.assert_array_equal(flat(images), nested(images))


def private_names_of_keras(model: keras.Model) -> set[str]:
    """Private attributes of models, layers, tensors and calls of operations."""
    conv = next(layer for layer in model.layers if layer.name == "inner").layers[1]
    call = next(graph.calls_in(model))
    things = [model, model.get_layer("head"), conv, conv.kernel, model.outputs[0], call]
    names = {name for thing in things for name in [*dir(thing), *vars(thing)]}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_private_attributes_of_keras_are_used_in_one_file_only(nested):
    private = private_names_of_keras(nested)
    assert {"_layers", "_nodes_by_depth", "_keras_history", "_functional"} <= private
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path == SOURCE / "compression" / "graph.py" or "keras" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in private:
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if owner not in ("self", "cls"):
                    found.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {node.attr}")
            elif isinstance(node, ast.Constant) and node.value in private:
                found.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {node.value}")
    assert found == []


@pytest.mark.parametrize("kind", MODELS)
def test_no_output_changes(kind, tmp_path):
    model = build(kind)
    assert not is_flat(model)
    flat = flatten(model)
    assert is_flat(flat) and flat.output_names == model.output_names
    assert {id(w) for w in flat.weights} == {id(w) for w in model.weights}
    expected = energies(model, noise())
    np.testing.assert_array_equal(energies(flat, noise()), expected)
    # Both can be saved, and come back as they were.
    for name, each in {"flat.keras": flat, "nested.keras": model}.items():
        each.save(tmp_path / name)
        loaded = keras.saving.load_model(tmp_path / name)
        assert is_flat(loaded) == (each is flat)
        np.testing.assert_array_equal(energies(loaded, noise()), expected)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("kind", ["SingleCNN", "basic", "bottleneck"])
def test_with_every_kind_of_attention(kind, gate):
    options = {"attention_mechanism": gate}
    if gate != "Spatial-SE":
        options["attention_reduction_ratio"] = 2
    model = build(kind, **options)
    np.testing.assert_array_equal(energies(flatten(model), noise()), energies(model, noise()))


def test_ctlearn_predicts_with_a_flat_model(tmp_path):
    """What CTLearn's tool does with a file: load it, and call ``predict_on_batch``."""
    model = build("basic")
    flatten(model).save(tmp_path / "flat.keras")
    loaded = keras.saving.load_model(tmp_path / "flat.keras")
    np.testing.assert_array_equal(
        loaded.predict_on_batch(noise())["energy"], model.predict_on_batch(noise())["energy"]
    )


def test_ctlearn_goes_on_with_a_nested_model(tmp_path):
    model = build("basic")
    flatten(model)
    model.save(tmp_path / "model.keras")
    traits = Config({"LoadedModel": {"load_model_from": str(tmp_path / "model.keras")}})
    loaded = LoadedModel(SHAPE, ["energy"], config=traits).model
    np.testing.assert_array_equal(energies(loaded, noise()), energies(model, noise()))


@keras.saving.register_keras_serializable("tests")
class Written(keras.Model):
    """A model with a ``call`` of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.convolution = keras.layers.Conv2D(4, 3, activation="relu", name="convolution")
        self.pool = keras.layers.GlobalAveragePooling2D()
        self.drop = keras.layers.Dropout(0.5)
        self.dense = keras.layers.Dense(1, name="energy")

    def call(self, images, training=None):
        """Absolute values of pooled images."""
        pooled = keras.ops.abs(self.pool(self.convolution(images)))
        return {"energy": self.dense(self.drop(pooled, training=training))}


class WithSlices(keras.Model):
    """A model that computes with numbers themselves."""

    def call(self, images):
        """Something that depends on values."""
        return images * float(np.asarray(images).sum())


def test_written_models_are_opened():
    alone = Written()
    expected = energies(alone, noise())
    np.testing.assert_array_equal(energies(flatten(alone), noise()), expected)
    images = keras.Input(SHAPE)
    nested = keras.Model(images, alone(images))
    flat = flatten(nested)
    assert is_flat(flat) and {"convolution", "energy"} <= {layer.name for layer in flat.layers}
    np.testing.assert_array_equal(energies(flat, noise()), expected)


def test_sequential_models_are_opened():
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()])
    model = keras.Sequential([keras.Input(SHAPE), inner, keras.layers.Dense(1)])
    flat = flatten(model)
    assert is_flat(flat)
    np.testing.assert_array_equal(np.asarray(flat(noise())), np.asarray(model(noise())))


def test_a_layer_stands_for_another():
    model = build("SingleCNN")
    flat = flatten(
        model,
        lambda layer: keras.layers.Identity() if layer.name.endswith("conv_2_1") else layer,
    )
    assert sum(isinstance(layer, keras.layers.Identity) for layer in flat.layers) == 1


def test_what_cannot_be_one_graph_is_refused_in_a_line():
    images = keras.Input(SHAPE)
    parts = [
        keras.Sequential([keras.layers.Conv2D(2, 3, name="same")], name=name)(images)
        for name in ("left", "right")
    ]
    model = keras.Model(images, keras.layers.Add()(parts), name="twins")
    with pytest.raises(UserError, match="export: twins: .* each layer with a name of its own, got"):
        flatten(model, what="export")
    odd = WithSlices(name="odd")
    odd(noise())
    with pytest.raises(UserError, match="model: odd: expected layers and keras.ops") as caught:
        flatten(odd)
    assert "\n" not in str(caught.value)
