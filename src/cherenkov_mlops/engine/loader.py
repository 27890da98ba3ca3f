"""Batches for Keras: a fresh random share of the batches each epoch, no event left out."""

from math import ceil

import numpy as np
from astropy.table import Column, Table
from ctlearn.core.loader import DLDataLoader
from dl1_data_handler.reader import DLDataReader

from cherenkov_mlops.errors import DataError


class SampledLoader(DLDataLoader):
    """CTLearn's loader, with the last partial batch kept and an order of its own.

    The order of epoch ``e`` is a function of ``(seed, e)`` only: the rows are permuted, cut into
    batches, and a random ``fraction`` of the batches is drawn, independent of earlier epochs.
    Without a seed the rows come in the given order, all of them.

    Parameters
    ----------
    reader : DLDataReader
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
    class_weight : dict of int to float, optional
        Weight of the loss for each class; given to Keras as sample weights, which also works
        where labels are a dictionary (Keras 3 refuses ``class_weight`` there).

    Raises
    ------
    DataError
        ``indices`` is empty.
    """

    def __init__(
        self,
        reader: DLDataReader,
        indices: np.ndarray,
        tasks: list[str],
        batch_size: int = 64,
        *,
        seed: int | None = None,
        fraction: float = 1.0,
        class_weight: dict[int, float] | None = None,
        sort_by_intensity: bool = False,
        stack_telescope_images: bool = False,
    ):
        if not len(indices):
            raise DataError("expected at least one event to load, got none; check cuts and split")
        # Upstream's __init__ calls on_epoch_end(), so what that needs is set before.
        self.rows = np.asarray(indices)
        self.seed, self.fraction, self.class_weight = seed, fraction, class_weight
        self.epoch = -1
        self.seen = np.zeros(len(self.rows), dtype=bool)
        self.rows_per_batch = batch_size
        super().__init__(
            reader,
            self.rows,
            tasks,
            batch_size,
            random_seed=None,
            sort_by_intensity=sort_by_intensity,
            stack_telescope_images=stack_telescope_images,
        )

    @property
    def n_batches_in_all(self) -> int:
        """Batches that hold all rows once, the last one possibly smaller."""
        return ceil(len(self.rows) / self.rows_per_batch)

    @property
    def share_never_seen(self) -> float:
        """Share of the rows that were in no batch so far."""
        return float(1 - self.seen.mean())

    def __len__(self) -> int:
        return max(1, round(self.fraction * self.n_batches_in_all))

    def on_epoch_end(self) -> None:
        """Draw the batches of the next epoch."""
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of ``epoch`` (0 is the first): a function of (seed, epoch) only."""
        self.epoch = epoch
        order = np.arange(len(self.rows))
        self.drawn = np.arange(len(self))
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, epoch])
            order = generator.permutation(order)
            self.drawn = generator.choice(self.n_batches_in_all, len(self), replace=False)
        self._order = order

    def _batch_positions(self, batch: int) -> np.ndarray:
        return self._order[batch * self.rows_per_batch : (batch + 1) * self.rows_per_batch]

    def __getitem__(self, index: int) -> tuple:
        """Features, labels and, for the particle type, sample weights of one batch."""
        positions = self._batch_positions(self.drawn[index])
        self.seen[positions] = True
        rows = self.rows[positions]
        if self.DLDataReader.mode == "mono":
            batch = self.DLDataReader.generate_mono_batch(rows)
            features, labels = self._get_mono_item(batch)
        else:
            batch = self._arrange_telescopes(self.DLDataReader.generate_stereo_batch(rows))
            features, labels = self._get_mono_item(batch)
        if self.class_weight is None or not self.tasks:
            return features, labels
        one_hot = labels["type"] if isinstance(labels, dict) else labels
        weights = np.array([self.class_weight[0], self.class_weight[1]], dtype=np.float32)
        return features, labels, one_hot @ weights

    def _arrange_telescopes(self, batch: Table) -> Table:
        """The stereo batch with its images stacked along the channels, or brightest first.

        Upstream groups each batch by event numbers again, and so mixes events of two files that
        use the same numbers.
        """
        images = batch["features"].data
        if self.sort_by_intensity:
            order = np.argsort(-np.asarray(batch["intensities"]), axis=1, kind="stable")
            images = images[np.arange(len(images))[:, None], order]
        if self.stack_telescope_images:
            n_events, n_telescopes, height, width, n_channels = images.shape
            by_pixel = np.moveaxis(images, 1, 3)
            images = by_pixel.reshape(n_events, height, width, n_telescopes * n_channels)
        batch.replace_column("features", Column(images))
        return batch
