"""Exports of trained networks agree with Keras on 2,000 events; what cannot be exported says so.

The events are ellipses of light with noise: those of the background have the smaller gradient in
time, and the light grows with the energy, up to a fluctuation that no network can see through.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import cherenkov_mlops.models.template as template
from cherenkov_mlops.compression.export import WRITERS, export_model
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.forms import EXACT_FORMS, FORMS
from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates
from cherenkov_mlops.metrics.energy import energy_resolution_68
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.metrics.type import auc
from cherenkov_mlops.models import exported
from cherenkov_mlops.models.keras_model import build_model, load_network, only_values
from simulated import study, write_study

SIZE, N_TRAIN, N_TEST = 24, 3000, 2000
HEADS = {"type": [16, 2], "energy": [16, 1]}
MODELS = {
    "SingleCNN": {
        "type": "SingleCNN",
        "architecture": [{"filters": n, "kernel_size": 3, "number": 1} for n in (8, 16)],
        "attention_mechanism": None,
        "head_layers": HEADS,
    },
    "ResNet": {
        "type": "ResNet",
        "architecture": [{"filters": 8, "blocks": 1}, {"filters": 16, "blocks": 1}],
        "head_layers": HEADS,
    },
    "custom": {"type": "custom", "file": template.__file__, "class": "TemplateModel"},
}
#: Kind, task, epochs.
TRAINED = [
    ("SingleCNN", "type", 3),
    ("SingleCNN", "energy", 8),
    ("ResNet", "type", 2),
    ("ResNet", "energy", 4),
]
FORMS_TRIED = ("float32", "float16", "int8", "onnx", "onnx-int8", "openvino")
#: What 32 bits do to a ResNet does not depend on its task.
FORMS_OF_OTHERS = ("float16", "int8", "onnx-int8")
EXACT = 1e-5
FLOAT16 = 1e-3
#: As in ``compare``, which calls a difference real when this interval excludes zero.
INTERVAL_95 = (0.025, 0.975)


def make_events(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, whether each is a signal, and energies [TeV]."""
    rng = np.random.default_rng(seed)
    is_signal, log_energy = rng.random(n) < 0.5, rng.uniform(0, 2, n)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    angle, length, width = rng.uniform(0, np.pi, n), rng.uniform(3, 5, n), rng.uniform(1, 2, n)
    slope = np.where(is_signal, rng.normal(1, 0.3, n), rng.normal(0.4, 0.3, n))
    c, s, length, width, slope = (
        values[:, None, None] for values in (np.cos(angle), np.sin(angle), length, width, slope)
    )
    along, across = (x * c + y * s) / length, (y * c - x * s) / width
    brightness = 1 + 2 * (log_energy + rng.normal(0, 0.12, n))
    light = np.exp(-0.5 * (along**2 + across**2)) * brightness[:, None, None]
    images = np.stack([light, slope * along * light], axis=-1) + rng.normal(
        0, 0.1, (n, SIZE, SIZE, 2)
    )
    return images.astype(np.float32), is_signal, 10**log_energy


@pytest.fixture(scope="module")
def build(dl1_files, tmp_path_factory):
    """Function that gives an untrained model by kind and task."""

    def make(kind: str, task: str) -> keras.Model:
        folder = tmp_path_factory.mktemp("model")
        content = study(task, dl1_files) | {"model": MODELS[kind]}
        return build_model(load_config(write_study(folder, content)), (SIZE, SIZE, 2))

    return make


@pytest.fixture(scope="module", params=TRAINED, ids=lambda case: f"{case[0]}-{case[1]}")
def trained(request, build):
    """Kind and task, a network that learnt it, test events."""
    kind, task, n_epochs = request.param
    images, is_signal, energies = make_events(N_TRAIN, seed=1)
    model = build(kind, task)
    if task == "type":
        targets, loss = keras.utils.to_categorical(is_signal, 2), "categorical_crossentropy"
    else:
        targets, loss = {"energy": np.log10(energies)}, {"energy": "mae"}
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(images, targets, batch_size=64, epochs=n_epochs, verbose=0)
    return (kind, task), model, make_events(N_TEST, seed=2)


def predict(path: Path, images: np.ndarray) -> np.ndarray:
    """Outputs of an export, in batches with a smaller last one."""
    network = load_network(path)
    return np.concatenate(
        [only_values(network(images[at : at + 300])) for at in range(0, len(images), 300)]
    )


def bootstrap(task, outputs, is_signal, energies):
    """Value of the metric and its replicates, those of all networks in pairs."""
    columns = {"true_energy": energies, "signal": is_signal}
    if task == "type":
        events, metric = extract_events(columns | {"gh_score": outputs[:, 1]}, "type"), auc
    else:
        events = extract_events(columns | {"reco_energy": 10.0 ** outputs[:, 0]}, "energy")
        metric = energy_resolution_68
    return metric(events), bootstrap_replicates(events, {"it": metric}, 200, seed=3)["it"]


