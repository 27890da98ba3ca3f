"""Masks and schedules of pruning, against tensorflow_model_optimization and known answers."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cherenkov_mlops.compression.pruning.plan import Schedule
from cherenkov_mlops.compression.pruning.pruner import (
    count_kept,
    mask_weights,
    share_sparsity,
)

SHAPES = {
    "dense": (24, 16),
    "conv1d": (5, 8, 12),
    "conv2d": (3, 3, 8, 12),
    "depthwise": (3, 3, 8, 1),
    "conv3d": (2, 3, 3, 4, 6),
    "one": (1, 1, 4, 4),
}
SPARSITIES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.75, 0.8, 0.9, 0.95, 0.999)
STEPS = tuple(range(0, 61))
# In a process of its own: the import sets TF_USE_LEGACY_KERAS for all that come after.
ORACLE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
    ConstantSparsity, PolynomialDecay,
)
asked = json.loads(sys.argv[1])
weights = np.load(sys.argv[2])
found = {}
def masks(sparsity):
    schedule = ConstantSparsity(sparsity, 0)
    return pruning_impl.Pruning(lambda: 1, [], schedule, (1, 1), "AVG", None)
for name in weights.files:
    values = tf.constant(weights[name])
    for sparsity in asked["sparsities"]:
        threshold, mask = masks(sparsity)._maybe_update_block_mask(values)
        found[f"{name}/{sparsity}"] = mask.numpy()
        found[f"{name}/{sparsity}/threshold"] = float(threshold)
rise = PolynomialDecay(0.2, 0.9, 7, 47, frequency=5)
found["polynomial"] = [float(rise(tf.constant(step))[1]) for step in asked["steps"]]
found["due"] = [bool(rise(tf.constant(step))[0]) for step in asked["steps"]]
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module")
def kernels():
    """Random kernels by kind, zeros and equal magnitudes among them."""
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def oracle(kernels, tmp_path_factory):
    """What tensorflow_model_optimization makes of the same kernels and steps."""
    folder = tmp_path_factory.mktemp("oracle")
    np.savez(folder / "in.npz", **kernels)
    asked = json.dumps({"sparsities": SPARSITIES, "steps": STEPS})
    files = [folder / "in.npz", folder / "out.npz"]
    done = subprocess.run(
        [sys.executable, "-c", ORACLE, asked, *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "out.npz") as content:
        return dict(content)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_the_same_weights_stay(kernels, oracle, name, sparsity):
    mask, threshold = mask_weights(kernels[name], sparsity)
    np.testing.assert_array_equal(mask, oracle[f"{name}/{sparsity}"] != 0)
    assert threshold == pytest.approx(oracle[f"{name}/{sparsity}/threshold"], rel=1e-6)


def test_the_schedule_is_the_same(oracle):
    rise = Schedule("polynomial", 0.2, 0.9, 7, 47, 5)
    inside = [step for step in STEPS if step >= 7]
    ours = [rise.sparsity(step) for step in inside]
    np.testing.assert_allclose(ours, oracle["polynomial"][7:], atol=1e-6)
    due = [rise.is_due(step - 1, step) for step in STEPS]
    # Its last mask is that of the last multiple of the frequency; ours is that of the end.
    assert due[:48] == [bool(value) for value in oracle["due"][:48]]


@pytest.mark.parametrize("kind", ["polynomial", "constant"])
@pytest.mark.parametrize("n_together", [1, 2, 3, 4, 7, 100])
def test_no_step_is_missed(kind, n_together):
    schedule = Schedule(kind, 0.0, 0.8, 3, 28, 6)
    looks = [0, *range(n_together, 100 + n_together, n_together)]
    due = [
        now
        for before, now in zip([-1, *looks], looks, strict=False)
        if schedule.is_due(before, now)
    ]
    assert schedule.is_final(due[-1]) and schedule.sparsity(due[-1]) == 0.8
    if kind == "polynomial":
        assert not any(schedule.is_final(step) for step in due[:-1])
    else:
        assert all(schedule.is_final(step) for step in due)
    if n_together == 1:
        assert due == [3, 9, 15, 21, 27, 28]


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=4, max_side=6),
        elements=st.sampled_from([0.0, 0.5, -0.5, 1.0, 2.0, -3.0]),
    ),
    st.floats(0, 1),
)
def test_the_sparsity_is_exact_to_one_weight_with_equal_magnitudes(weights, sparsity):
    mask, threshold = mask_weights(weights, sparsity)
    assert mask.sum() == count_kept(weights.size, sparsity)
    assert abs(mask.sum() - weights.size * (1 - sparsity)) <= 1
    assert np.abs(weights[mask]).min() == threshold
    assert mask.all() or np.abs(weights[~mask]).max() <= threshold


def test_one_threshold_for_all_is_one():
    weights = {"small": np.arange(1.0, 11.0), "large": np.arange(6.0, 26.0)}
    shares = share_sparsity(weights, 0.5, cap=1.0)
    # Below 10.5: all ten here, of which one has to stay, and five there; then one more.
    assert shares == {"small": 0.9, "large": 6 / 20}


def test_a_layer_is_not_emptied():
    weights = {"small": np.full(100, 0.01), "large": np.arange(1.0, 301.0)}
    shares = share_sparsity(weights, 0.5, cap=0.9)
    assert shares["small"] == pytest.approx(0.9)
    # All together are as sparse as they were to be.
    assert 100 * shares["small"] + 300 * shares["large"] == pytest.approx(200)


def test_all_are_capped():
    weights = {"a": np.arange(10.0), "b": np.arange(10.0)}
    assert share_sparsity(weights, 0.9, cap=0.5) == {"a": 0.5, "b": 0.5}
