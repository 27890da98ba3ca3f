"""Filters taken out of networks: the same values, smaller shapes, whatever the kind."""

import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cherenkov_mlops.compression.pruning.filters import (
    FilterPruner,
    count_filters,
    find_filters,
    shrink,
)
from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.config.train_section import PruningSection
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.cost import count_flops
from cherenkov_mlops.pipeline import chain as pipeline
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from interrupted import Broken, assert_same_history, break_off_after
from simulated import load_study, study
from small_networks import MODELS, SHAPE, build, energies, noise

N_STEPS, N_EPOCHS = 4, 5
CHANNEL = {"attention_mechanism": "Channel-SE", "attention_reduction_ratio": 2}
DUAL = CHANNEL | {"attention_mechanism": "Dual-SE"}
SPATIAL = {"attention_mechanism": "Spatial-SE"}
# "bottleneck" has both gates as it is.
CASES = [(kind, {}) for kind in MODELS] + [
    ("SingleCNN", DUAL),
    ("SingleCNN", SPATIAL),
    ("basic", CHANNEL),
]


def make_pruner(**options) -> FilterPruner:
    """Pruner of a training of five epochs with four steps each."""
    given = {"final_sparsity": 0.5, "end_step": 13, "frequency": 3, "filter_multiple": 2}
    return FilterPruner(
        make_plan(PruningSection(kind="filters", **(given | options)), N_STEPS, N_EPOCHS)
    )


def fit(model: keras.Model, pruner: FilterPruner) -> dict:
    """History of a training on noise."""
    images = noise(8 * N_STEPS)
    labels = {"energy": np.random.default_rng(1).normal(size=(len(images), 1))}
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mae")
    options = {"batch_size": 8, "epochs": N_EPOCHS, "callbacks": [pruner], "verbose": 0}
    return model.fit(images, labels, shuffle=False, **options).history


@pytest.mark.parametrize(
    ("kind", "gate"),
    CASES,
    ids=[f"{kind}-{gate.get('attention_mechanism')}" for kind, gate in CASES],
)
def test_the_smaller_network_gives_the_same_values(kind, gate, tmp_path):
    model, pruner = build(kind, **gate), make_pruner()
    pruner.attach(model)
    history = fit(model, pruner)
    assert history["sparsity"][0] < history["sparsity"][-1] == pytest.approx(0.5)
    smaller = shrink(model)
    np.testing.assert_allclose(
        energies(smaller, noise()), energies(model, noise()), rtol=0, atol=1e-6
    )
    assert smaller.count_params() < model.count_params()
    assert count_flops(smaller) < 0.9 * count_flops(model)
    # The same layers in the same models, under the same names.
    assert [layer.name for layer in smaller.layers[1:]] == [
        layer.name for layer in model.layers[1:]
    ]
    for name in pruner.names:
        assert find_filters(smaller)[name].convolutions[0].filters == 4
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.saving.load_model(tmp_path / "smaller.keras")
    np.testing.assert_array_equal(energies(loaded, noise()), energies(smaller, noise()))
    # Nothing is left to take out.
    assert shrink(smaller).count_params() == smaller.count_params()


def test_which_filters_can_go():
    assert list(find_filters(build("SingleCNN"))) == [
        "SingleCNN_block_conv_1_1",
        "SingleCNN_block_conv_2_1",
    ]
    # The last convolution of a block is added to the skip connection.
    basic = list(find_filters(build("basic")))
    assert basic == [f"ThinResNet_block_conv{n}_block1_1_conv" for n in (2, 3)]
    inner = list(find_filters(build("bottleneck")))
    assert inner == [f"ThinResNet_block_conv{n}_block1_{k}_conv" for n in (2, 3) for k in (1, 2)]


def test_the_smallest_filters_go():
    model = build("custom")
    first = next(iter(find_filters(model).values())).convolutions[0]
    kernel = np.asarray(first.kernel).copy()
    norms = np.abs(kernel).sum(axis=(0, 1, 2))
    pruner = make_pruner(schedule="constant", frequency=1000)
    pruner.attach(model)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mae")
    model.fit(noise(8), {"energy": np.zeros((8, 1))}, callbacks=[pruner], verbose=0)
    kept = np.flatnonzero(np.abs(np.asarray(first.kernel)).sum(axis=(0, 1, 2)))
    assert set(kept) == set(np.argsort(-norms)[:4])


class Odd(keras.layers.Layer):
    """A layer that nobody knows."""

    def call(self, inputs):
        """Turn the channels around."""
        return inputs[..., ::-1]