def test_exports_agree_on_2000_events(trained, tmp_path):
    (kind, task), model, (images, is_signal, energies) = trained
    expected = only_values(model(images, training=False))
    value, replicates = bootstrap(task, expected, is_signal, energies)
    assert value > 0.85 if task == "type" else value < 0.5
    calibration = make_events(512, seed=1)[0]
    for form in FORMS_OF_OTHERS if (kind, task) == ("ResNet", "type") else FORMS_TRIED:
        path = export_model(model, tmp_path / f"{form}{FORMS[form].suffix}", form, calibration)
        got = predict(path, images)
        if FORMS[form].is_exact or form == "float16":
            bound = EXACT if FORMS[form].is_exact else FLOAT16
            assert np.abs(got - expected).max() <= bound, form
            continue
        other, paired = bootstrap(task, got, is_signal, energies)
        low, high = np.quantile(paired - replicates, INTERVAL_95)
        assert low <= 0 <= high, (form, value, other)


def test_the_mean_error_of_a_sum_is_taken_out(build, tmp_path):
    images = make_events(200, seed=4)[0]
    model = build("SingleCNN", "energy")
    before = [np.asarray(weight).copy() for weight in model.weights]
    path = export_model(model, tmp_path / "model.tflite", "int8", images)
    errors = predict(path, images) - only_values(model(images))
    assert abs(errors.mean()) < 0.2 * np.abs(errors).max()
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), value)


@pytest.mark.parametrize("form", FORMS)
def test_custom_models_are_exported_too(build, form, tmp_path):
    model = build("custom", "energy")
    images = make_events(50, seed=4)[0]
    path = export_model(model, tmp_path / f"model{FORMS[form].suffix}", form, images)
    difference = np.abs(predict(path, images) - only_values(model(images))).max()
    assert difference <= (EXACT if FORMS[form].is_exact else 0.1)
    assert sorted(tmp_path.glob(".*")) == []


def test_each_form_has_a_writer():
    assert set(WRITERS) == set(FORMS)
    assert set(EXACT_FORMS) == {"litert", "onnx", "openvino"}


@pytest.fixture
def images():
    return make_events(4, seed=5)[0]


def test_a_layer_not_known_in_8_bits_gets_the_ranges_of_the_converter(tmp_path, caplog):
    image = keras.Input((SIZE, SIZE, 2))
    value = keras.layers.Conv2DTranspose(4, 3, strides=2, activation="relu")(image)
    value = keras.layers.GlobalAveragePooling2D()(value)
    model = keras.Model(image, keras.layers.Dense(1)(value))
    seen = make_events(50, seed=4)[0]
    with caplog.at_level("INFO"):
        path = export_model(model, tmp_path / "model.tflite", "int8", seen)
    assert "ranges by LiteRT's converter, for: quantization: layer conv2d_transpose" in caplog.text
    assert np.abs(predict(path, seen) - only_values(model(seen))).mean() < 0.05


def test_two_outputs_are_refused(images, tmp_path):
    image = keras.Input((SIZE, SIZE, 2))
    features = keras.layers.GlobalAveragePooling2D()(image)
    outputs = {name: keras.layers.Dense(1, name=name)(features) for name in ("one", "two")}
    model = keras.Model(image, outputs)
    for form in FORMS:
        with pytest.raises(UserError, match=r"^compress: expected a model with one output, got 2"):
            export_model(model, tmp_path / "model", form, images)


@keras.saving.register_keras_serializable()
class Eigenvalues(keras.layers.Layer):
    """An operation that no engine but Keras knows."""

    def call(self, values):
        return tf.linalg.eigvalsh(values[..., 0] + keras.ops.transpose(values[..., 0], (0, 2, 1)))


@pytest.mark.parametrize("form", ["float32", "int8", "onnx", "onnx-int8", "openvino"])
def test_layers_that_an_engine_does_not_know_are_told(form, images, tmp_path):
    image = keras.Input((SIZE, SIZE, 2))
    model = keras.Model(image, keras.layers.Dense(1)(Eigenvalues()(image)))
    path = tmp_path / f"model{FORMS[form].suffix}"
    with pytest.raises(
        UserError, match=rf"^compress: {form}: \w+ cannot have the model: ."
    ) as told:
        export_model(model, path, form, images)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_calibration_images_with_nan_are_refused(build, images, tmp_path):
    images[1, 2, 3, 0] = np.nan
    with pytest.raises(DataError, match=r"got NaN or infinity in 1 of 4 calibration images"):
        export_model(build("SingleCNN", "type"), tmp_path / "a.onnx", "onnx-int8", images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["onnx", "onnx-int8", "openvino"])
def test_packages_that_are_not_there_are_named(build, form, images, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(exported, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'cherenkov-mlops\[engines\]'"):
        export_model(build("SingleCNN", "type"), tmp_path / "model.xml", form, images)
    for suffix in (".tflite", ".onnx", ".xml"):
        with pytest.raises(UserError, match=r"not installed; pip install 'cherenkov-mlops\[eng"):
            load_network(tmp_path / f"model{suffix}")
