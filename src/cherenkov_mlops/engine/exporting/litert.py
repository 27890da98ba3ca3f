"""Models for LiteRT."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.engine.networks import only_values
from cherenkov_mlops.engine.runtimes import LiteRTNetwork
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

type Numbers = Literal["float32", "float16", "dynamic"]

#: Shares of the calibration images whose brightest pixels the range of the images covers.
COVERED = (1.0, 0.99, 0.9, 0.6)


def write_litert(model: keras.Model, path: Path, images: np.ndarray, *, kind: Numbers) -> None:
    """Write a ``.tflite`` file that computes in 32 bit.

    Parameters
    ----------
    model, path, images : keras.Model, Path, array
        As for ``export_model``.
    kind : {"float32", "float16", "dynamic"}
        How weights are stored: as they are; in 16 bit; in 8 bit.
    """
    options: dict[str, Any] = {}
    if kind != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    with atomic_path(path) as temporary:
        model.export(temporary, format="litert", verbose=False, **options)


def write_litert_int8(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write a ``.tflite`` file with weights and all that is computed in 8 bit, one scale a channel.

    Few images are as bright as the brightest: a range that covers all leaves few of the 256 steps
    for the others. Several ranges are tried, and that one is taken whose outputs are nearest
    to Keras' for the calibration images (root of the mean square, which large errors dominate).
    Errors of rounding have a mean that is not zero. Where the output is a plain sum, as that of an
    energy, it goes into the last bias (Nagel et al. 2019, arXiv:1906.04721, sec. 4.2).
    """
    expected = only_values(model(images, training=False))
    last = _last_bias(model)
    with atomic_path(path) as temporary:
        # All images each time: one that is odd may decide on all ranges.
        best = _find_range(model, temporary, images, expected, without_mean=last is not None)
        errors = _errors_with(model, temporary, images, expected, best)
        if last is not None:
            with _shifted(last, -errors.mean(axis=0)):
                errors = _errors_with(model, temporary, images, expected, best)
    log.info("compress: int8: outputs are %.2g from Keras' (rms)", _rms(errors))


def _find_range(
    model: keras.Model, path: Path, images: np.ndarray, expected: np.ndarray, *, without_mean: bool
) -> float:
    """The share of ``COVERED`` whose outputs are nearest to those expected."""
    spreads: dict[float, float] = {}
    for share in COVERED:
        errors = _errors_with(model, path, images, expected, share)
        spreads[share] = _rms(errors - errors.mean(axis=0) if without_mean else errors)
    best = min(spreads, key=spreads.__getitem__)
    tried = ", ".join(f"{share:.0%}: {spread:.2g}" for share, spread in spreads.items())
    log.info("compress: int8: the range covers %.0f %% of the images (%s)", 100 * best, tried)
    return best


def _errors_with(
    model: keras.Model, path: Path, images: np.ndarray, expected: np.ndarray, share: float
) -> np.ndarray:
    """Errors of the outputs of an export whose range covers a share of the images."""
    limits = np.quantile(np.abs(images).max(axis=(1, 2)), share, axis=0)
    _write_with_ranges(model, path, np.clip(images, -limits, limits))
    return LiteRTNetwork(path)(images) - expected


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _last_bias(model: keras.Model) -> keras.Variable | None:
    """Bias of the layer that gives the output, if the output is its plain sum."""
    output = keras.tree.flatten(getattr(model, "outputs", []))
    layer = output[0]._keras_history.operation if output else None
    is_sum = isinstance(layer, keras.layers.Dense) and layer.use_bias
    return layer.bias if is_sum and layer.activation is keras.activations.linear else None


@contextmanager
def _shifted(bias: keras.Variable, by: np.ndarray) -> Iterator[None]:
    before = np.asarray(bias).copy()
    bias.assign(before + by)
    try:
        yield
    finally:
        bias.assign(before)


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
