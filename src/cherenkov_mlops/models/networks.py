"""Trained networks as functions from images to predictions, whatever file they come from."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.models.packing import unpack_model
from cherenkov_mlops.models.runtimes import RUNTIMES

type Network = Callable[[tf.Tensor], tf.Tensor | np.ndarray | dict[str, tf.Tensor]]
"""Predictions for images of shape (n, height, width, n_channels); any n."""

#: Images that ``predict`` takes at once.
BATCH = 16


def load_network(path: Path) -> Network:
    """The network in a ``.keras`` or ``.packed`` file, or in that of another engine.

    Raises
    ------
    UserError
        The engine of the file is not installed.
    DataError
        A packed model is damaged.
    """
    if path.suffix in RUNTIMES:
        return RUNTIMES[path.suffix](path)
    is_packed = path.suffix == ".packed"
    model = unpack_model(path) if is_packed else keras.saving.load_model(path, compile=False)
    # As one graph; ``Model.predict`` costs far more per call.
    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


def only_values(output: tf.Tensor | np.ndarray | dict[str, tf.Tensor]) -> np.ndarray:
    """The values of the only output of a network."""
    return np.asarray(next(iter(output.values())) if isinstance(output, dict) else output)


def predict(network: keras.Model | Network, images: np.ndarray) -> np.ndarray:
    """Outputs for all images, shape (n, n_outputs).

    Some images at a time: what lies between the layers of a large network needs a lot of memory.
    """
    if isinstance(network, keras.Model):
        return only_values(network.predict(images, batch_size=BATCH, verbose=0))
    starts = range(0, len(images), BATCH)
    return np.concatenate([only_values(network(images[at : at + BATCH])) for at in starts])