def chain(*middle: keras.layers.Layer, **options) -> keras.Model:
    """A network with one convolution before some layers and one after them."""
    images = x = keras.Input(SHAPE)
    for layer in (keras.layers.Conv2D(4, 3, name="first", **options), *middle):
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 1, name="second")(x))
    return keras.Model(images, {"energy": keras.layers.Dense(1)(x)})


@pytest.mark.parametrize(
    ("model", "first_can_go"),
    [
        (lambda: chain(), True),
        (lambda: chain(activation="tanh"), True),
        # A filter of zeros gives one half everywhere.
        (lambda: chain(activation="sigmoid"), False),
        (lambda: chain(keras.layers.Activation("sigmoid")), False),
        # Scale and offset go, too.
        (lambda: chain(keras.layers.BatchNormalization(), activation="sigmoid"), True),
        (lambda: chain(keras.layers.BatchNormalization(scale=False)), False),
        (lambda: chain(Odd()), False),
        (lambda: chain(keras.layers.Conv2D(4, 3, groups=2)), False),
        (lambda: chain(keras.layers.LayerNormalization()), False),
    ],
    ids=[
        "plain",
        "tanh",
        "sigmoid",
        "activation",
        "norm",
        "no-scale",
        "odd",
        "groups",
        "layer-norm",
    ],
)
def test_filters_that_leave_a_trace_stay(model, first_can_go):
    built = model()
    assert ("first" in find_filters(built)) == first_can_go
    pruner = make_pruner()
    pruner.attach(built)
    fit(built, pruner)
    np.testing.assert_allclose(
        energies(shrink(built), noise()), energies(built, noise()), rtol=0, atol=1e-6
    )


def test_a_convolution_that_is_used_twice_stays():
    images = keras.Input(SHAPE)
    shared = keras.layers.Conv2D(2, 3, padding="same", name="shared")
    last = keras.layers.GlobalAveragePooling2D()(shared(shared(images)))
    model = keras.Model(images, {"energy": keras.layers.Dense(1)(last)})
    with pytest.raises(UserError, match="expected a convolution whose filters can go, found none"):
        make_pruner().attach(model)


@given(st.integers(1, 512), st.floats(0, 1), st.integers(1, 16))
def test_how_many_stay(n_filters, sparsity, multiple):
    kept = count_filters(n_filters, sparsity, multiple)
    assert 1 <= kept <= n_filters
    assert kept == n_filters or kept % multiple == 0
    assert abs(kept - n_filters * (1 - sparsity)) <= multiple or kept in (multiple, n_filters)


def test_patterns(caplog):
    pruner = make_pruner(exclude=["*conv_1_1"], layers={"*conv_2_1": 0.75})
    model = build("SingleCNN")
    pruner.attach(model)
    fit(model, pruner)
    sizes = [each.convolutions[0].filters for each in find_filters(shrink(model)).values()]
    assert sizes == [8, 2]
    with pytest.raises(UserError, match=r"pruning\.exclude: expected at least one layer to prune"):
        make_pruner(exclude=["*"]).attach(build("SingleCNN"))


PRUNING = {
    "kind": "filters",
    "final_sparsity": 0.5,
    "filter_multiple": 1,
    "end_step": 2,
    "unit": "epochs",
    "frequency": 5,
}


@pytest.fixture(scope="module")
def prepared(dl1_files, tmp_path_factory):
    """Configuration and folder of a prepared run."""
    content = study("energy", dl1_files, train={"n_epochs": 3}) | {"pruning": PRUNING}
    config, run_dir = load_study(tmp_path_factory.mktemp("filters"), content)
    prepare.run(config, run_dir)
    return config, run_dir


def test_a_run_ends_with_the_smaller_network_whatever_interrupts_it(
    prepared, tmp_path, monkeypatch
):
    config, folder = prepared
    whole = RunDir(shutil.copytree(folder.path, tmp_path / "whole"))
    train.run(config, whole)
    broken = RunDir(shutil.copytree(folder.path, tmp_path / "broken"))
    with monkeypatch.context() as patch:
        break_off_after(patch, 20)
        with pytest.raises(Broken):
            train.run(config, broken)
    train.run(config, broken)
    assert_same_history(pd.read_csv(broken.history), pd.read_csv(whole.history))
    before = keras.saving.load_model(whole.untrained_model, compile=False)
    models = [
        keras.saving.load_model(each.trained_model, compile=False) for each in (whole, broken)
    ]
    assert models[0].count_params() < 0.7 * before.count_params()
    for mine, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    pipeline.test(config, whole)
    assert whole.metrics.exists()
