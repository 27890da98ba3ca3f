"""Trained networks as functions from images to predictions, whatever file they come from."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.engine.packing import unpack_model
from cherenkov_mlops.errors import UserError

type Network = Callable[[tf.Tensor], tf.Tensor | np.ndarray | dict[str, tf.Tensor]]
"""Predictions for images of shape (n, height, width, n_channels); any n."""


def load_network(path: Path) -> Network:
    """The network in a ``.keras``, ``.packed`` or ``.tflite`` file.

    Raises
    ------
    UserError
        LiteRT is needed and not installed.
    DataError
        A packed model is damaged.
    """
    if path.suffix == ".tflite":
        return LiteRTNetwork(path)
    is_packed = path.suffix == ".packed"
    model = unpack_model(path) if is_packed else keras.saving.load_model(path, compile=False)
    # As one graph; ``Model.predict`` costs far more per call.
    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


class LiteRTNetwork:
    """A network of one output that LiteRT computes, on all processors of this process.

    Parameters
    ----------
    path : Path
        The ``.tflite`` file.

    Raises
    ------
    UserError
        LiteRT is not installed.
    """

    def __init__(self, path: Path):
        try:
            litert = import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            raise UserError(
                f"{path}: needs LiteRT, which is not installed; "
                "pip install 'cherenkov-mlops[engines]'"
            ) from error
        self._interpreter = litert.Interpreter(str(path), num_threads=len(os.sched_getaffinity(0)))
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: tf.Tensor | np.ndarray) -> np.ndarray:
        """Predictions, shape (n, n_outputs)."""
        values = np.asarray(images)
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output).copy()
