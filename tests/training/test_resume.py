"""A training that goes on as if nothing had happened: every bit, every counter."""

import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare
from cherenkov_mlops.training import trainer as train_tool
from cherenkov_mlops.training.backup import Backup, read_backup, write_backup
from cherenkov_mlops.training.trainer import Trainer, train_model
from interrupted import (
    MODEL,
    BreakOffBeforeState,
    Broken,
    assert_same_history,
    assert_same_state,
    break_off_after,
)
from simulated import load_study, study

# Half of 11 batches an epoch and 3 of the validation set.
N_BATCHES = 6 + 3
TRAIN = {
    "n_epochs": 9,
    "lr_reducing": {"factor": 0.5, "patience": 1, "min_delta": 0.0, "min_lr": 1e-6},
    "early_stopping": {"patience": 4, "restore_best_weights": True},
}


@pytest.fixture(scope="module")
def prepared(dl1_files, tmp_path_factory):
    """Configuration and folder of a prepared run with all that has a state."""
    over = {"train": TRAIN, "sampling": {"percentage_per_epoch": 0.5}}
    content = study("type", dl1_files, **over) | {"model": MODEL}
    config, run_dir = load_study(tmp_path_factory.mktemp("prepared"), content)
    prepare.run(config, run_dir)
    return config, run_dir


@pytest.fixture
def new_run(prepared, tmp_path):
    """Function that gives a fresh copy of the prepared run under a name."""

    def copy(name: str = "copy") -> RunDir:
        shutil.copytree(prepared[1].path, tmp_path / name)
        return RunDir(tmp_path / name)

    return copy


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Folder of the training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(prepared[1].path, folder)
    go_on(prepared[0], RunDir(folder))
    return RunDir(folder)


def go_on(config, run_dir: RunDir) -> dict:
    """Train from where the folder stands."""
    manifest = read_manifest(run_dir)
    backup = read_backup(run_dir.backup)
    return train_model(config, manifest, run_dir, made_of={"a": 1}, backup=backup)


def weights_of(run_dir: RunDir) -> list[np.ndarray]:
    """Weights of the best model."""
    return keras.saving.load_model(run_dir.trained_model, compile=False).get_weights()


def test_what_the_uninterrupted_training_went_through(whole):
    state = read_backup(whole.backup)
    rates = [row["learning_rate"] for row in state.history]
    assert len(set(rates)) > 1, "the learning rate has to fall for the test to mean anything"
    assert state.callbacks["EarlyStopping"]["best_weights"]
    assert 1 < len(state.history) <= TRAIN["n_epochs"]


