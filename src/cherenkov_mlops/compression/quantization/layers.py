"""Layers that compute with kernels of 8 bit; the weights are those of the layers within."""

from typing import Any

import keras
from keras import ops

from cherenkov_mlops.compression.quantization.ranges import PACKAGE, round_bias, round_kernel


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
        layer = self.layer
        outputs = self._sum(inputs)
        if not layer.use_bias:
            return outputs
        if step is None or training:
            return outputs + layer.bias
        by_channel = len(inputs.shape) == 4
        kernel = layer.kernel
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel = _flatten_depthwise(kernel)
        return outputs + round_bias(layer.bias, kernel, step, by_channel=by_channel)

    def _sum(self, inputs: Any) -> Any:
        layer = self.layer
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            return self._depthwise(inputs)
        if isinstance(layer, keras.layers.Conv2D):
            return layer.convolution_op(inputs, round_kernel(layer.kernel, by_channel=True))
        if len(inputs.shape) == 4:
            kernel = ops.reshape(layer.kernel, (1, 1, *layer.kernel.shape))
            return ops.conv(inputs, round_kernel(kernel, by_channel=True), padding="valid")
        return ops.matmul(inputs, round_kernel(layer.kernel, by_channel=False))

    def _depthwise(self, inputs: Any) -> Any:
        layer = self.layer
        return ops.depthwise_conv(
            inputs,
            _round_depthwise(layer.kernel),
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
        )


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
            mean, variance = self._learn(inputs)
            scale, offset = self._scale_and_offset(mean, variance)
            return inputs * scale + offset
        scale, offset = self._scale_and_offset(layer.moving_mean, layer.moving_variance)
        kernel = ops.reshape(scale, (1, 1, inputs.shape[-1], 1))
        if step is not None:
            offset = round_bias(offset, _flatten_depthwise(kernel), step, by_channel=True)
        kernel = _round_depthwise(kernel)
        images = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        outputs = ops.depthwise_conv(images, kernel, padding="valid") + offset
        return outputs if len(inputs.shape) == 4 else ops.reshape(outputs, (-1, inputs.shape[-1]))

    def _learn(self, inputs: Any) -> tuple[Any, Any]:
        layer = self.layer
        mean, variance = ops.moments(inputs, axes=tuple(range(len(inputs.shape) - 1)))
        for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + value * (1.0 - layer.momentum))
        return mean, variance

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
