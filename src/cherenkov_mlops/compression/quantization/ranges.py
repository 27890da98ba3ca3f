"""Rounding to 8 bits while training: of kernels, and of what layers hand on."""

from typing import Any

import keras
from keras import ops

#: Package under which Keras knows the layers; stands in files of models.
PACKAGE = "cherenkov_mlops"
N_BITS = 8
#: Steps of a kernel on each side of 0.
N_STEPS = 127
#: No range is narrower: an 8-bit scale has to be a number that can be divided by.
NARROWEST = 1e-4
#: The smallest range of a channel, of that of the whole kernel: its bias has to fit into 32 bit.
SMALLEST_CHANNEL = 1e-3
#: The first batch counts fully; the n-th one as 9 / (n + 8) of the average.
GROWTH = 9.0
#: Output of operations whose 8-bit range is a convention of LiteRT: one step less than the limit.
FIXED_RANGES = {
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}


def round_kernel(kernel: Any, *, by_channel: bool) -> Any:
    """The kernel in 255 steps, symmetric about 0, which stays 0.

    Parameters
    ----------
    kernel : variable or tensor
        Output channels along the last axis.
    by_channel : bool
        Whether each output channel has a scale of its own.
    """
    kernel = ops.convert_to_tensor(kernel)
    largest = _largest(kernel, by_channel)
    return keras.quantizers.fake_quant_with_min_max_vars(
        kernel,
        -largest,
        largest,
        num_bits=N_BITS,
        narrow_range=True,
        axis=len(kernel.shape) - 1 if by_channel else None,
    )


def round_bias(bias: Any, kernel: Any, step: Any, *, by_channel: bool) -> Any:
    """The bias in steps of LiteRT's sums: those of the input times those of the kernel."""
    steps = step * _largest(ops.convert_to_tensor(kernel), by_channel) / N_STEPS
    return ops.round(bias / steps) * steps


def _largest(kernel: Any, by_channel: bool) -> Any:
    largest = ops.maximum(ops.max(ops.abs(kernel)), NARROWEST)
    if by_channel:
        each = ops.max(ops.abs(kernel), axis=tuple(range(len(kernel.shape) - 1)))
        largest = ops.maximum(each, SMALLEST_CHANNEL * largest)
    return ops.stop_gradient(largest)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Range(keras.layers.Layer):
    """Rounds what it gets to 256 steps between two limits, which it learns or is given.

    While training the limits are moving averages of the lowest and the highest value of a batch,
    over a ninth of the batches so far until ``momentum`` takes over: what a network gives at first
    says nothing about what it comes to give. 0 is always within, and one of the steps.

    Parameters
    ----------
    fixed : sequence of two floats, optional
        The limits; learnt if not given.
    momentum : float
        Share of the old average that stays at each step.
    """

    def __init__(self, fixed: Any = None, momentum: float = 0.99, **kwargs: Any):
        super().__init__(**kwargs)
        self.fixed = None if fixed is None else tuple(fixed)
        self.momentum = momentum

    def build(self, input_shape: Any) -> None:
        """Make the averages."""
        if self.fixed is None:
            self.low, self.high, self.n_seen = (
                self.add_weight(
                    shape=(), initializer="zeros", trainable=False, aggregation="mean", name=name
                )
                for name in ("low", "high", "n_seen")
            )

    def call(self, inputs: Any, training: bool | None = None, only_step: bool = False) -> Any:
        """The values rounded, those beyond the limits to the limits; or only the step between two.

        The step is one number, for layers that round a bias to go with it.
        """
        if only_step:
            low, high = self.fixed or (self.low, self.high)
            return ops.maximum(high - low, NARROWEST) / (2.0**N_BITS - 1.0)
        if self.fixed is not None:
            low, high = self.fixed
        else:
            low, high = self._learn(inputs) if training else (self.low, self.high)
        high = ops.maximum(high, low + NARROWEST)
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, low, high, num_bits=N_BITS)

    def _learn(self, inputs: Any) -> tuple[Any, Any]:
        new = ops.minimum(ops.min(inputs), 0.0), ops.maximum(ops.max(inputs), 0.0)
        share = ops.maximum(1.0 - self.momentum, GROWTH / (self.n_seen + GROWTH))
        averages = []
        for variable, value in zip((self.low, self.high), new, strict=True):
            average = variable + share * (ops.stop_gradient(value) - variable)
            variable.assign(average)
            averages.append(average)
        self.n_seen.assign(self.n_seen + 1.0)
        return averages[0], averages[1]

    def get_config(self) -> dict[str, Any]:
        """Parameters of the layer."""
        return super().get_config() | {"fixed": self.fixed, "momentum": self.momentum}
