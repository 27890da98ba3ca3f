"""Models for LiteRT."""

import logging
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.quantization.calibrating import (
    calibrated,
    last_bias,
    without_mean_error,
)
from cherenkov_mlops.compression.quantization.litert import export_aware
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.networks import predict
from cherenkov_mlops.models.runtimes import LiteRTNetwork
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)


def write_litert(
    model: keras.Model, path: Path, images: np.ndarray, *, in_8_bits: bool = False
) -> None:
    """Write a ``.tflite`` file that computes in 32 bit.

    Parameters
    ----------
    model, path, images : keras.Model, Path, array
        As for ``export_model``.
    in_8_bits : bool
        Whether weights are stored in 8 bit.
    """
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if in_8_bits else {}
    with atomic_path(path) as temporary:
        model.export(temporary, format="litert", verbose=False, **options)


def write_litert_float16(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write a ``.tflite`` file with weights of 16 bit that computes in 32 bit."""

    def export() -> None:
        model.export(
            temporary,
            format="litert",
            verbose=False,
            optimizations=[tf.lite.Optimize.DEFAULT],
            target_spec={"supported_types": [tf.float16]},
        )

    last = last_bias(model)
    with atomic_path(path) as temporary:
        export()
        if last is not None:
            errors = predict(LiteRTNetwork(temporary), images) - predict(model, images)
            with without_mean_error(last, errors):
                export()


def write_litert_int8(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write a ``.tflite`` file with weights and all that is computed in 8 bit, one scale a channel.

    Ranges are those of ``calibrated``. Where it is not known how a layer computes in 8 bits, the
    ranges are those that LiteRT's converter sees.
    """
    try:
        with calibrated(model, images) as network:
            export_aware(network, path, images)
    except UserError as error:
        log.info("compress: int8: ranges by LiteRT's converter, for: %s", error)
        with atomic_path(path) as temporary:
            _write_with_ranges(model, temporary, images)


def _write_with_ranges(model: keras.Model, path: Path, images: np.ndarray) -> None:
    def representative() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [image[None]]

    model.export(
        path,
        format="litert",
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=representative,
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
    )
