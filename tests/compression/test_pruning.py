"""Pruning during a training: every kind of model, every way of running it, every interruption."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cherenkov_mlops.compression.pruning.kernels import find_kernels, hold_zeros
from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.compression.pruning.pruner import Pruner, count_kept
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.train_section import PruningSection
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train
from cherenkov_mlops.training.backup import read_backup
from cherenkov_mlops.training.checkpoint import BestModel
from interrupted import Broken, assert_same_history, break_off_after
from simulated import load_study, study
from small_networks import MODELS, SHAPE, build

N_STEPS, N_EPOCHS = 4, 5


def make_pruner(**options) -> Pruner:
    """Pruner of a training of five epochs with four steps each."""
    given = {"final_sparsity": 0.8, "end_step": 13, "frequency": 3} | options
    return Pruner(make_plan(PruningSection(**given), N_STEPS, N_EPOCHS))


def fit(model: keras.Model, pruner: Pruner, n_epochs: int = N_EPOCHS, **options) -> dict:
    """History of a training on noise."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8 * N_STEPS, *SHAPE)).astype(np.float32)
    labels = {"energy": rng.normal(size=(len(images), 1)).astype(np.float32)}
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mae", **options)
    callbacks = [pruner]
    done = model.fit(
        images, labels, batch_size=8, epochs=n_epochs, callbacks=callbacks, verbose=0, shuffle=False
    )
    return done.history


def assert_sparse(model: keras.Model, names: list[str], sparsity: float) -> None:
    """Each kernel is as sparse as it is to be, to one weight."""
    kernels = find_kernels(model)
    for name in names:
        values = np.asarray(kernels[name])
        assert abs(np.count_nonzero(values) - count_kept(values.size, sparsity)) <= 1, name


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("schedule", ["polynomial", "constant"])
def test_each_layer_gets_as_sparse_as_asked_for(tmp_path, kind, schedule):
    model, pruner = build(kind), make_pruner(schedule=schedule)
    pruner.attach(model)
    before = {weight.path: np.asarray(weight) for weight in model.trainable_weights}
    history = fit(model, pruner)
    assert pruner.names == list(find_kernels(model)) and pruner.is_final
    assert_sparse(model, pruner.names, 0.8)
    pruned = {kernel.path for kernel in find_kernels(model).values()}
    others = {weight.path: weight for weight in model.trainable_weights}
    for path in others.keys() - pruned:
        assert np.count_nonzero(np.asarray(others[path])) >= np.count_nonzero(before[path]), path
    # What is saved is a plain graph, with the same zeros.
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert all(kernel.constraint is None for kernel in find_kernels(loaded).values())
    for mine, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=0.02)
    assert set(history) >= {f"sparsity/{name}" for name in pruner.names}
    assert set(history) >= {f"threshold/{name}" for name in pruner.names}
    rise = np.diff(history["sparsity"])
    assert (rise >= -1e-9).all() and (rise.sum() > 0.1) == (schedule == "polynomial")


@pytest.mark.parametrize(
    "options", [{"steps_per_execution": 3}, {"jit_compile": True}, {"jit_compile": False}]
)
def test_ways_of_execution(options):
    model, pruner = build("SingleCNN"), make_pruner()
    pruner.attach(model)
    fit(model, pruner, **options)
    assert_sparse(model, pruner.names, 0.8)


def test_under_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model, pruner = build("SingleCNN"), make_pruner()
        pruner.attach(model)
        fit(model, pruner)
    assert_sparse(model, pruner.names, 0.8)


def test_zeros_stay_zero_between_masks():
    model, pruner = build("SingleCNN"), make_pruner(schedule="constant", frequency=1000)
    pruner.attach(model)
    fit(model, pruner, n_epochs=1)
    masks = {name: np.asarray(kernel) != 0 for name, kernel in find_kernels(model).items()}
    fit(model, pruner, n_epochs=2)
    for name, kernel in find_kernels(model).items():
        np.testing.assert_array_equal(np.asarray(kernel) != 0, masks[name])


