"""Rounding to 8 bits while training: of kernels, and of what layers hand on.

The layers hold no weights of their own but ranges: kernels and biases are those of the layers
within.
"""

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
    """Round the kernel to 255 steps, symmetric about 0, which stays 0.

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
    """Round the bias to steps of LiteRT's sums: those of the input times those of the kernel."""
    steps = step * _largest(ops.convert_to_tensor(kernel), by_channel) / N_STEPS
    return ops.round(bias / steps) * steps


def _largest(kernel: Any, by_channel: bool) -> Any:
    # A kernel of zeros has a scale, too; so has a channel of zeros, for its bias.
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
        elif not training:
            low, high = self.low, self.high
        else:
            new = ops.minimum(ops.min(inputs), 0.0), ops.maximum(ops.max(inputs), 0.0)
            share = ops.maximum(1.0 - self.momentum, GROWTH / (self.n_seen + GROWTH))
            averages = []
            for variable, value in zip((self.low, self.high), new, strict=True):
                average = variable + share * (ops.stop_gradient(value) - variable)
                variable.assign(average)
                averages.append(average)
            self.n_seen.assign(self.n_seen + 1.0)
            low, high = averages
        # At first both are 0, and an 8-bit scale of 0 is none.
        high = ops.maximum(high, low + NARROWEST)
        return keras.quantizers.fake_quant_with_min_max_vars(inputs, low, high, num_bits=N_BITS)

    def get_config(self) -> dict[str, Any]:
        """Parameters of the layer."""
        return super().get_config() | {"fixed": self.fixed, "momentum": self.momentum}


@keras.saving.register_keras_serializable(package=PACKAGE)
class RoundedKernel(keras.layers.Wrapper):
    """A convolution or dense layer with a rounded kernel, and no activation.

    Each output channel of a convolution has a scale of its own, a dense layer has one. A dense
    layer that sees images computes a convolution of 1 x 1 pixel, the same numbers.

    Parameters
    ----------
    layer : Conv2D, DepthwiseConv2D or Dense
        Owner of the weights.
    """

    def call(self, inputs: Any, step: Any = None, training: bool | None = None) -> Any:
        """The layer's output before its activation; ``step`` is that between two inputs."""
        layer, kernel = self.layer, self.layer.kernel
        sees_images = len(inputs.shape) == 4
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            outputs = ops.depthwise_conv(
                inputs,
                _round_depthwise(kernel),
                strides=layer.strides,
                padding=layer.padding,
                dilation_rate=layer.dilation_rate,
            )
            kernel = _flatten_depthwise(kernel)
        elif isinstance(layer, keras.layers.Conv2D):
            outputs = layer.convolution_op(inputs, round_kernel(kernel, by_channel=True))
        elif sees_images:
            pointwise = ops.reshape(kernel, (1, 1, *kernel.shape))
            outputs = ops.conv(inputs, round_kernel(pointwise, by_channel=True), padding="valid")
        else:
            outputs = ops.matmul(inputs, round_kernel(kernel, by_channel=False))
        if not layer.use_bias:
            return outputs
        # The bias is rounded where the step of the inputs is known, but learns unrounded.
        if step is None or training:
            return outputs + layer.bias
        return outputs + round_bias(layer.bias, kernel, step, by_channel=sees_images)


@keras.saving.register_keras_serializable(package=PACKAGE)
class RoundedNormalization(keras.layers.Wrapper):
    """A batch normalisation as a convolution of 1 x 1 pixel, each channel by itself.

    Scale and offset of a channel are its only weight and its bias: a weight alone in its channel
    loses nothing by rounding, and nothing is rounded between the two.

    Parameters
    ----------
    layer : BatchNormalization
        Owner of the weights, over the last axis.
    """

    def call(self, inputs: Any, step: Any = None, training: bool | None = None) -> Any:
        """The normalised values; by the batch itself while training, as the layer within."""
        layer = self.layer
        if training and layer.trainable:
            mean, variance = ops.moments(inputs, axes=tuple(range(len(inputs.shape) - 1)))
            for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
                moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
            scale, offset = self._scale_and_offset(mean, variance)
            return inputs * scale + offset
        # A depthwise convolution of 1 x 1 pixel: LiteRT knows no normalisation.
        scale, offset = self._scale_and_offset(layer.moving_mean, layer.moving_variance)
        kernel = ops.reshape(scale, (1, 1, inputs.shape[-1], 1))
        if step is not None:
            offset = round_bias(offset, _flatten_depthwise(kernel), step, by_channel=True)
        kernel = _round_depthwise(kernel)
        images = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        outputs = ops.depthwise_conv(images, kernel, padding="valid") + offset
        return outputs if len(inputs.shape) == 4 else ops.reshape(outputs, (-1, inputs.shape[-1]))

    def _scale_and_offset(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        layer = self.layer
        scale = ops.rsqrt(variance + layer.epsilon)
        if layer.scale:
            scale = scale * layer.gamma
        offset = -mean * scale
        return scale, offset + layer.beta if layer.center else offset


@keras.saving.register_keras_serializable(package=PACKAGE)
class ImageMean(keras.layers.Layer):
    """The mean of each channel over the image, as a convolution with one weight a channel.

    LiteRT's own mean of 8-bit numbers is off by up to two steps, to one side.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Means, shape (n, n_channels)."""
        if training:
            return ops.mean(inputs, axis=(1, 2))
        _, height, width, n_channels = inputs.shape
        kernel = ops.full((height, width, n_channels, 1), 1.0 / (height * width))
        means = ops.depthwise_conv(inputs, _round_depthwise(kernel), padding="valid")
        return ops.reshape(means, (-1, n_channels))


def _round_depthwise(kernel: Any) -> Any:
    """Kernel of shape (height, width, inputs, multiplier), each of its channels by itself."""
    return ops.reshape(round_kernel(_flatten_depthwise(kernel), by_channel=True), kernel.shape)


def _flatten_depthwise(kernel: Any) -> Any:
    """As LiteRT has it, so that its converter finds nothing to reshape in what is rounded."""
    height, width, n_inputs, multiplier = kernel.shape
    return ops.reshape(kernel, (1, height, width, n_inputs * multiplier))
