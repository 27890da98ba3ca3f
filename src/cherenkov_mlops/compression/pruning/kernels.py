"""What can be pruned of a network, its kernels, and how their weights are held at zero."""

import logging
from collections.abc import Mapping
from itertools import chain, count

import keras
import numpy as np

from cherenkov_mlops.compression.graph import all_layers, has_own_weights

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
    """Find the kernels that can be pruned: name -> kernel, in the order of the network.

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
    for layer in all_layers(model):
        kind = next((kind for kind in type(layer).__mro__ if kind in KERNELS), None)
        if kind is None:
            if has_own_weights(layer) and not isinstance(layer, NEVER):
                log.warning(
                    "pruning: layer %s (%s) stays dense: which of its weights could go is not "
                    "known",
                    layer.name,
                    type(layer).__name__,
                )
            continue
        # Forgotten when another kernel follows: only the last layer's are the last.
        last = []
        for attribute in KERNELS[kind]:
            plain = layer.name if len(KERNELS[kind]) == 1 else f"{layer.name}.{attribute}"
            # With a number where layers in different parts of a network share a name.
            names = chain([plain], (f"{plain}_{number}" for number in count(2)))
            name = next(each for each in names if each not in found)
            found[name] = getattr(layer, attribute)
            last.append(name)
    return {name: kernel for name, kernel in found.items() if with_last or name not in last}


class HeldAtZero(keras.constraints.Constraint):
    """Multiplies a kernel by a mask after each step of the optimizer.

    It is a constraint of the variable, not of its layer: the saved model does not know of it.
    Inside the optimizer's own update it works on several devices, with XLA and with several steps
    an execution. An earlier constraint of the kernel is applied before.

    Parameters
    ----------
    kernel : keras.Variable
        The kernel; it becomes the constraint of it.

    Attributes
    ----------
    mask : keras.Variable
        1 where a weight may learn, 0 where it is held; shape and type of the kernel.
    """

    def __init__(self, kernel: keras.Variable):
        self.kernel, self.inner = kernel, kernel.constraint
        ones = np.ones(kernel.shape, dtype=np.float32)
        self.mask = keras.Variable(ones, trainable=False, dtype=kernel.dtype, name="mask")
        kernel.constraint = self

    def __call__(self, weights):
        """The weights that stay, and zeros."""
        # The layer's own constraint first: it may make something of a zero.
        if self.inner is not None:
            weights = self.inner(weights)
        return weights * keras.ops.cast(self.mask, weights.dtype)

    def hold(self, mask: np.ndarray) -> None:
        """Take a new mask, and set what it holds to zero."""
        self.mask.assign(mask.astype(np.float32))
        self.kernel.assign(np.asarray(self.kernel) * mask)


def hold_zeros(kernels: Mapping[str, keras.Variable]) -> int:
    """Hold at zero what is zero already, in a network that was pruned before; number of weights."""
    n_held = 0
    for kernel in kernels.values():
        mask = np.asarray(kernel) != 0
        if not mask.all():
            HeldAtZero(kernel).hold(mask)
            n_held += int(mask.size - np.count_nonzero(mask))
    return n_held
