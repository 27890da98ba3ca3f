"""Ranges found after the training: what is scaled leaves no trace, and errors are as foretold."""

import keras
import numpy as np
import pytest

from cherenkov_mlops.compression.graph import flatten
from cherenkov_mlops.compression.quantization.aware import make_aware
from cherenkov_mlops.compression.quantization.calibrating import (
    Limits,
    calibrated,
    find_limits,
    for_scaled_images,
    is_scaled,
    last_bias,
    layers_of_images,
    output_errors,
    rms,
    scale_first,
    smallest,
)
from cherenkov_mlops.compression.quantization.rounding import Range
from cherenkov_mlops.models.keras_model import predict
from small_networks import MODELS, build, noise

#: Charge and time: numbers of very different size.
SIZES = np.array([300, 0.5], dtype=np.float32)

#: A normalisation of the images is no convolution.
OPTIONS = {"SingleCNN": {"batchnorm": False}}


def images(n: int, seed: int = 1, bright: float = 4) -> np.ndarray:
    """Noise whose channels have these sizes, with a few bright pixels."""
    values = np.abs(np.random.default_rng(seed).normal(size=(n, 16, 16, 2))) * SIZES
    values[:: max(n // 4, 1), 0, 0, 0] *= bright
    return values.astype(np.float32)


def conv_model(*before, units: int = 1, activation: str = "linear") -> keras.Model:
    """A small network; layers before its first convolution are given."""
    given = keras.Input((16, 16, 2))
    value = given
    for layer in before:
        value = layer(value)
    value = keras.layers.Conv2D(4, 3, activation="relu", name="first")(value)
    value = keras.layers.GlobalAveragePooling2D()(value)
    return keras.Model(given, keras.layers.Dense(units, activation=activation)(value))


@pytest.mark.parametrize("kind", MODELS)
def test_scaled_images_and_kernels_give_the_same(kind):
    model, seen = build(kind, **OPTIONS.get(kind, {})), noise(4)
    layers, limits = layers_of_images(model), np.array([3.0, 0.25], dtype=np.float32)
    assert layers
    expected = predict(model, seen)
    with for_scaled_images(layers, limits):
        np.testing.assert_allclose(
            predict(scale_first(flatten(model), limits), seen), expected, rtol=1e-4, atol=1e-5
        )
        assert np.abs(predict(model, seen) - expected).max() > 1e-3
    np.testing.assert_array_equal(predict(model, seen), expected)


def test_what_is_before_the_convolution_decides():
    assert [layer.name for layer in layers_of_images(conv_model())] == ["first"]
    through = conv_model(keras.layers.ZeroPadding2D(), keras.layers.MaxPooling2D())
    assert [layer.name for layer in layers_of_images(through)] == ["first"]
    assert layers_of_images(conv_model(keras.layers.BatchNormalization())) == []
    assert layers_of_images(conv_model(keras.layers.Activation("tanh"))) == []
    twice = keras.layers.Conv2D(2, 3, padding="same")
    assert layers_of_images(conv_model(twice, twice)) == []


def test_first_order_errors_of_a_linear_network_are_exact():
    given = keras.Input((4, 4, 2))
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(given, dense(keras.layers.Flatten()(given)))
    seen = np.random.default_rng(2).normal(size=(5, 4, 4, 2)).astype(np.float32)
    ways = [Limits(-3.0, 3.0), Limits(-0.5, 0.5)]
    errors = output_errors(model, seen, of_channels=[ways, ways])
    for channel, found in enumerate(errors):
        for way, each in zip(ways, found, strict=True):
            rounded = seen.copy()
            rounded[..., channel] = keras.quantizers.fake_quant_with_min_max_vars(
                seen[..., channel], way.low, way.high, num_bits=8
            )
            difference = predict(model, rounded) - predict(model, seen)
            np.testing.assert_allclose(each.T, difference, atol=1e-5)
    assert smallest(errors[0], without_mean=False) == 0


def test_a_mean_error_counts_only_where_it_stays():
    errors = np.array([[[1.0, 1.0], [-2.0, -2.0]], [[-0.1, 0.0], [0.0, 0.2]]])
    assert smallest(errors, without_mean=True) == 0
    assert smallest(errors, without_mean=False) == 1
    assert rms(np.array([3.0, -4.0])) == pytest.approx(12.5**0.5)


def test_each_channel_is_cut_by_itself():
    model = conv_model()
    limits = find_limits(model, images(64), without_mean=True)
    assert limits[0] > 20 * limits[1]
    assert limits[1] <= images(64)[..., 1].max()


def test_calibrated_ranges_are_better_than_extremes_and_leave_the_model_as_it_was():
    model, seen = build("basic"), images(64)
    expected, before = predict(model, seen), [np.asarray(each).copy() for each in model.weights]
    # Its moving averages are the extremes of the one batch that it sees.
    extremes = make_aware(model, momentum=0.0)
    extremes(seen, training=True)
    plain = rms(predict(extremes, seen) - expected)
    with calibrated(model, seen) as network:
        assert is_scaled(network)
        calibrated_ = rms(predict(network, seen) - expected)
        layers = [layer for part in network.layers for layer in getattr(part, "layers", [])]
        assert any(isinstance(layer, Range) for layer in layers)
    assert calibrated_ < 0.9 * plain
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), value)


def test_only_plain_sums_have_a_bias_for_the_mean_error():
    assert last_bias(conv_model()) is not None
    assert last_bias(conv_model(units=2, activation="softmax")) is None
