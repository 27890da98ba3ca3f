"""The end of a training before its time: at a limit, or because the batch system asks."""

import time
from typing import Any

import keras

from cherenkov_mlops.errors import TimeLimitReached
from cherenkov_mlops.training.callbacks import History
from cherenkov_mlops.training.time_limit import StopRequests, TimeLimit


class StopInTime(keras.callbacks.Callback):
    """Ends the training by ``TimeLimitReached`` where no complete epoch is lost.

    With a deadline: after an epoch, if the time left is less than 1.3 times the longest epoch
    with its validation; at any batch, if the deadline is over. When TERM or USR2 came: at the end
    of the epoch, if the time left is known and more than that; else at the next batch. A Ctrl-C
    that was lost ends it at the next batch too, by ``KeyboardInterrupt``.

    It stands behind the callback that keeps the state.

    Parameters
    ----------
    limit : TimeLimit
        Time left.
    requests : StopRequests
        Signals that came.
    history : History
        Epochs so far, of earlier attempts too.
    n_epochs : int
        Epochs that are scheduled.
    """

    def __init__(self, limit: TimeLimit, requests: StopRequests, history: History, n_epochs: int):
        super().__init__()
        self.limit, self.requests = limit, requests
        self.history, self.n_epochs = history, n_epochs
        self._longest = 0.0
        self._finishes_epoch: bool | None = None

    @property
    def longest_epoch(self) -> float:
        """Time [s] of the longest epoch with validation and saving; 0 if there is none yet."""
        return max([self._longest, *(row["seconds"] for row in self.history.rows)])

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Leave the epoch if there is no time to finish it."""
        if self.requests.is_interrupted:
            raise KeyboardInterrupt
        if self.limit.is_reached or self._is_asked_to_leave():
            self.stop()

    on_test_batch_end = on_train_batch_end

    def _is_asked_to_leave(self) -> bool:
        if self.requests.received is None:
            return False
        if self._finishes_epoch is None:
            longest = self.longest_epoch
            self._finishes_epoch = longest > 0 and self.limit.allows(longest)
        return not self._finishes_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if that was asked for, or if another epoch would take too long."""
        self._longest = max(self._longest, time.perf_counter() - self._started)
        is_over = self.model.stop_training or epoch + 1 >= self.n_epochs
        no_time = self.limit.deadline is not None and not self.limit.allows(self.longest_epoch)
        if self.requests.received is not None or (no_time and not is_over):
            self.stop()

    def stop(self) -> None:
        """Raise ``TimeLimitReached``."""
        signal = self.requests.received
        how = f"stopped by {signal}" if signal else "stopped at the time limit"
        raise TimeLimitReached(describe_stop(how, len(self.history.rows), self.n_epochs))


def describe_stop(how: str, n_epochs_done: int, n_epochs: int) -> str:
    """How a training ended early, and what the same command does then."""
    if not n_epochs_done:
        return f"train: {how} in the first epoch; the same command starts the stage again"
    return (
        f"train: {how} after epoch {n_epochs_done} of {n_epochs}; "
        "the same command goes on from there"
    )
