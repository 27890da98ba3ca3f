"""Weights that are held at zero while the others learn."""

import logging
from collections.abc import Mapping

import keras
import numpy as np

log = logging.getLogger(__name__)


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
        if self.inner is not None:
            weights = self.inner(weights)
        return weights * keras.ops.cast(self.mask, weights.dtype)

    def hold(self, mask: np.ndarray) -> None:
        """Take a new mask, and set what it holds to zero."""
        self.mask.assign(mask.astype(np.float32))
        self.kernel.assign(np.asarray(self.kernel) * mask)


def hold_zeros(kernels: Mapping[str, keras.Variable]) -> int:
    """Number of weights that are zero already, and stay so: of a network that was pruned before."""
    n_held = 0
    for kernel in kernels.values():
        mask = np.asarray(kernel) != 0
        if not mask.all():
            HeldAtZero(kernel).hold(mask)
            n_held += int(mask.size - np.count_nonzero(mask))
    return n_held