def test_one_threshold_for_the_model():
    model, pruner = build("basic"), make_pruner(scope="model", max_layer_sparsity=0.9)
    pruner.attach(model)
    history = fit(model, pruner)
    shares = pruner.sparsities()
    assert len({round(share, 3) for share in shares.values()}) > 1
    assert max(shares.values()) <= 0.9 + 1e-6
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=0.01)


def test_layers_of_their_own():
    model, pruner = build("SingleCNN"), make_pruner()
    first, second, *_ = find_kernels(model)
    pruner = make_pruner(exclude=[first], layers={second: 0.3})
    pruner.attach(model)
    fit(model, pruner)
    assert first not in pruner.names
    assert_sparse(model, [second], 0.3)
    assert_sparse(model, pruner.names[1:], 0.8)
    assert np.count_nonzero(np.asarray(find_kernels(model)[first])) > 0.9 * np.prod(
        find_kernels(model)[first].shape
    )


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("SingleCNN", "SingleCNN_block_conv_1_1", "energy"),
        ("basic", "ThinResNet_block_conv2_block1_1_conv", "energy"),
    ],
)
def test_kernels_come_in_the_order_of_the_network(kind, first, last):
    names = list(find_kernels(build(kind), with_last=True))
    assert (names[0], names[-1]) == (first, last)
    assert list(find_kernels(build(kind))) == names[:-1]


class Odd(keras.layers.Layer):
    """A layer with weights that nobody knows."""

    def build(self, input_shape):
        """Make its weights."""
        self.table = self.add_weight(shape=(input_shape[-1],), name="table")

    def call(self, inputs):
        """Scale."""
        return inputs * self.table


def test_unknown_layers_stay_dense_and_are_named(caplog):
    image = keras.Input((4,))
    hidden = Odd(name="odd")(keras.layers.Dense(4, name="first")(image))
    model = keras.Model(image, keras.layers.Dense(1, name="last")(hidden))
    assert list(find_kernels(model)) == ["first"]
    assert caplog.text.count("layer odd (Odd) stays dense") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"exclude": ["nothing*"]}, r"pruning\.exclude: .* got 'nothing\*', which fits none of"),
        ({"layers": {"x": 0.1}}, r"pruning\.layers: .* got 'x', which fits none of"),
        ({"exclude": ["*"]}, "expected at least one layer to prune, got none; the model has"),
        ({"end_step": 21}, r"pruning\.end_step: expected at most 20 steps, .* got 21"),
        ({"unit": "epochs", "end_step": 6}, "expected at most 5 epochs, .* got 6"),
        ({"begin_step": 30, "end_step": 40}, r"pruning\.begin_step: expected at most 20"),
    ],
)
def test_mistakes(options, said):
    with pytest.raises(UserError, match=said):
        make_pruner(**options).attach(build("SingleCNN"))


def test_units_and_defaults():
    plan = make_plan(PruningSection(unit="epochs", begin_step=1, end_step=3), 10, 5)
    assert (plan.schedule.begin, plan.schedule.end) == (10, 30)
    assert plan.first_final_epoch(10) == 2
    assert make_plan(PruningSection(), 10, 5).schedule.end == 40
    assert make_plan(PruningSection(), 10, 1).schedule.end == 10
    constant = make_plan(PruningSection(schedule="constant", begin_step=15), 10, 5)
    assert constant.first_final_epoch(10) == 1


def test_only_final_epochs_compete(tmp_path, monkeypatch):
    final = False
    best = BestModel(tmp_path / "best.keras", True, lambda: final)
    saved = []
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    monkeypatch.setattr(model, "save", lambda path: saved.append(epoch) or path.touch())
    best.set_model(model)
    losses = [0.1, 0.2, 0.5, 0.6, 0.4]
    for epoch, loss in enumerate(losses):
        final = epoch >= 2
        best.on_epoch_end(epoch, {"val_loss": loss})
    assert saved == [0, 1, 2, 4]
    assert (best.best, best.best_epoch) == (0.4, 5)


PRUNING = {
    "final_sparsity": 0.75,
    "begin_step": 1,
    "end_step": 4,
    "unit": "epochs",
    "frequency": 5,
}
TRAIN = {"n_epochs": 6, "early_stopping": {"patience": 1, "restore_best_weights": True}}


