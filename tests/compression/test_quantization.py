"""Training for 8 bits: what is rounded, what is learnt, what LiteRT makes of it."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from cherenkov_mlops.compression.export.litert import export_aware, operations
from cherenkov_mlops.compression.pruning.kernels import find_kernels, hold_zeros
from cherenkov_mlops.compression.pruning.pruner import mask_weights
from cherenkov_mlops.compression.quantization.aware import make_aware, without_optimizer
from cherenkov_mlops.compression.quantization.rounding import Range, round_kernel
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import ConfigError, UserError
from cherenkov_mlops.models import exported
from cherenkov_mlops.models.exported import LiteRTNetwork
from cherenkov_mlops.models.keras_model import build_model
from simulated import TINY_MODEL, study, write_study
from small_networks import MODELS, SHAPE

KINDS = MODELS | {"tiny": TINY_MODEL}
HEAD = {"head_layers": {"type": [8, 2]}}
N_EPOCHS, BATCH = 6, 32


@pytest.fixture
def build(dl1_files, tmp_path):
    """Function that builds a model of the particle type by its kind."""

    def make(kind: str) -> keras.Model:
        content = study("type", dl1_files) | {"model": KINDS[kind] | HEAD}
        return build_model(load_config(write_study(tmp_path, content)), SHAPE)

    return make


def draw_spots(n_images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Narrow and round spots of light over noise, as bright as showers: most faint, few bright."""
    rng = np.random.default_rng(seed)
    is_narrow = np.arange(n_images) % 2
    x, y = np.mgrid[:16, :16] - 7.5
    centres = rng.uniform(-3, 3, size=(2, n_images, 1, 1))
    width = np.where(is_narrow, 1.0, 2.0)[:, None, None]
    spots = np.exp(-(((x - centres[0]) / 2.5) ** 2) - ((y - centres[1]) / width) ** 2)
    spots *= 20 * (1 + rng.pareto(1.5, size=(n_images, 1, 1)))
    images = np.stack([spots + rng.normal(size=spots.shape), 5 * (spots > 3)], axis=-1)
    return images.astype(np.float32), np.eye(2, dtype=np.float32)[is_narrow]


def fit(model: keras.Model, n_epochs: int = N_EPOCHS, **options) -> list[float]:
    """Loss of each epoch of a training on spots."""
    images, labels = draw_spots(16 * BATCH, seed=1)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="categorical_crossentropy", **options)
    done = model.fit(images, labels, batch_size=BATCH, epochs=n_epochs, verbose=0, shuffle=False)
    return done.history["loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_export_computes_what_the_network_learnt(build, tmp_path, kind):
    plain = build(kind)
    for name, kernel in find_kernels(plain).items():
        if name.endswith("conv_1_1"):
            kernel.assign(np.asarray(kernel) * mask_weights(np.asarray(kernel), 0.5)[0])
    zeros = {name: np.asarray(kernel) == 0 for name, kernel in find_kernels(plain).items()}
    hold_zeros(find_kernels(plain))
    aware = make_aware(plain, momentum=0.9)
    losses = fit(aware)
    assert losses[-1] < losses[0]
    for name, kernel in find_kernels(plain).items():
        np.testing.assert_array_equal(np.asarray(kernel) == 0, zeros[name], err_msg=name)

    # Saved and read back it is the same, and does without an optimizer.
    without_optimizer(aware).save(tmp_path / "aware.keras")
    loaded = keras.saving.load_model(tmp_path / "aware.keras")
    images, _ = draw_spots(256, seed=2)
    expected = np.asarray(aware(images, training=False))
    assert not hasattr(loaded, "optimizer") and np.std(expected[:, 0]) > 0.01
    np.testing.assert_array_equal(np.asarray(loaded(images, training=False)), expected)

    path = export_aware(loaded, tmp_path / "aware.tflite", images)
    got = LiteRTNetwork(path)(images)
    assert np.abs(got - expected).mean() < 0.005
    # Two steps of the last softmax.
    assert np.abs(got - expected).max() < 2 / 256
    found = operations(path)
    assert {dtype for _, dtype in found} == {np.int8}
    assert len(found) > 5 and {"CONV_2D", "FULLY_CONNECTED"} <= {name for name, _ in found}


def test_the_plain_model_learns_along_and_stays_plain(build, tmp_path):
    plain = build("SingleCNN")
    before = [np.asarray(weight) for weight in plain.trainable_weights]
    aware = make_aware(plain, momentum=0.99)
    fit(aware, n_epochs=1)
    n_changed = sum(
        not np.array_equal(old, np.asarray(new))
        for old, new in zip(before, plain.trainable_weights, strict=True)
    )
    assert n_changed == len(before)
    assert {weight.path for weight in aware.trainable_weights} == {
        weight.path for weight in plain.trainable_weights
    }
    plain.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        assert b"cherenkov_mlops" not in archive.read("config.json")
    images, _ = draw_spots(64, seed=2)
    loaded = keras.saving.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(np.asarray(loaded(images)), np.asarray(plain(images)))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in plain.layers]