@pytest.mark.parametrize("seed", range(2))
def test_interrupted_at_random_batches(prepared, whole, new_run, monkeypatch, seed):
    config, _ = prepared
    run_dir = new_run()
    draw = np.random.default_rng(seed)
    n_broken = 0
    while True:
        break_off_after(monkeypatch, int(draw.integers(1, 3 * N_BATCHES)))
        try:
            facts = go_on(config, run_dir)
            break
        except Broken:
            n_broken += 1
    assert n_broken >= 2
    assert_same_state(read_backup(run_dir.backup), read_backup(whole.backup))
    assert_same_history(pd.read_csv(run_dir.history), pd.read_csv(whole.history))
    for mine, theirs in zip(weights_of(run_dir), weights_of(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert facts["effective_epochs"] == len(read_backup(whole.backup).history)


@pytest.mark.parametrize("epoch", [0, 3])
def test_interrupted_between_best_model_and_state(prepared, whole, new_run, monkeypatch, epoch):
    config, _ = prepared
    run_dir = new_run()
    monkeypatch.setattr(train_tool, "EpochLines", BreakOffBeforeState)
    monkeypatch.setattr(BreakOffBeforeState, "epoch", epoch)
    with pytest.raises(Broken):
        go_on(config, run_dir)
    # The history already knows the epoch; the state does not, so it is done again.
    assert len(pd.read_csv(run_dir.history)) == epoch + 1
    assert run_dir.backup.exists() == (epoch > 0)
    facts = go_on(config, run_dir)
    # Attempts that completed an epoch, by the first one.
    assert facts["attempt_epochs"] == ([1, epoch + 1] if epoch else [1])
    assert read_backup(run_dir.backup).attempts == facts["attempt_epochs"]
    assert_same_state(read_backup(run_dir.backup), read_backup(whole.backup))
    assert_same_history(pd.read_csv(run_dir.history), pd.read_csv(whole.history))


@pytest.mark.parametrize("n_epochs", [1, TRAIN["n_epochs"]])
def test_a_training_that_is_over_is_only_finished(prepared, whole, new_run, monkeypatch, n_epochs):
    config, _ = prepared
    run_dir = new_run()
    shutil.copytree(whole.train_dir, run_dir.train_dir)
    run_dir.history.unlink()
    state = read_backup(whole.backup)
    break_off_after(monkeypatch, 1)
    models = catch_models(monkeypatch)
    train = config.train.model_copy(update={"n_epochs": n_epochs})
    facts = go_on(config.model_copy(update={"train": train}), run_dir)
    assert facts["best_val_loss"] == state.best_val_loss
    assert facts["effective_epochs"] == len(state.history)
    assert facts["attempt_epochs"] == [1]
    assert_same_state(read_backup(run_dir.backup), state)
    assert_same_history(pd.read_csv(run_dir.history), pd.read_csv(whole.history))
    # Early stopping gives the best weights back at the end, after a resume too.
    best = state.callbacks["EarlyStopping"]["best_weights"]
    for mine, theirs in zip(models[0].get_weights(), best, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def catch_models(monkeypatch) -> list[keras.Model]:
    """List that gets the model of each training at its end."""
    models = []
    run = Trainer.run

    def keep_model(trainer):
        run(trainer)
        models.append(trainer.model)

    monkeypatch.setattr(Trainer, "run", keep_model)
    return models


def test_a_state_of_another_model_is_refused(prepared, whole, new_run):
    config, _ = prepared
    run_dir = new_run()
    state = read_backup(whole.backup)
    state.arrays["model/0"] = np.zeros(3)
    write_backup(state, run_dir.backup)
    with pytest.raises(DataError, match=r"does not fit the model.*keras.*--force"):
        go_on(config, run_dir)


def make_state() -> Backup:
    """A small state with everything that a callback may want to keep."""
    kept = {"Other": {"best": None, "wait": np.int64(3), "masks": [np.eye(2), np.zeros(3, "i2")]}}
    return Backup(
        n_epochs_done=2,
        is_over=False,
        made_of={"train.n_epochs": 2},
        history=[{"epoch": 1, "val_loss": 0.3}, {"epoch": 2, "val_loss": 0.1 + 0.2}],
        seconds=1.5,
        versions={"keras": "3"},
        callbacks=kept,
        arrays={"model/0": np.arange(4.0, dtype="f4")},
    )


def test_a_state_comes_back_as_it_was(tmp_path):
    path = write_backup(make_state(), tmp_path / "state.npz")
    state = read_backup(path)
    assert state.history[1]["val_loss"] == 0.1 + 0.2
    masks = state.callbacks["Other"].pop("masks")
    np.testing.assert_array_equal(masks[0], np.eye(2), strict=True)
    assert masks[1].dtype == np.int16
    assert state.callbacks == {"Other": {"best": None, "wait": 3}}
    assert list(state.arrays) == ["model/0"]
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]


def test_no_state_is_no_matter(tmp_path, caplog):
    assert read_backup(tmp_path / "state.npz") is None
    assert caplog.text == ""


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "text", "format"])
def test_a_damaged_state_is_one_warning(tmp_path, caplog, damage, monkeypatch):
    if damage == "format":
        monkeypatch.setattr("cherenkov_mlops.training.backup.FORMAT", 0)
    path = write_backup(make_state(), tmp_path / "state.npz")
    monkeypatch.undo()
    content = path.read_bytes()
    at = content.index(np.arange(4.0, dtype="f4").tobytes())
    changed = content[:at] + b"\xff" + content[at + 1 :]
    spoilt = {"cut": content[:-30], "empty": b"", "changed": changed, "text": b"{}"}
    path.write_bytes(spoilt.get(damage, content))
    assert read_backup(path) is None
    (record,) = caplog.records
    assert "cannot be read" in record.message and "from the first epoch" in record.message
