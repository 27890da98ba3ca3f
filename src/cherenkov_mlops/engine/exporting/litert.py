"""Models for LiteRT."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.run_dir import atomic_path

type Numbers = Literal["float32", "float16", "dynamic", "int8"]


def write_litert(model: keras.Model, path: Path, images: np.ndarray, *, kind: Numbers) -> None:
    """Write a ``.tflite`` file.

    Parameters
    ----------
    model, path, images : keras.Model, Path, array
        As for ``export_model``.
    kind : {"float32", "float16", "dynamic", "int8"}
        How numbers are stored: as they are; weights in 16 bit; weights in 8 bit; weights and
        everything that is computed in 8 bit, one scale a channel.
    """
    with atomic_path(path) as temporary:
        model.export(temporary, format="litert", verbose=False, **_options(kind, images))


def _options(kind: Numbers, images: np.ndarray) -> dict[str, Any]:
    if kind == "float32":
        return {}
    smaller: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if kind == "float16":
        return smaller | {"target_spec": {"supported_types": [tf.float16]}}
    if kind == "dynamic":
        return smaller

    def representative() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [image[None]]

    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]}
    return smaller | {"representative_dataset": representative, "target_spec": operations}
