"""What happens at the end of each epoch, beside the training itself."""

import csv
import logging
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.progress import Progress

from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)


class EpochFacts(keras.callbacks.Callback):
    """Draws the batches of each epoch, and adds what is known of it to Keras' logs.

    All later callbacks find learning rate, time and events there.

    Parameters
    ----------
    loader : SampledLoader
        Loader of the training set.
    """

    def __init__(self, loader: SampledLoader):
        super().__init__()
        self.loader = loader

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock; draw by the number of the epoch, however often Keras asks for more."""
        self.loader.set_epoch(epoch)
        if drawn := self.loader.count_drawn():
            counts = ", ".join(f"{name}: {n}" for name, n in drawn.items())
            log.info("epoch %d draws %s", epoch + 1, counts)
        self._n_events = self.loader.n_drawn
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add ``learning_rate``, ``seconds``, ``events_per_s`` and ``share_never_seen``."""
        seconds = time.perf_counter() - self._started
        logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        logs["seconds"] = seconds
        logs["events_per_s"] = self._n_events / seconds
        logs["share_never_seen"] = self.loader.share_never_seen


class History(keras.callbacks.Callback):
    """Writes ``history.csv``: one row an epoch, whole at any moment.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the values of this epoch."""
        self.rows.append({"epoch": epoch + 1, **{key: float(logs[key]) for key in logs}})
        self.write()

    def write(self) -> None:
        """Write all rows."""
        with (
            atomic_path(self.path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, fieldnames=list(self.rows[0]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)


class RefuseNaN(keras.callbacks.Callback):
    """Ends the training with an error when the loss is NaN or infinite: nothing can heal it."""

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raise ``DataError`` if the running loss is not finite."""
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            raise DataError(
                f"training: the loss became {loss} in batch {batch + 1}; expected a finite value; "
                "lower train.optimizer.base_learning_rate and start anew with --force, or look for "
                "extreme pixel values"
            )


class EpochLines(keras.callbacks.Callback):
    """One line an epoch in the log: losses, events/s, time left.

    Parameters
    ----------
    n_epochs : int
        Epochs that are scheduled.
    """

    def __init__(self, n_epochs: int):
        super().__init__()
        self.n_epochs = n_epochs
        self._seconds: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the line."""
        self._seconds.append(logs["seconds"])
        left = (self.n_epochs - epoch - 1) * float(np.mean(self._seconds))
        log.info(
            "epoch %d of %d: loss %.4f, val_loss %.4f, %.0f events/s, %s left",
            epoch + 1,
            self.n_epochs,
            logs["loss"],
            logs["val_loss"],
            logs["events_per_s"],
            readable_time(left),
        )


class ProgressBar(keras.callbacks.Callback):
    """A bar over the batches of the epoch, on a terminal only; it leaves nothing behind.

    Parameters
    ----------
    n_epochs : int
        Epochs that are scheduled.
    """

    def __init__(self, n_epochs: int):
        super().__init__()
        self.n_epochs = n_epochs

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Open the bar."""
        self._bar = Progress(transient=True)
        self._bar.start()
        title = f"epoch {epoch + 1}/{self.n_epochs}"
        self._task = self._bar.add_task(title, total=self.params["steps"])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move it on."""
        self._bar.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take it away before the line of the epoch is written."""
        self._bar.stop()


def readable_time(seconds: float) -> str:
    """``42 s``, ``3 min 20 s`` or ``2 h 05 min``.

    Examples
    --------
    >>> readable_time(200)
    '3 min 20 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def reduce_learning_rate(
    factor: float, patience: int, min_delta: float, min_lr: float, fraction: float
) -> keras.callbacks.ReduceLROnPlateau:
    """Callback that lowers the learning rate when the validation loss stays.

    ``patience`` counts passes over the whole training set: where an epoch shows only a
    ``fraction`` of it, correspondingly more epochs pass before the rate is lowered.
    """
    return keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss",
        mode="min",
        factor=factor,
        patience=max(1, round(patience / fraction)),
        min_delta=min_delta,
        min_lr=min_lr,
    )
