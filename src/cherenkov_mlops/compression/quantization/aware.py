"""A network that computes, while it learns, as its 8-bit export will."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from cherenkov_mlops.compression.graph import calls_in, flatten, source_of
from cherenkov_mlops.compression.quantization.rounding import (
    FIXED_RANGES,
    ImageMean,
    Range,
    RoundedKernel,
    RoundedNormalization,
)
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.keras_model import load_model_file

KERNELS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
#: What hands on values as they came, or picks or averages few of them: the range stays.
SAME_RANGE = (
    keras.layers.AveragePooling2D,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.Reshape,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)
NEW_RANGE = (
    keras.layers.Add,
    keras.layers.Concatenate,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
#: Name of the range of the images.
IMAGES_RANGE = "images_range"
#: Operations of ``keras.ops`` that subclassed models are made of, by the name of their class.
SAME_RANGE_OPS = ("Reshape", "Max")
NEW_RANGE_OPS = ("Add", "Concatenate", "Mean", "Multiply", "Subtract")
FUSED = ("relu", "relu6")


def make_aware(model: keras.Model, momentum: float) -> keras.Model:
    """Make the model whose kernels and values are rounded to 8 bits,
    in one flat graph of the same weights.

    The given model stays as it is, and learns what the new one learns. Kernels are rounded
    symmetrically about 0, which stays 0. Values are rounded after every operation, for an
    activation that is computed together with the operation after that; poolings hand on what they
    get. The last softmax is left as it is: LiteRT rounds it to 1/256.

    Parameters
    ----------
    model : keras.Model
        Built, with one input.
    momentum : float
        Of the moving averages of the ranges.

    Raises
    ------
    UserError
        The model cannot be flattened, or how a layer is computed in 8 bits is not known.
    """
    flat = flatten(model, what="quantization")
    if len(flat.inputs) != 1:
        raise UserError(f"quantization: expected a model with one input, got {len(flat.inputs)}")
    given = flat.inputs[0]
    images = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
    rounded = Range(momentum=momentum, name=IMAGES_RANGE)(images)
    # Flattened twice: the first graph shows what feeds a ReLU, before anything is replaced.
    whole = keras.Model(images, flat(rounded), name=model.name)
    return flatten(whole, _Replacing(flat, momentum), what="quantization")


def load_aware(path: Path) -> keras.Model:
    """Read a model of ``make_aware``; raise UserError if the file is not one."""
    return load_model_file(path)


def without_optimizer(model: keras.Model) -> keras.Model:
    """Make the same flat graph, not compiled, so that its file holds no state of an optimizer."""
    return keras.Model(model.input, model.output, name=model.name)


class _Replacing:
    """Gives the layers that stand for an operation; always the same ones for the same operation."""

    def __init__(self, flat: keras.Model, momentum: float):
        self.momentum = momentum
        self._made: dict[int, Callable] = {}
        # Id of a tensor -> the step between two of its values, where it is rounded.
        self._steps: dict[int, keras.KerasTensor] = {}
        self._values: list[keras.KerasTensor] = []
        behind: dict[int, list[keras.Operation]] = {}
        for call in calls_in(flat):
            for before in call.parent_nodes:
                behind.setdefault(id(before.operation), []).append(call.operation)
        # Operations that LiteRT computes together with the ReLU behind them.
        self._fused = {key for key, each in behind.items() if len(each) == 1 and _is_relu(each[0])}
        self._last = {id(source_of(output)) for output in flat.outputs}

    def __call__(self, operation: keras.Operation) -> Callable:
        if id(operation) not in self._made:
            parts = [operation] if isinstance(operation, Range) else self._parts(operation)
            self._made[id(operation)] = partial(self._call, parts)
        return self._made[id(operation)]

    def _call(self, parts: list[Callable], *args: Any, **kwargs: Any) -> Any:
        """What the parts give, called one after the other."""
        before = args[0]
        step = self._steps.get(id(before))
        if not isinstance(parts[0], keras.layers.Wrapper):
            value = parts[0](*args, **kwargs)
        else:
            # What a call says of training and masks is for Keras' own bookkeeping.
            value = parts[0](before) if step is None else parts[0](before, step)
        for part in parts:
            if part is not parts[0]:
                before, value = value, part(value)
            if isinstance(part, Range):
                self._steps[id(value)] = part(before, only_step=True)
        if type(parts[0]) in SAME_RANGE and id(before) in self._steps:
            self._steps[id(value)] = self._steps[id(before)]
        # An id says which tensor it is as long as that is there.
        self._values.append(value)
        return value

    def _parts(self, operation: keras.Operation) -> list[Callable]:
        """What is called one after the other."""
        kind, name = type(operation), operation.name
        if kind in KERNELS and _is_usual(operation):
            return [RoundedKernel(operation, name=name), *self._activate(operation)]
        if kind is keras.layers.BatchNormalization and _is_usual(operation):
            return [RoundedNormalization(operation, name=name), *self._range(operation)]
        if kind is keras.layers.GlobalAveragePooling2D and not operation.keepdims:
            return [ImageMean(name=name), *self._range(operation)]
        if kind in SAME_RANGE or _is_op(operation, SAME_RANGE_OPS):
            return [operation]
        if kind in NEW_RANGE or _is_op(operation, NEW_RANGE_OPS) or _is_relu(operation):
            return [operation, *self._range(operation)]
        if activation := _fixed_activation(operation):
            return [operation, *self._range(operation, FIXED_RANGES[activation])]
        raise _refusal(operation)

    def _activate(self, operation: keras.Operation) -> list[Callable]:
        """What is called behind a rounded kernel, which has lost its activation."""
        activation = _activation_of(operation)
        if activation == "linear":
            return self._range(operation)
        layer = keras.layers.Activation(activation, name=f"{operation.name}_{activation}")
        if activation in FUSED:
            return [layer, *self._range(operation)]
        if activation in FIXED_RANGES:
            between = Range(momentum=self.momentum, name=f"{operation.name}_before_range")
            return [between, layer, *self._range(operation, FIXED_RANGES[activation])]
        raise _refusal(operation, f" with activation {activation}")

    def _range(
        self, operation: keras.Operation, fixed: tuple[float, float] | None = None
    ) -> list[Range]:
        # The last softmax is left alone: LiteRT rounds it to 1/256.
        is_last = id(operation) in self._last
        if id(operation) in self._fused or (fixed and is_last):
            return []
        return [Range(fixed, self.momentum, name=f"{operation.name}_range")]


def _is_relu(operation: keras.Operation) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        plain = operation.max_value in (None, 6) and not operation.negative_slope
        return plain and not operation.threshold
    if isinstance(operation, keras.layers.Activation):
        return _activation_of(operation) in FUSED
    return _is_op(operation, ("Relu", "Relu6"))


def _fixed_activation(operation: keras.Operation) -> str | None:
    """Name of the activation that the operation is, if its range is a convention."""
    if isinstance(operation, keras.layers.Softmax) and operation.axis == -1:
        return "softmax"
    if isinstance(operation, keras.layers.Activation):
        name = _activation_of(operation)
        return name if name in FIXED_RANGES else None
    names = {"Sigmoid": "sigmoid", "Softmax": "softmax", "Tanh": "tanh"}
    return next((names[name] for name in names if _is_op(operation, (name,))), None)


def _activation_of(layer: keras.layers.Layer) -> str:
    found = keras.activations.serialize(layer.activation)
    return found if isinstance(found, str) else type(layer.activation).__name__


def _is_op(operation: keras.Operation, names: tuple[str, ...]) -> bool:
    kind = type(operation)
    return kind.__module__.startswith("keras.src.ops.") and kind.__name__ in names


def _is_usual(layer: keras.layers.Layer) -> bool:
    """Whether the layer is used as the layers that compute in 8 bits expect it."""
    rank = len(layer.input.shape)
    if isinstance(layer, keras.layers.Dense):
        return rank in (2, 4)
    if isinstance(layer, keras.layers.BatchNormalization):
        return rank in (2, 4) and layer.axis in (-1, rank - 1) and not layer.renorm
    return layer.data_format == "channels_last"


def _refusal(operation: keras.Operation, how: str = "") -> UserError:
    return UserError(
        f"quantization: layer {operation.name} ({type(operation).__name__}{how}): how it is "
        "computed in 8 bits is not known; take another layer, or leave the section quantization out"
    )