def test_with_xla(build):
    losses = {}
    for jit in (False, True):
        keras.utils.set_random_seed(1)
        losses[jit] = fit(make_aware(build("SingleCNN"), momentum=0.9), 2, jit_compile=jit)
    np.testing.assert_allclose(losses[True], losses[False], rtol=0.05)


@pytest.mark.parametrize("by_channel", [True, False])
def test_kernels_are_rounded_symmetrically(by_channel):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    kernel[0, 0] = 0
    largest = np.abs(kernel).max(axis=(0, 1, 2) if by_channel else None)
    scale = largest / 127
    got = np.asarray(round_kernel(kernel, by_channel=by_channel))
    np.testing.assert_allclose(got, np.round(kernel / scale) * scale, atol=1e-6)
    assert (got[0, 0] == 0).all()


def test_a_channel_of_zeros_keeps_its_bias(tmp_path):
    image = keras.Input((8, 8, 2))
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    output = layers.Dense(2, name="last")(layers.GlobalAveragePooling2D()(hidden))
    plain = keras.Model(image, layers.Softmax()(output))
    kernel, bias = plain.get_layer("conv").weights
    kernel.assign(np.asarray(kernel) * [1, 0, 1, 0])
    bias.assign([0.1, 3.0, -0.2, -3.0])
    aware = make_aware(plain, momentum=0.9)
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 2)).astype(np.float32)
    aware(images, training=True)
    expected = np.asarray(aware(images, training=False))
    assert np.abs(expected - np.asarray(plain(images))).max() < 0.02
    got = LiteRTNetwork(export_aware(aware, tmp_path / "model.tflite", images))(images)
    assert np.abs(got - expected).max() < 0.005


def test_other_layers_that_are_known(tmp_path):
    image = keras.Input((8, 8, 4))
    one = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name="depthwise")(image)
    two = layers.Conv2D(4, 3, padding="same", name="alone")(image)
    two = layers.BatchNormalization(name="norm")(two)
    both = layers.Concatenate()([one, layers.Activation("relu", name="relu")(two)])
    both = layers.AveragePooling2D(2)(layers.ZeroPadding2D()(both))
    hidden = layers.Dense(6, activation="tanh", name="dense")(layers.Flatten()(both))
    hidden = layers.BatchNormalization(name="flat_norm")(hidden)
    plain = keras.Model(image, layers.Dense(2, activation="softmax", name="last")(hidden))
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 4)).astype(np.float32)
    aware = make_aware(plain, momentum=0.9)
    for _ in range(20):
        aware(images, training=True)
    expected = np.asarray(aware(images, training=False))
    assert np.abs(expected - np.asarray(plain(images))).mean() < 0.02
    path = export_aware(aware, tmp_path / "model.tflite", images)
    assert np.abs(LiteRTNetwork(path)(images) - expected).mean() < 0.005
    # Flattening computes shapes, in numbers of its own.
    assert {dtype for _, dtype in operations(path)} == {np.int8, np.int32}


