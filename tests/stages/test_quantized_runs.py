"""Runs that learn to compute in 8 bits: interrupted, pruned, learning on, exported."""

import shutil
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.commands import compress
from cherenkov_mlops.compression.export.calibration import draw_images
from cherenkov_mlops.compression.export.litert import operations
from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.models.exported import LiteRTNetwork
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from cherenkov_mlops.training.backup import read_backup
from interrupted import Broken, assert_same_history, break_off_after
from simulated import load_study, study

AWARE = {"quantization": {"aware": "int8", "range_momentum": 0.9}}
PRUNING = {"final_sparsity": 0.75, "end_step": 2, "unit": "epochs", "frequency": 5}
TRAIN = {"n_epochs": 5, "early_stopping": {"patience": 1, "restore_best_weights": True}}


@pytest.fixture(scope="module")
def prepared(dl1_files, tmp_path_factory):
    """Configuration and folder of a prepared run."""
    content = study("type", dl1_files, train=TRAIN) | AWARE | {"pruning": PRUNING}
    config, run_dir = load_study(tmp_path_factory.mktemp("aware"), content)
    prepare.run(config, run_dir)
    return config, run_dir


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Folder of the training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_dir = RunDir(shutil.copytree(prepared[1].path, folder))
    train.run(prepared[0], run_dir)
    return run_dir


def weights_of(path) -> list[np.ndarray]:
    """All weights of a model, ranges among them."""
    return keras.saving.load_model(path, compile=False).get_weights()


def test_both_models_hold_the_same_weights(whole):
    plain, aware = (weights_of(path) for path in (whole.trained_model, whole.aware_model))
    assert len(aware) > len(plain)
    for values in plain:
        assert any(np.array_equal(values, others) for others in aware)
    with zipfile.ZipFile(whole.trained_model) as archive:
        assert b"cherenkov_mlops" not in archive.read("config.json")
    for kernel in find_kernels(keras.saving.load_model(whole.trained_model)).values():
        values = np.asarray(kernel)
        assert abs(np.count_nonzero(values) - values.size / 4) <= 1


def test_an_interrupted_training_ends_with_the_same_ranges(prepared, whole, tmp_path, monkeypatch):
    config, folder = prepared
    run_dir = RunDir(shutil.copytree(folder.path, tmp_path / "copy"))
    n_broken = 0
    for n_batches in (20, 37, 1000):
        with monkeypatch.context() as patch:
            break_off_after(patch, n_batches)
            try:
                train.run(config, run_dir)
            except Broken:
                n_broken += 1
                assert read_backup(run_dir.backup) is not None or n_broken == 1
    assert n_broken == 2
    assert_same_history(pd.read_csv(run_dir.history), pd.read_csv(whole.history))
    for name in ("trained_model", "aware_model"):
        mine, theirs = (weights_of(getattr(each, name)) for each in (run_dir, whole))
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_exports_compute_what_was_learnt(prepared, whole, caplog):
    config, _ = prepared
    with caplog.at_level("INFO"):
        eight, half = compress.run(config, whole, ["int8", "float16"])
    path = eight.run_dir.exported_model("int8")
    assert {dtype for _, dtype in operations(path)} == {np.int8}
    images = draw_images(config, read_manifest(whole))
    aware = keras.saving.load_model(whole.aware_model, compile=False)
    expected = np.asarray(aware(images, training=False))
    assert np.abs(LiteRTNetwork(path)(images) - expected).mean() < 0.005
    assert "from the network as it rounds" in caplog.text
    chain.test(*open_run(half.run_dir.path))
    assert read_results(half.run_dir.metrics).facts["model_size_mb"] == half.size / 1e6


def test_zeros_stay_when_a_pruned_model_learns_to_compute_in_8_bits(
    whole, dl1_files, tmp_path, caplog
):
    section = {"type": "loaded", "load_model_from": str(whole.trained_model)}
    content = study("type", dl1_files, train={"n_epochs": 1}) | AWARE | {"model": section}
    config, run_dir = load_study(tmp_path, content)
    prepare.run(config, run_dir)
    with caplog.at_level("INFO"):
        train.run(config, run_dir)
    assert "weights that are 0 in the loaded model stay 0" in caplog.text
    assert "weights and values are rounded to 8 bits" in caplog.text
    before, after = (
        find_kernels(keras.saving.load_model(each.trained_model, compile=False))
        for each in (whole, run_dir)
    )
    for name, kernel in after.items():
        np.testing.assert_array_equal(np.asarray(kernel) == 0, np.asarray(before[name]) == 0)
        assert not np.array_equal(np.asarray(kernel), np.asarray(before[name]))
