"""What rounding values inside a network does to its outputs, to first order."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.quantization.ranges import N_BITS, NARROWEST

#: Images of which the gradients are in memory at once.
BATCH = 8


@dataclass(frozen=True)
class Limits:
    """One way to round: to 256 steps between two limits, as ``Range`` does."""

    low: float
    high: float


def output_errors(
    network: keras.Model,
    images: np.ndarray,
    of_channels: Sequence[Sequence[Limits]] = (),
    of_values: Sequence[Sequence[Limits]] = (),
) -> list[np.ndarray]:
    """Errors of the outputs for each set of values and each way to round it.

    Parameters
    ----------
    network : keras.Model
        Its last output is the prediction; those before are values within.
    images : array
        Shape (n, height, width, n_channels).
    of_channels : sequence
        Ways to round each channel of the images; none if it is not asked for.
    of_values : sequence
        Ways to round each of the values within.

    Returns
    -------
    list of array
        Shape (n_ways, n_outputs, n) each; those of the channels come first. An error is the sum
        of rounding errors times the gradients of the output.
    """

    @tf.function(reduce_retracing=True)
    def of_batch(batch: tf.Tensor) -> list[tf.Tensor]:
        channels = tf.unstack(batch, axis=-1)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(channels)
            seen = tf.stack(channels, axis=-1)
            *inner, predicted = keras.tree.flatten(network(seen, training=False))
            components = tf.unstack(predicted, axis=-1)
        asked = [*zip(channels, of_channels, strict=False), *zip(inner, of_values, strict=True)]
        values = [value for value, _ in asked]
        parts = [
            [
                _carried(value, gradient, ways)
                for (value, ways), gradient in zip(
                    asked,
                    tape.gradient(component, values, unconnected_gradients="zero"),
                    strict=True,
                )
            ]
            for component in components
        ]
        return [tf.stack(each, axis=1) for each in zip(*parts, strict=True)]

    starts = range(0, len(images), BATCH)
    batches = [of_batch(tf.constant(images[at : at + BATCH])) for at in starts]
    return [np.concatenate(each, axis=-1) for each in zip(*batches, strict=True)]


def _carried(values: tf.Tensor, gradient: tf.Tensor, ways: Sequence[Limits]) -> tf.Tensor:
    axes = list(range(1, len(values.shape)))

    def one(limits: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(_rounding_error(values, limits) * gradient, axis=axes)

    limits = tf.constant([[way.low, max(way.high, way.low + NARROWEST)] for way in ways])
    # One after the other: all at once would need as many times the memory.
    return tf.map_fn(one, limits, fn_output_signature=tf.float32, parallel_iterations=1)


def _rounding_error(values: tf.Tensor, limits: tf.Tensor) -> tf.Tensor:
    low, high = limits[0], limits[1]
    return tf.quantization.fake_quant_with_min_max_vars(values, low, high, N_BITS) - values


def smallest(errors: np.ndarray, *, without_mean: bool) -> int:
    """Number of the way with the smallest errors: root of the mean square, or spread.

    Parameters
    ----------
    errors : array
        Shape (n_ways, n_outputs, n).
    without_mean : bool
        Whether the mean error of an output does not matter, because it is taken out later.
    """
    means = errors.mean(axis=-1, keepdims=True) if without_mean else 0.0
    return int(np.argmin([rms(each) for each in errors - means]))


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