def test_normalisation_learns_as_that_of_keras():
    images = np.random.default_rng(0).normal(3, 2, size=(64, 4, 4, 3)).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.BatchNormalization(momentum=0.2, name="norm")]
    )
    copy = keras.models.clone_model(model)
    aware = make_aware(copy, momentum=0.0)
    for training in (True, True, True, False):
        expected = np.asarray(model(images, training=training))
        got = np.asarray(aware(images, training=training))
        # A step of what comes in, and half a one of what goes out.
        assert np.abs(got - expected).max() < 3 * np.ptp(expected) / 255
    for mine, theirs in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0.02, atol=0.01)
    copy.get_layer("norm").trainable = False
    before = copy.get_weights()
    aware(images + 1, training=True)
    np.testing.assert_array_equal(copy.get_weights(), before)


def test_ranges_follow_and_then_hold_still():
    layer = Range(momentum=0.9)
    given = [(-1.0, 2.0), (-3.0, 4.0), (0.5, 8.0)]
    low = high = 0.0
    for number, (least, most) in enumerate(given):
        share = max(1 - 0.9, 9 / (number + 9))
        low += share * (min(least, 0) - low)
        high += share * (most - high)
        layer(np.array([[least, most]], dtype=np.float32), training=True)
        np.testing.assert_allclose([layer.low, layer.high], [low, high], rtol=1e-6)
    rounded = np.asarray(layer(np.linspace(-9, 9, 50, dtype=np.float32)[None]))
    step = (high - low) / 255
    np.testing.assert_allclose([rounded.min(), rounded.max()], [low, high], atol=step)
    assert np.abs(rounded / step - np.round(rounded / step)).max() < 1e-3
    np.testing.assert_allclose([layer.low, layer.high], [low, high], rtol=1e-6)
    assert np.asarray(layer(np.zeros((1, 3), dtype=np.float32))).tolist() == [[0, 0, 0]]


class Odd(layers.Layer):
    """A layer that nobody knows."""

    def call(self, inputs):
        """Square."""
        return inputs * inputs


class Branching(keras.Model):
    """A model that cannot be one graph: it looks at the values."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, inputs):
        """One way or the other."""
        return self.dense(inputs) if np.asarray(inputs).sum() > 0 else inputs


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Odd(name="odd"), r"layer odd \(Odd\): how it is computed in 8 bits is not known"),
        (layers.Conv1D(2, 3, name="line"), r"layer line \(Conv1D\)"),
        (layers.LayerNormalization(name="norm"), r"layer norm \(LayerNormalization\)"),
        (layers.Dense(2, activation="gelu", name="d"), r"layer d \(Dense with activation gelu\)"),
        (layers.BatchNormalization(axis=1, name="norm"), r"layer norm \(BatchNormalization\)"),
        (layers.ReLU(negative_slope=0.1, name="leaky"), r"layer leaky \(ReLU\)"),
    ],
)
def test_unknown_layers_are_named(layer, said):
    image = keras.Input((8, 4) if "Conv1D" in said else (8, 8, 4))
    with pytest.raises(UserError, match=f"^quantization: {said}"):
        make_aware(keras.Model(image, layer(image)), momentum=0.9)


def test_models_that_are_no_graph_are_refused():
    model = Branching()
    model(np.ones((1, 4), dtype=np.float32))
    with pytest.raises(UserError, match=r"quantization: .*layers and keras.ops that can stand in"):
        make_aware(model, momentum=0.9)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"quantization": {"aware": "int7"}}, r"quantization\.aware: expected .*int8.*got .*int7"),
        ({"quantization": {"range_momentum": 1}}, r"quantization\.range_momentum: "),
        (
            {"quantization": {}, "train": {"mixed_precision": True}},
            r"train\.mixed_precision: .*write mixed_precision: false",
        ),
    ],
)
def test_mistakes_in_the_configuration(dl1_files, tmp_path, over, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load_config(write_study(tmp_path, study("type", dl1_files, **over)))
    assert len(str(refused.value).splitlines()) == 1


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(exported, "import_module", missing)
    with pytest.raises(UserError, match=r"which is not installed; pip install 'cherenkov-mlops\["):
        operations(tmp_path / "model.tflite")
