"""Several devices: two logical ones of the processor, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.compression.quantization.aware import load_aware
from cherenkov_mlops.stages import prepare
from cherenkov_mlops.training.strategy import EvenBatches, device_strategy
from simulated import load_study, study

TESTS = Path(__file__).parents[1]
PROGRAM = """
import logging, sys
import tensorflow as tf

logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
(processor,) = tf.config.list_physical_devices("CPU")
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, parts)

from pathlib import Path

import pytest
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.stages import train
from interrupted import Broken, break_off_after

config, run_dir = open_run(Path(sys.argv[1]))
if config.tasks[0] == "type":
    with pytest.MonkeyPatch.context() as patch:
        break_off_after(patch, 16)
        try:
            train.run(config, run_dir)
        except Broken:
            print("broken off")
train.run(config, run_dir)
if config.tasks[0] == "energy":
    chain.test(config, run_dir)
"""


class Batches(keras.utils.PyDataset):
    """One batch of five rows."""

    def __init__(self, *weights):
        super().__init__()
        self.batch = (np.arange(10.0).reshape(5, 2), {"energy": np.arange(5.0)}, *weights)
        self.ended = 0

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.batch

    def on_epoch_end(self):
        """Count."""
        self.ended += 1


@pytest.mark.parametrize(("n_devices", "n_rows"), [(1, 5), (2, 6), (4, 8), (8, 8)])
@pytest.mark.parametrize("weights", [(), (np.arange(1.0, 6.0),)])
def test_batches_divide_evenly(n_devices, n_rows, weights):
    batches = Batches(*weights)
    even = EvenBatches(batches, n_devices)
    features, labels, given = even[0]
    assert len(features) == len(labels["energy"]) == len(given) == n_rows
    np.testing.assert_array_equal(labels["energy"][:5], np.arange(5))
    # The mean loss is the same as without the rows that were added.
    loss = np.sin(np.arange(5.0))
    expected = np.mean(loss * (weights[0] if weights else 1))
    assert np.mean(given * np.sin(labels["energy"])) == pytest.approx(expected, rel=1e-6)
    assert given[5:].sum() == 0
    even.on_epoch_end()
    assert batches.ended == 1 and len(even) == 1


def test_one_device_needs_no_strategy_of_its_own():
    assert device_strategy().num_replicas_in_sync == 1


@pytest.mark.parametrize("task", ["type", "energy"])
def test_two_devices(dl1_files, tmp_path, task):
    content = study(task, dl1_files, train={"batch_size": 16, "xla": task == "energy"})
    if task == "energy":
        content["pruning"] = {"final_sparsity": 0.5, "end_step": 8, "frequency": 2}
        content["quantization"] = {"aware": "int8"}
    config, run_dir = load_study(tmp_path, content)
    prepare.run(config, run_dir)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run_dir.path],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "train: 2 devices, batch 16 x 2 = 32" in done.stdout
    history = pd.read_csv(run_dir.history)
    assert list(history["epoch"]) == [1, 2]
    assert np.isfinite(history[["loss", "val_loss"]].to_numpy()).all()
    if task == "type":
        # A resume, with the class weights of the particle type.
        assert "broken off" in done.stdout
        assert "train: attempt 2, epoch 2 of 2, best" in done.stdout
    else:
        assert "train: xla is for one device; 2 are used without it" in done.stdout
        assert run_dir.metrics.exists()
        assert history["sparsity"].iloc[-1] == pytest.approx(0.5, abs=0.02)
        ranges = load_aware(run_dir.aware_model).get_layer("images_range")
        assert float(ranges.n_seen) == 14 and float(ranges.high) > float(ranges.low)
        kernels = find_kernels(keras.saving.load_model(run_dir.trained_model, compile=False))
        for kernel in map(np.asarray, kernels.values()):
            assert abs(np.count_nonzero(kernel) - kernel.size / 2) <= 1
