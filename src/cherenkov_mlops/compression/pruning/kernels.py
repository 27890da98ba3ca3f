"""What can be pruned of a network: the kernels of its layers, nested ones too."""

import logging
from collections.abc import Container, Iterator
from itertools import chain, count

import keras

log = logging.getLogger(__name__)

#: Layer -> attributes with kernels. Biases, and all of a normalisation, are never pruned.
KERNELS: dict[type[keras.layers.Layer], tuple[str, ...]] = {
    keras.layers.Dense: ("kernel",),
    keras.layers.EinsumDense: ("kernel",),
    keras.layers.Conv1D: ("kernel",),
    keras.layers.Conv2D: ("kernel",),
    keras.layers.Conv3D: ("kernel",),
    keras.layers.Conv1DTranspose: ("kernel",),
    keras.layers.Conv2DTranspose: ("kernel",),
    keras.layers.Conv3DTranspose: ("kernel",),
    keras.layers.DepthwiseConv1D: ("kernel",),
    keras.layers.DepthwiseConv2D: ("kernel",),
    keras.layers.SeparableConv1D: ("depthwise_kernel", "pointwise_kernel"),
    keras.layers.SeparableConv2D: ("depthwise_kernel", "pointwise_kernel"),
}
NEVER = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.UnitNormalization,
)


def find_kernels(model: keras.Model, *, with_last: bool = False) -> dict[str, keras.Variable]:
    """Name -> kernel of all layers that can be pruned, in the order of the network.

    A layer with weights of its own that is not known is left out with a warning.

    Parameters
    ----------
    model : keras.Model
        Functional or subclassed, with models nested in it or not.
    with_last : bool
        The last layer with a kernel, which gives the output, too.
    """
    found: dict[str, keras.Variable] = {}
    last: list[str] = []
    for layer in _walk(model, set()):
        attributes = _kernel_names(layer)
        if not attributes:
            continue
        last = []
        for attribute in attributes:
            plain = layer.name if len(attributes) == 1 else f"{layer.name}.{attribute}"
            name = _unused(plain, found)
            found[name] = getattr(layer, attribute)
            last.append(name)
    return {name: kernel for name, kernel in found.items() if with_last or name not in last}


def _walk(layer: keras.layers.Layer, seen: set[int]) -> Iterator[keras.layers.Layer]:
    """All layers below one, each once, in the order in which they were put together.

    ``_flatten_layers`` turns the order of nested models around.
    """
    for each in layer._layers:
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            yield from _walk(each, seen)


def _unused(name: str, taken: Container[str]) -> str:
    """The name, with a number where layers in different parts of a network share it."""
    names = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(each for each in names if each not in taken)


def _kernel_names(layer: keras.layers.Layer) -> tuple[str, ...]:
    """Attributes with kernels; empty if there is nothing to prune."""
    kind = next((kind for kind in type(layer).__mro__ if kind in KERNELS), None)
    if kind is not None:
        return KERNELS[kind]
    if layer._trainable_variables and not isinstance(layer, NEVER):
        log.warning(
            "pruning: layer %s (%s) stays dense: which of its weights could go is not known",
            layer.name,
            type(layer).__name__,
        )
    return ()
