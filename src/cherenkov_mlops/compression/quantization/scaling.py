"""Images whose channels share one 8-bit scale: each is divided by a limit of its own first.

Charges of thousands of photoelectrons and times of some nanoseconds in one tensor leave a few of
256 steps to the times. What an image is divided by, the kernels that see it are multiplied with
(as between layers: Nagel et al. 2019, arXiv:1906.04721, sec. 4.1).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import keras
import numpy as np

from cherenkov_mlops.compression.flattening import flatten
from cherenkov_mlops.errors import UserError

#: Name of the layer that divides the images.
SCALING = "scale_channels"
KERNELS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
#: What gives values twice as large for values twice as large, each channel by itself.
PROPORTIONAL = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)


def layers_of_images(model: keras.Model) -> list[keras.Layer]:
    """Convolutions that see the images, with nothing but poolings and padding before them.

    Empty if something else sees them, or the model cannot be flattened: then images cannot be
    scaled without a trace.
    """
    try:
        flat = flatten(model)
    except UserError:
        return []
    waiting, found = list(flat.inputs), []
    while waiting:
        tensor = waiting.pop()
        for node in chain.from_iterable(flat._nodes_by_depth.values()):
            if not any(each is tensor for each in node.input_tensors):
                continue
            layer = node.operation
            if type(layer) in KERNELS and _is_usual(layer):
                found.append(layer)
            elif type(layer) in PROPORTIONAL:
                waiting += node.outputs
            else:
                return []
    # A layer that is called twice may see something else the other time.
    return [] if any(_n_calls(flat, layer) > 1 for layer in found) else found


def _is_usual(layer: keras.Layer) -> bool:
    return layer.data_format == "channels_last" and getattr(layer, "groups", 1) == 1


def _n_calls(flat: keras.Model, layer: keras.Layer) -> int:
    nodes = chain.from_iterable(flat._nodes_by_depth.values())
    return sum(node.operation is layer for node in nodes)


@contextmanager
def for_scaled_images(layers: list[keras.Layer], limits: np.ndarray) -> Iterator[None]:
    """Within, the layers take images whose channels were divided by the limits."""
    kernels = [(layer.kernel, np.asarray(layer.kernel) * limits[:, None]) for layer in layers]
    with temporarily(kernels):
        yield


@contextmanager
def temporarily(values: Sequence[tuple[keras.Variable, np.ndarray]]) -> Iterator[None]:
    """Within, the variables have these values."""
    before = [(variable, np.asarray(variable).copy()) for variable, _ in values]
    try:
        for variable, value in values:
            variable.assign(value)
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def scale_first(network: keras.Model, limits: np.ndarray) -> keras.Model:
    """The network behind a layer that divides the channels of images by the limits."""
    images = keras.Input(network.input.shape[1:], dtype="float32", name="images")
    scaled = keras.layers.Rescaling((1.0 / limits).tolist(), name=SCALING)(images)
    found = keras.Model(images, network(scaled), name=network.name)
    # Keras exports what was called.
    found(np.zeros((1, *images.shape[1:]), np.float32))
    return found


def is_scaled(network: keras.Model) -> bool:
    """Whether ``scale_first`` made the network."""
    return any(layer.name == SCALING for layer in network.layers)
