"""Batches for Keras: drawn afresh each epoch, read ahead in the background, no event left out."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from ctlearn.core.loader import DLDataLoader
from keras.utils import to_categorical

from cherenkov_mlops.dl1.reader import BatchReader
from cherenkov_mlops.dl1.sampling import Balance, EpochOrder, make_strata
from cherenkov_mlops.dl1.split import examples_of, label_columns
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS

#: Batches that are read while the network works on an earlier one.
N_AHEAD = 2


class SampledLoader(DLDataLoader):
    """CTLearn's loader, with the last partial batch kept and an order of its own.

    The order of epoch ``e`` is a function of ``(seed, e)`` only: the rows are permuted, cut into
    batches, and a random ``fraction`` of the batches is drawn, independent of earlier epochs.
    Without a seed the rows come in the given order, all of them.

    Parameters
    ----------
    reader : BatchReader
        Open reader, mono or stereo.
    indices : array of int
        Rows of the reader that belong to this loader, shape (n,).
    tasks : list of str
        What the labels are for; empty for prediction.
    batch_size : int
        Events a batch.
    seed : int, optional
        Seed of the order; None keeps the given order.
    fraction : float
        Share of the batches drawn each epoch, 0 < fraction <= 1.
    balance : {"none", "classes", "energy"}
        What each epoch draws equally often; see ``sampling.make_strata``.
    class_weight : dict of int to float, optional
        Weight of the loss for each class; given to Keras as sample weights, which also works
        where labels are a dictionary (Keras 3 refuses ``class_weight`` there).
    sort_by_intensity, stack_telescope_images : bool
        Stereo: brightest telescope first, or the images of all telescopes as channels.

    Attributes
    ----------
    seen : array of bool
        Whether each row was in a batch so far, shape (n,).
    seconds_reading : float
        Time spent on making batches, mostly beside other work.

    Raises
    ------
    DataError
        ``indices`` is empty.
    """

    def __init__(
        self,
        reader: BatchReader,
        indices: np.ndarray,
        tasks: list[str],
        batch_size: int = 64,
        *,
        seed: int | None = None,
        fraction: float = 1.0,
        balance: Balance = "none",
        class_weight: dict[int, float] | None = None,
        sort_by_intensity: bool = False,
        stack_telescope_images: bool = False,
    ):
        if not len(indices):
            raise DataError("expected at least one event to load, got none; check cuts and split")
        # Upstream's __init__ calls on_epoch_end(), so what that needs is set before.
        self.rows = np.asarray(indices)
        events = examples_of(reader)
        classes = np.asarray(events["true_shower_primary_class"])[self.rows]
        log_energy = np.asarray(events["log_true_energy"])[self.rows]
        strata = make_strata(balance, classes, log_energy)
        self.order = EpochOrder(len(self.rows), batch_size, seed, fraction, strata)
        self.epoch = -1
        self.seen = np.zeros(len(self.rows), dtype=bool)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: dict[int, Future] = {}
        self.seconds_reading = 0.0
        super().__init__(
            reader,
            self.rows,
            tasks,
            batch_size,
            random_seed=None,
            sort_by_intensity=sort_by_intensity,
            stack_telescope_images=stack_telescope_images,
        )
        columns = label_columns(reader, tasks)
        self._labels = {task: TASKS[task].labels(columns)[self.rows] for task in tasks}
        self._weights = None
        if class_weight is not None and tasks:
            by_class = np.array([class_weight[0], class_weight[1]], dtype=np.float32)
            self._weights = to_categorical(classes, 2) @ by_class

    @property
    def share_never_seen(self) -> float:
        """Share of the rows that were in no batch so far."""
        return float(1 - self.seen.mean())

    @property
    def n_drawn(self) -> int:
        """Events of this epoch."""
        return sum(len(places) for places in self.batches)

    def count_drawn(self) -> dict[str, int]:
        """Events of this epoch by class, or by class and energy; empty without ``balance``."""
        strata = self.order.strata
        return {} if strata is None else strata.count(np.concatenate(self.batches))

    def __len__(self) -> int:
        return self.order.n_batches

    def on_epoch_end(self) -> None:
        """Draw the batches of the next epoch."""
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of ``epoch`` (0 is the first): a function of (seed, epoch) only."""
        self._forget_coming()
        self.epoch = epoch
        self.batches = self.order.draw(epoch)

    def _forget_coming(self) -> None:
        for future in self._coming.values():
            future.cancel()
        self._coming.clear()

    def __getitem__(self, index: int) -> tuple:
        """Features, labels and, where classes are weighted, sample weights of one batch.

        The next batches are read meanwhile, in a thread of their own.
        """
        future = self._coming.pop(index, None)
        if future is None:
            # Not the next batch of an epoch: what was read ahead is of no use.
            self._forget_coming()
            batch = self._make_batch(self.batches[index])
        else:
            batch = future.result()
        for number in range(index + 1, min(index + 1 + N_AHEAD, len(self.batches))):
            if number not in self._coming:
                future = self._thread.submit(self._make_batch, self.batches[number])
                self._coming[number] = future
        self.seen[self.batches[index]] = True
        return batch

    def _make_batch(self, places: np.ndarray) -> tuple:
        started = time.perf_counter()
        features = self.read_features(places)
        labels = {task: values[places] for task, values in self._labels.items()}
        # As CTLearn's networks: the particle type alone comes without its name.
        is_bare = len(labels) == 1 and TASKS[self.tasks[0]].is_bare
        given = labels[self.tasks[0]] if is_bare else labels
        self.seconds_reading += time.perf_counter() - started
        if self._weights is None:
            return features, given
        return features, given, self._weights[places]

    def read_features(self, places: np.ndarray) -> np.ndarray:
        """Features of events by their places among the loader's rows, read here and now."""
        rows = self.rows[places]
        return self._arrange_telescopes(self.DLDataReader.read_features(rows), rows)

    def _arrange_telescopes(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Stereo images stacked along the channels, or brightest first; mono as they are.

        Upstream groups each batch by event numbers again, and so mixes events of two files that
        use the same numbers.
        """
        if self.DLDataReader.mode == "mono":
            return images
        if self.sort_by_intensity:
            intensities = self.DLDataReader.read_intensities(rows)
            order = np.argsort(-intensities, axis=1, kind="stable")
            images = images[np.arange(len(images))[:, None], order]
        if self.stack_telescope_images:
            n_events, n_telescopes, height, width, n_channels = images.shape
            by_pixel = np.moveaxis(images, 1, 3)
            images = by_pixel.reshape(n_events, height, width, n_telescopes * n_channels)
        return images
