"""Ranges of 8-bit values for a network that was trained without them.

The ranges of what is rounded are limits beyond which values are cut. Wide ones leave few steps to
most values, for few images are as bright as the brightest; narrow ones cut those. For each range
that limit is taken whose errors, carried to the outputs by their gradients, are smallest. Other
ways to find ranges: Nagel et al. 2021, arXiv:2106.08295, sec. 3.1.

Channels of the images share one 8-bit scale, so each is divided by a limit of its own first.
Charges of thousands of photoelectrons and times of some nanoseconds in one tensor leave a few of
256 steps to the times. What an image is divided by, the kernels that see it are multiplied with
(as between layers: Nagel et al. 2019, arXiv:1906.04721, sec. 4.1).
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.graph import calls_in, flatten, source_of
from cherenkov_mlops.compression.quantization.aware import IMAGES_RANGE, make_aware
from cherenkov_mlops.compression.quantization.rounding import N_BITS, NARROWEST, Range
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.keras_model import BATCH, predict

log = logging.getLogger(__name__)

#: Limits that are tried, as shares of the farthest value seen.
SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02)
#: Nothing is cut.
EXTREMES = (1.0,)
#: Images that gradients are computed for.
N_IMAGES = 128
#: Images of which the gradients are in memory at once.
GRADIENT_BATCH = 8
#: A channel without light has a limit, too.
SMALLEST_LIMIT = 1e-3
#: Name of the layer that divides the images.
SCALING = "scale_channels"
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
#: What gives values twice as large for values twice as large, each channel by itself.
PROPORTIONAL = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)


@contextmanager
def calibrated(model: keras.Model, images: np.ndarray) -> Iterator[keras.Model]:
    """Give the model as it computes in 8 bits with the best ranges found; its file is the export.

    The weights of the model are others within the context, and as they were after it.

    Parameters
    ----------
    model : keras.Model
        Trained, with one output.
    images : array
        Images of the training, shape (n, height, width, n_channels).

    Raises
    ------
    UserError
        As of ``make_aware``.
    """
    # First what limits that cut nothing give: the measure for all others.
    last = last_bias(model)
    with _rounded(model, images, EXTREMES) as (_, errors):
        largest = _size(errors, without_mean=last is not None)
    with _rounded(model, images, SHARES) as (network, errors):
        if is_better := _size(errors, without_mean=last is not None) <= largest:
            with without_mean_error(last, errors):
                yield network
    if not is_better:
        # The best limits are those to first order: gradients know nothing of large errors.
        log.info("compress: 8 bits: nothing is cut")
        with (
            _rounded(model, images, EXTREMES) as (network, errors),
            without_mean_error(last, errors),
        ):
            yield network


@contextmanager
def _rounded(
    model: keras.Model, images: np.ndarray, shares: Sequence[float]
) -> Iterator[tuple[keras.Model, np.ndarray]]:
    """Give the model that computes in 8 bits with the best of the shares; errors of its outputs."""
    is_sum = last_bias(model) is not None
    expected = predict(model, images)
    with evened(model, images, shares, without_mean=is_sum) as limits:
        # A momentum of 0: ranges are given below, and never averaged.
        aware = make_aware(model, momentum=0.0)
        scaled = images if limits is None else np.clip(images / limits, -1, 1)
        _choose_ranges(aware, scaled, shares, without_mean=is_sum)
        network = aware if limits is None else scale_first(aware, limits)
        yield network, predict(network, images) - expected


def _size(errors: np.ndarray, *, without_mean: bool) -> float:
    return rms(errors - errors.mean(axis=0) if without_mean else errors)


@contextmanager
def evened(
    model: keras.Model,
    images: np.ndarray,
    shares: Sequence[float] = SHARES,
    *,
    without_mean: bool,
) -> Iterator[np.ndarray | None]:
    """Give limits of the channels; within, the model takes images that were divided by them.

    None, and the model as it was, where that cannot be done.
    """
    firsts = layers_of_images(model)
    if not firsts:
        yield None
        return
    limits = find_limits(model, images, shares, without_mean=without_mean)
    with for_scaled_images(firsts, limits):
        yield limits


@contextmanager
def without_mean_error(bias: keras.Variable | None, errors: np.ndarray) -> Iterator[None]:
    """Take the mean of the errors out by the bias, if there is one, within the context.

    Errors of rounding have a mean that is not zero (Nagel et al. 2019, arXiv:1906.04721, sec. 4.2).
    """
    mean = errors.mean(axis=0)
    left = errors if bias is None else errors - mean
    log.info("compress: outputs are %.2g from Keras' (rms)", rms(left))
    with temporarily([] if bias is None else [(bias, np.asarray(bias) - mean)]):
        yield


def find_limits(
    model: keras.Model,
    images: np.ndarray,
    shares: Sequence[float] = SHARES,
    *,
    without_mean: bool,
) -> np.ndarray:
    """Find limits of the channels of images, beyond which they are cut to share one 8-bit scale.

    Parameters
    ----------
    model, images : keras.Model, array
        As for ``calibrated``.
    shares : sequence of float
        Limits that are tried, as shares of the farthest value of a channel.
    without_mean : bool
        Whether a mean error of the outputs does not matter.
    """
    farthest = np.maximum(np.abs(images).max(axis=(0, 1, 2)), SMALLEST_LIMIT)
    if len(shares) == 1:
        return shares[0] * farthest
    # Images that are never negative, cleaned ones, have all 256 steps above 0.
    low = -1.0 if images.min() < 0 else 0.0
    tried = [[share * limit for share in shares] for limit in farthest.tolist()]
    ways = [[Limits(low * limit, limit) for limit in limits] for limits in tried]
    errors = output_errors(model, images[:N_IMAGES], of_channels=ways)
    chosen = [
        limits[smallest(each, without_mean=without_mean)]
        for limits, each in zip(tried, errors, strict=True)
    ]
    log.info("compress: 8 bits: images are cut at %s", ", ".join(f"{each:.3g}" for each in chosen))
    return np.array(chosen, dtype=np.float32)


def _choose_ranges(
    aware: keras.Model, images: np.ndarray, shares: Sequence[float], *, without_mean: bool
) -> None:
    """Give all ranges of the network the limits with the smallest errors of its outputs."""
    ranges, network = _without_ranges(aware)
    # Lowest and highest of all values, or 0, of each output but the last.
    *values, _ = network.outputs
    found = [
        [extreme(value, axis=tuple(range(1, len(value.shape)))) for value in values]
        for extreme in (keras.ops.min, keras.ops.max)
    ]
    of_images = keras.Model(network.input, found)
    lows, highs = of_images.predict(images, batch_size=BATCH, verbose=0)
    lows, highs = np.minimum(np.min(lows, axis=1), 0), np.maximum(np.max(highs, axis=1), 0)
    best = [0] * len(ranges)
    if len(shares) > 1:
        ways = [
            [Limits(share * low, share * high) for share in shares]
            for low, high in zip(lows, highs, strict=True)
        ]
        errors = output_errors(network, images[:N_IMAGES], of_values=ways)
        best = [smallest(each, without_mean=without_mean) for each in errors]
    for each, number, low, high in zip(ranges, best, lows, highs, strict=True):
        # Images are cut by then, and all of what is left is wanted.
        share = 1.0 if each.name == IMAGES_RANGE else shares[number]
        each.low.assign(share * low)
        each.high.assign(share * high)


def _without_ranges(aware: keras.Model) -> tuple[list[Range], keras.Model]:
    """The ranges to be found, and the network that gives what they would round, and its output."""
    rounded: dict[str, tuple[Range, keras.KerasTensor]] = {}

    def leave_out(operation: keras.Operation):
        if not isinstance(operation, Range):
            return operation

        def passing(values, training=None, only_step=False):
            # Without a step between two values no bias is rounded.
            if only_step:
                return None
            if operation.fixed is None:
                rounded[operation.name] = (operation, values)
            return values

        return passing

    flat = flatten(aware, leave_out, what="quantization")
    ranges, tensors = zip(*rounded.values(), strict=True)
    return list(ranges), keras.Model(flat.inputs[0], [*tensors, *flat.outputs])


def last_bias(model: keras.Model) -> keras.Variable | None:
    """Bias of the layer that gives the output, if the output is its plain sum."""
    try:
        layer = source_of(flatten(model).outputs[0])
    except UserError:
        return None
    is_sum = isinstance(layer, keras.layers.Dense) and layer.use_bias
    return layer.bias if is_sum and layer.activation is keras.activations.linear else None


def layers_of_images(model: keras.Model) -> list[keras.Layer]:
    """Find the convolutions that see the images, with nothing but poolings and padding before them.

    Empty if something else sees them, or the model cannot be flattened: then images cannot be
    scaled without a trace.
    """
    try:
        flat = flatten(model)
    except UserError:
        return []
    calls = list(calls_in(flat))
    # From the images on, through all that keeps their channels apart, to the first convolutions.
    waiting, found = list(flat.inputs), []
    while waiting:
        tensor = waiting.pop()
        for call in calls:
            if not any(each is tensor for each in call.input_tensors):
                continue
            layer = call.operation
            if type(layer) in CONVOLUTIONS and (
                layer.data_format == "channels_last" and getattr(layer, "groups", 1) == 1
            ):
                found.append(layer)
            elif type(layer) in PROPORTIONAL:
                waiting += call.outputs
            else:
                return []
    # A layer that is called twice may see something else the other time.
    n_calls = [sum(call.operation is layer for call in calls) for layer in found]
    return [] if any(n > 1 for n in n_calls) else found


@contextmanager
def for_scaled_images(layers: list[keras.Layer], limits: np.ndarray) -> Iterator[None]:
    """Let the layers take, within the context, images whose channels were divided by the limits."""
    kernels = [(layer.kernel, np.asarray(layer.kernel) * limits[:, None]) for layer in layers]
    with temporarily(kernels):
        yield


@contextmanager
def temporarily(values: Sequence[tuple[keras.Variable, np.ndarray]]) -> Iterator[None]:
    """Give the variables these values within the context."""
    before = [(variable, np.asarray(variable).copy()) for variable, _ in values]
    try:
        for variable, value in values:
            variable.assign(value)
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def scale_first(network: keras.Model, limits: np.ndarray) -> keras.Model:
    """Put the network behind a layer that divides the channels of images by the limits."""
    images = keras.Input(network.input.shape[1:], dtype="float32", name="images")
    scaled = keras.layers.Rescaling((1.0 / limits).tolist(), name=SCALING)(images)
    found = keras.Model(images, network(scaled), name=network.name)
    # Keras exports what was called.
    found(np.zeros((1, *images.shape[1:]), np.float32))
    return found


def is_scaled(network: keras.Model) -> bool:
    """Whether ``scale_first`` made the network."""
    return any(layer.name == SCALING for layer in network.layers)


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
    """Errors of the outputs, to first order, for each set of values and each way to round it.

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
        # Channels one by one, for a gradient of each.
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

    starts = range(0, len(images), GRADIENT_BATCH)
    batches = [of_batch(tf.constant(images[at : at + GRADIENT_BATCH])) for at in starts]
    return [np.concatenate(each, axis=-1) for each in zip(*batches, strict=True)]


def _carried(values: tf.Tensor, gradient: tf.Tensor, ways: Sequence[Limits]) -> tf.Tensor:
    """Rounding errors of each way times the gradient, added up for each image."""
    axes = list(range(1, len(values.shape)))

    def one(limits: tf.Tensor) -> tf.Tensor:
        low, high = limits[0], limits[1]
        rounded = tf.quantization.fake_quant_with_min_max_vars(values, low, high, N_BITS)
        return tf.reduce_sum((rounded - values) * gradient, axis=axes)

    limits = tf.constant([[way.low, max(way.high, way.low + NARROWEST)] for way in ways])
    # One after the other: all at once would need as many times the memory.
    return tf.map_fn(one, limits, fn_output_signature=tf.float32, parallel_iterations=1)


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