@pytest.fixture(scope="module")
def prepared(dl1_files, tmp_path_factory):
    """Configuration and folder of a prepared run with pruning."""
    content = study("energy", dl1_files, train=TRAIN) | {"pruning": PRUNING}
    config, run_dir = load_study(tmp_path_factory.mktemp("pruned"), content)
    prepare.run(config, run_dir)
    return config, run_dir


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Folder of the training that nothing interrupted, with its last state."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_dir = RunDir(shutil.copytree(prepared[1].path, folder))
    train.run(prepared[0], run_dir)
    return run_dir


def test_a_run_keeps_the_best_model_at_its_final_sparsity(prepared, whole):
    config, _ = prepared
    model = keras.saving.load_model(whole.trained_model, compile=False)
    assert_sparse(model, list(find_kernels(model)), 0.75)
    history = pd.read_csv(whole.history)
    best = int(pd.read_json(whole.training_record, typ="series")["best_epoch"])
    final = history[history["epoch"] >= 4]
    assert best == final.loc[final["val_loss"].idxmin(), "epoch"]
    assert (history["sparsity"].diff().dropna() >= -1e-9).all()
    assert history["sparsity"].iloc[0] < 0.01 < 0.7 < history["sparsity"].iloc[3]
    assert sorted(name for name in history if name.startswith("threshold/"))


def test_masks_survive_interruptions(prepared, whole, tmp_path, monkeypatch):
    config, folder = prepared
    run_dir = RunDir(shutil.copytree(folder.path, tmp_path / "copy"))
    n_broken = 0
    for n_batches in (20, 17, 25, 1000):
        with monkeypatch.context() as patch:
            break_off_after(patch, n_batches)
            try:
                train.run(config, run_dir)
            except Broken:
                n_broken += 1
                state = read_backup(run_dir.backup)
                assert "Pruner" in state.callbacks
    assert n_broken == 3
    assert_same_history(pd.read_csv(run_dir.history), pd.read_csv(whole.history))
    mine, theirs = (
        keras.saving.load_model(each.trained_model, compile=False).get_weights()
        for each in (run_dir, whole)
    )
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pruned_model_stays_pruned_when_it_learns_on(
    prepared, whole, dl1_files, tmp_path, caplog
):
    section = {"type": "loaded", "load_model_from": str(whole.trained_model)}
    content = study("energy", dl1_files, train={"n_epochs": 1}) | {"model": section}
    config, run_dir = load_study(tmp_path, content)
    prepare.run(config, run_dir)
    with caplog.at_level("INFO"):
        train.run(config, run_dir)
    assert "weights that are 0 in the loaded model stay 0" in caplog.text
    before, after = (
        find_kernels(keras.saving.load_model(each.trained_model, compile=False))
        for each in (whole, run_dir)
    )
    for name, kernel in after.items():
        np.testing.assert_array_equal(np.asarray(kernel) == 0, np.asarray(before[name]) == 0)
        assert not np.array_equal(np.asarray(kernel), np.asarray(before[name]))
    chain.test(config, run_dir)
    assert run_dir.metrics.exists()


def test_a_run_of_an_older_version_is_complete(whole, tmp_path):
    """Its files name the structure of what is pruned, of which there is one only by now."""
    run_dir = RunDir(shutil.copytree(whole.path, tmp_path / "old"))
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    made_of = record["stages"]["train"]["made_of"]
    made_of |= {"pruning.structure": "weights", "pruning.block_size": [4, 4]}
    run_dir.record.write_text(json.dumps(record), encoding="utf-8")
    text = run_dir.resolved_config.read_text(encoding="utf-8")
    assert "\npruning:\n" in text
    old = text.replace("\npruning:\n", "\npruning:\n  structure: weights\n  block_size: [4, 4]\n")
    run_dir.resolved_config.write_text(old, encoding="utf-8")
    train.run(*open_run(run_dir.path))
    after = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert len(after["stages"]["train"]["attempts"]) == 1


def test_a_dense_model_is_not_held():
    model = build("SingleCNN")
    assert hold_zeros(find_kernels(model, with_last=True)) == 0
    assert all(kernel.constraint is None for kernel in find_kernels(model).values())
