"""Models in models written as one graph: every kind, same numbers."""

import keras
import numpy as np
import pytest
from ctlearn.core.model import LoadedModel
from traitlets.config import Config

from cherenkov_mlops.compression.flattening import flatten
from cherenkov_mlops.errors import UserError
from small_networks import MODELS, SHAPE, build, energies, noise

GATES = ["Dual-SE", "Channel-SE", "Spatial-SE"]


def is_flat(model: keras.Model) -> bool:
    """Whether no model is in the model."""
    return not any(isinstance(layer, keras.Model) for layer in model.layers)


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
