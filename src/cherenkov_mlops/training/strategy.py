"""Where the network runs: the default device, or all GPUs of the node."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def device_strategy() -> tf.distribute.Strategy:
    """Keras' default strategy on one device, ``MirroredStrategy`` on several GPUs.

    CTLearn's tools always make a MirroredStrategy; on a single device it only costs time. A
    processor counts as several devices only for those who have divided it in TensorFlow.
    """
    for kind in ("GPU", "CPU"):
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy(devices)
        if devices:
            break
    return tf.distribute.get_strategy()


class EvenBatches(keras.utils.PyDataset):
    """Batches that divide evenly among the devices.

    TensorFlow deals out what it gets: of a last batch with fewer rows than devices one device
    gets nothing, and a batch normalisation there makes the weights NaN. Rows are repeated until
    the batch divides, with weight 0; the weights of the others grow to give the same mean loss.

    Parameters
    ----------
    loader : PyDataset
        Gives features, labels and perhaps sample weights.
    n_devices : int
        Devices.
    """

    def __init__(self, loader: keras.utils.PyDataset, n_devices: int):
        super().__init__()
        self.loader, self.n_devices = loader, n_devices

    def __len__(self) -> int:
        return len(self.loader)

    def __getitem__(self, index: int) -> tuple[Any, Any, np.ndarray]:
        """Features, labels and sample weights of one batch."""
        features, labels, *weights = self.loader[index]
        n_rows = len(features)
        n_added = -n_rows % self.n_devices
        rows = np.arange(n_rows + n_added) % n_rows
        given = weights[0] if weights else np.ones(n_rows, dtype=np.float32)
        even = np.zeros(len(rows), dtype=np.float32)
        even[:n_rows] = np.asarray(given) * (len(rows) / n_rows)
        return features[rows], keras.tree.map_structure(lambda part: part[rows], labels), even

    def on_epoch_begin(self) -> None:
        """Pass it on to the loader."""
        self.loader.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Pass it on to the loader."""
        self.loader.on_epoch_end()
