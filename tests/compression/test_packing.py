"""Packed models: exact on the way back, small, and known when damaged."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cherenkov_mlops.models.template as template
from cherenkov_mlops.compression.packing import encode_gaps, pack_model, round_kernel
from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.compression.pruning.pruner import mask_weights
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.models.keras_model import build_model
from cherenkov_mlops.models.packed import decode_gaps, unpack_model
from simulated import study, write_study

MODELS = {
    "SingleCNN": {"type": "SingleCNN", "attention_mechanism": None},
    "ResNet": {"type": "ResNet", "architecture": [{"filters": 16, "blocks": 1}] * 2},
    "custom": {"type": "custom", "file": template.__file__, "class": "TemplateModel"},
}


@pytest.fixture(params=MODELS)
def model(request, dl1_files, tmp_path):
    """A model with 80 % of zeros in its kernels."""
    content = study("energy", dl1_files) | {"model": MODELS[request.param]}
    built = build_model(load_config(write_study(tmp_path, content)), (48, 48, 2))
    for kernel in find_kernels(built).values():
        values = np.asarray(kernel)
        kernel.assign(values * mask_weights(values, 0.8)[0])
    return built


def test_the_way_back_is_exact(model, tmp_path):
    path = pack_model(model, tmp_path / "model.packed")
    back = unpack_model(path)
    kernels = {kernel.path for kernel in find_kernels(model, with_last=True).values()}
    for weight, got in zip(model.weights, back.get_weights(), strict=True):
        expected = np.asarray(weight)
        if weight.path in kernels:
            rounded, scale = round_kernel(expected)
            assert np.abs(rounded * scale - expected).max() <= scale.max() / 2 * 1.001
            np.testing.assert_array_equal(got == 0, rounded == 0)
            expected = rounded * scale
        np.testing.assert_array_equal(got, expected)
    # What was packed once is packed into the same numbers again.
    again = unpack_model(pack_model(back, tmp_path / "again.packed"))
    for mine, theirs in zip(back.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    images = np.random.default_rng(1).random((4, 48, 48, 2), dtype=np.float32)
    first, second = (np.asarray(each(images)["energy"]) for each in (model, back))
    np.testing.assert_allclose(first, second, atol=0.1 * np.abs(first).max() + 0.02)
    model.save(tmp_path / "model.keras")
    assert path.stat().st_size < 0.3 * (tmp_path / "model.keras").stat().st_size


@given(st.sets(st.integers(0, 3000), max_size=60))
def test_gaps_of_any_length(places):
    expected = np.array(sorted(places), dtype=np.int64)
    encoded = np.frombuffer(encode_gaps(expected), np.uint8)
    np.testing.assert_array_equal(decode_gaps(encoded), expected)


@pytest.mark.parametrize("at", [9, 45, -30])
def test_damage_is_noticed(tmp_path, at):
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Dense(40)(image)))
    path = pack_model(model, tmp_path / "model.packed")
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        unpack_model(path)
    path.write_bytes(bytes(content[:-20]))
    with pytest.raises(DataError, match="damaged"):
        unpack_model(path)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "model.packed"
    path.write_text("something else")
    with pytest.raises(DataError, match="expected a packed model, got another file"):
        unpack_model(path)
