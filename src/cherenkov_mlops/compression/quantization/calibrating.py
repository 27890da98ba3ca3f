"""Ranges of 8-bit values for a network that was trained without them.

The ranges of what is rounded are limits beyond which values are cut. Wide ones leave few steps to
most values, for few images are as bright as the brightest; narrow ones cut those. For each range
that limit is taken whose errors, carried to the outputs by their gradients, are smallest. Other
ways to find ranges: Nagel et al. 2021, arXiv:2106.08295, sec. 3.1.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np

from cherenkov_mlops.compression.flattening import flatten
from cherenkov_mlops.compression.quantization.aware import IMAGES_RANGE, make_aware
from cherenkov_mlops.compression.quantization.ranges import Range
from cherenkov_mlops.compression.quantization.scaling import (
    for_scaled_images,
    layers_of_images,
    scale_first,
    temporarily,
)
from cherenkov_mlops.compression.quantization.sensitivity import (
    Limits,
    output_errors,
    rms,
    smallest,
)
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.networks import BATCH, predict

log = logging.getLogger(__name__)

#: Limits that are tried, as shares of the farthest value seen.
SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02)
#: Nothing is cut.
EXTREMES = (1.0,)
#: Images that gradients are computed for.
N_IMAGES = 128
#: A channel without light has a limit, too.
SMALLEST_LIMIT = 1e-3


@contextmanager
def calibrated(model: keras.Model, images: np.ndarray) -> Iterator[keras.Model]:
    """The model as it computes in 8 bits with the best ranges found; its file is the export.

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
    last = last_bias(model)
    with _rounded(model, images, EXTREMES) as (_, errors):
        largest = _size(errors, without_mean=last is not None)
    with _rounded(model, images, SHARES) as (network, errors):
        if is_better := _size(errors, without_mean=last is not None) <= largest:
            with without_mean_error(last, errors):
                yield network
    if not is_better:
        # Gradients know nothing of large errors.
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
    """The model as it computes in 8 bits with the best of the shares; errors of its outputs."""
    is_sum = last_bias(model) is not None
    expected = predict(model, images)
    with evened(model, images, shares, without_mean=is_sum) as limits:
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
    """Limits of the channels; within, the model takes images that were divided by them.

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
    """Within, the mean of the errors is taken out by the bias, if there is one.

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
    """Limit of each channel of the images, beyond which it is cut when all have one 8-bit scale.

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
    ranges, network = _without_ranges(aware)
    lows, highs = _extremes(network, images)
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
            if only_step:
                return None
            if operation.fixed is None:
                rounded[operation.name] = (operation, values)
            return values

        return passing

    flat = flatten(aware, leave_out, what="quantization")
    ranges, tensors = zip(*rounded.values(), strict=True)
    return list(ranges), keras.Model(flat.inputs[0], [*tensors, *flat.outputs])


def _extremes(network: keras.Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of all values, or 0, of each output but the last."""
    *values, _ = network.outputs
    found = [
        [extreme(value, axis=tuple(range(1, len(value.shape)))) for value in values]
        for extreme in (keras.ops.min, keras.ops.max)
    ]
    of_images = keras.Model(network.input, found)
    lows, highs = of_images.predict(images, batch_size=BATCH, verbose=0)
    return np.minimum(np.min(lows, axis=1), 0), np.maximum(np.max(highs, axis=1), 0)


def last_bias(model: keras.Model) -> keras.Variable | None:
    """Bias of the layer that gives the output, if the output is its plain sum."""
    try:
        layer = flatten(model).outputs[0]._keras_history.operation
    except UserError:
        return None
    is_sum = isinstance(layer, keras.layers.Dense) and layer.use_bias
    return layer.bias if is_sum and layer.activation is keras.activations.linear else None
