"""Trainings that are broken off at a given moment."""

import json
import os
import signal

import numpy as np
import pandas as pd

import cherenkov_mlops.models.template as template
from cherenkov_mlops.training import trainer as train_tool
from cherenkov_mlops.training.backup import Backup

# With dropout: the state of its random numbers has to come back, too.
MODEL = {
    "type": "custom",
    "file": template.__file__,
    "class": "TemplateModel",
    "options": {"filters": [4, 8], "dropout": 0.3},
}
TIMING = ["seconds", "events_per_s"]


class Broken(BaseException):
    """Stands for a kill."""


class BreakOff(train_tool.RefuseNaN):
    """Raises ``error`` after so many batches, those of the validation counted, too."""

    n_left = 10**9
    error: BaseException = Broken()

    def _count(self) -> None:
        BreakOff.n_left -= 1
        if BreakOff.n_left == 0:
            raise BreakOff.error

    def on_train_batch_end(self, batch, logs=None):
        """Count."""
        self._count()

    def on_test_batch_end(self, batch, logs=None):
        """Count."""
        self._count()


class SeesNaN(train_tool.RefuseNaN):
    """Is told that the loss is NaN."""

    def on_batch_end(self, batch, logs=None):
        """Refuse it."""
        super().on_batch_end(batch, {"loss": float("nan")})


class SendSignal(BreakOff):
    """Sends a signal to this process after so many batches."""

    number = signal.SIGTERM

    def _count(self) -> None:
        BreakOff.n_left -= 1
        if BreakOff.n_left == 0:
            os.kill(os.getpid(), SendSignal.number)


class BreakOffBeforeState(train_tool.EpochLines):
    """Raises at the end of the given epoch, after the best model and before the state."""

    epoch = -1

    def on_epoch_end(self, epoch, logs=None):
        """Raise or not."""
        if epoch == type(self).epoch:
            type(self).epoch = -1
            raise Broken
        super().on_epoch_end(epoch, logs)


def break_off_after(monkeypatch, n_batches: int, error: BaseException | None = None) -> None:
    """Have the next training broken off by ``error`` after so many batches."""
    monkeypatch.setattr(train_tool, "RefuseNaN", BreakOff)
    monkeypatch.setattr(BreakOff, "n_left", n_batches)
    monkeypatch.setattr(BreakOff, "error", error or Broken())


def send_signal_after(monkeypatch, n_batches: int, number: signal.Signals) -> None:
    """Have the signal sent in the next training after so many batches."""
    monkeypatch.setattr(train_tool, "RefuseNaN", SendSignal)
    monkeypatch.setattr(BreakOff, "n_left", n_batches)
    monkeypatch.setattr(SendSignal, "number", number)


def assert_same_state(first: Backup, second: Backup) -> None:
    """Every bit of two trainings agrees, apart from the time they took."""
    assert first.arrays.keys() == second.arrays.keys()
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(values, second.arrays[name], err_msg=name, strict=True)
    assert as_text(first.callbacks) == as_text(second.callbacks)
    assert (first.n_epochs_done, first.is_over) == (second.n_epochs_done, second.is_over)
    assert_same_history(pd.DataFrame(first.history), pd.DataFrame(second.history))


def assert_same_history(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Two histories agree bit by bit, apart from times."""
    pd.testing.assert_frame_equal(
        first.drop(columns=TIMING), second.drop(columns=TIMING), check_exact=True
    )


def as_text(states: dict) -> str:
    """States of callbacks as comparable text; arrays by all their values."""
    return json.dumps(states, default=lambda value: value.tolist())
