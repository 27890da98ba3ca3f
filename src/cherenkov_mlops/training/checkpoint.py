"""What is kept at the end of each epoch: the best model, and all that resuming needs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path
from cherenkov_mlops.training.backup import Backup, write_backup
from cherenkov_mlops.training.callbacks import History
from cherenkov_mlops.training.precision import as_float32

# What Keras' own callbacks know of earlier epochs. Ours have get_state() and set_state().
KERAS_STATES = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
        "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
}


class BestModel(keras.callbacks.Callback):
    """Keeps the model of the lowest validation loss, or the latest one.

    Parameters
    ----------
    path : Path
        Where; the model of an earlier epoch stays until the new one is complete.
    best_only : bool
        Whether a model has to be better to replace an earlier one.
    competes : callable
        Whether the model of this epoch is one to be kept. Until the first that is, the latest
        model is there, and any that competes replaces it.

    Attributes
    ----------
    best : float or None
        Lowest validation loss of the epochs that competed.
    best_epoch : int or None
        Number of that epoch, from 1.
    files : dict of Path to Model or None
        What is saved where, if that is not the model that is trained itself.
    """

    def __init__(self, path: Path, best_only: bool, competes: Callable[[], bool] = lambda: True):
        super().__init__()
        self.path, self.best_only, self.competes = path, best_only, competes
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.files: dict[Path, keras.Model] | None = None

    def get_state(self) -> dict[str, Any]:
        """What has to be known after an interruption."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what ``get_state`` gave."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the model if it is wanted."""
        loss = float(logs["val_loss"])
        is_best = self.best is None or loss < self.best
        if is_best or not self.best_only:
            for path, model in (self.files or {self.path: self.model}).items():
                with atomic_path(path) as temporary, as_float32(model):
                    model.save(temporary)
        if is_best and self.competes():
            self.best, self.best_epoch = loss, epoch + 1


class KeepState(keras.callbacks.Callback):
    """Writes the state of the training at the end of each epoch, and brings it back.

    It stands behind all callbacks whose state it keeps: they forget at the start of a training
    what they know, and what they do at the end of an epoch has to be in the state. A kill before
    the state is written has the whole epoch done again, with the same result.

    Parameters
    ----------
    path : Path
        The file.
    callbacks : sequence of Callback
        Callbacks of the training; what has a state is kept.
    loader : SampledLoader
        Loader of the training set.
    history : History
        Rows of the epochs.
    made_of : dict
        Settings and input of the training.
    versions : dict
        Package -> version.
    """

    def __init__(
        self,
        path: Path,
        callbacks: Sequence[keras.callbacks.Callback],
        loader: SampledLoader,
        history: History,
        made_of: dict[str, Any],
        versions: dict[str, str],
    ):
        super().__init__()
        self.path, self.loader, self.history = path, loader, history
        self.made_of, self.versions = made_of, versions
        self.kept = {type(callback).__name__: callback for callback in callbacks}
        self.earlier: Backup | None = None
        self.n_epochs_done = 0
        self.attempts = [1]
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on the training in this attempt and on complete epochs of earlier ones."""
        before = self.earlier.seconds if self.earlier else 0.0
        return before + time.perf_counter() - self._started

    def restore(self, model: keras.Model, backup: Backup) -> None:
        """Bring back the variables of the compiled model; the callbacks follow in ``fit``."""
        self.earlier, self.n_epochs_done = backup, backup.n_epochs_done
        self.attempts = list(backup.attempts)
        variables = _variables(model)
        if any(
            name not in backup.arrays or backup.arrays[name].shape != tuple(variable.shape)
            for name, variable in variables.items()
        ):
            raise DataError(
                f"{self.path}: does not fit the model; it was written with "
                f"{_in_words(backup.versions)}, this is {_in_words(self.versions)}; take those "
                "versions back, or start anew with --force"
            )
        for name, variable in variables.items():
            variable.assign(backup.arrays[name])

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Bring back the state of the callbacks, after they have reset themselves."""
        if self.earlier is None:
            return
        for name, state in self.earlier.callbacks.items():
            if name in self.kept:
                _set_state(self.kept[name], state)
        self.loader.seen = self.earlier.arrays["seen"].copy()
        self.history.rows = [dict(row) for row in self.earlier.history]
        self.history.write()
        self.model.stop_training = self.earlier.is_over

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the state, as the last act of the epoch."""
        # An attempt counts once it has completed an epoch.
        if self.earlier is not None and epoch == self.earlier.n_epochs_done:
            self.attempts.append(epoch + 1)
        states = {name: _get_state(callback) for name, callback in self.kept.items()}
        arrays = {name: np.asarray(value) for name, value in _variables(self.model).items()}
        backup = Backup(
            n_epochs_done=epoch + 1,
            is_over=bool(self.model.stop_training),
            made_of=self.made_of,
            history=self.history.rows,
            seconds=self.seconds,
            versions=self.versions,
            callbacks={name: state for name, state in states.items() if state},
            arrays=arrays | {"seen": np.asarray(self.loader.seen)},
            attempts=self.attempts,
        )
        write_backup(backup, self.path)
        self.n_epochs_done = epoch + 1


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All that training changes: weights, states of random numbers, and the optimizer's."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{group}/{number}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }


def _get_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    if hasattr(callback, "get_state"):
        return callback.get_state()
    return {name: getattr(callback, name) for name in _state_names(callback)}


def _set_state(callback: keras.callbacks.Callback, state: dict[str, Any]) -> None:
    if hasattr(callback, "set_state"):
        callback.set_state(state)
        return
    for name in _state_names(callback):
        setattr(callback, name, state[name])


def _state_names(callback: keras.callbacks.Callback) -> tuple[str, ...]:
    return next((names for kind, names in KERAS_STATES.items() if isinstance(callback, kind)), ())


def _in_words(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
