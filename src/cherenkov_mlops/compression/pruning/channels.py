"""Which filters of a network can go without a trace, and all that goes with them.

A filter can go if everything that is computed from it alone is 0 once its weights are: then the
smaller network without it gives the same values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import keras
import numpy as np

from cherenkov_mlops.compression.flattening import flatten

layers = keras.layers

#: Channels stay apart, and 0 stays 0.
CHANNEL_WISE = (
    layers.ReLU,
    layers.LeakyReLU,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.UpSampling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.Identity,
)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
SUMS = (layers.Add, layers.Subtract, layers.Average, layers.Maximum, layers.Minimum)


@dataclass(frozen=True)
class Cut:
    """One axis of a variable that becomes shorter.

    Parameters
    ----------
    layer : keras.layers.Layer
        Layer that owns the variable.
    attribute : str
        Name of the variable in its layer.
    axis : int
        Which axis holds the channels.
    """

    layer: keras.layers.Layer
    attribute: str
    axis: int

    @property
    def variable(self) -> keras.Variable:
        """The variable."""
        return getattr(self.layer, self.attribute)


@dataclass
class Channels:
    """Channels that go or stay together, through all layers that keep them apart.

    Parameters
    ----------
    is_fixed : bool
        Whether they all have to stay.
    made_by : list of keras.layers.Layer
        Convolutions and dense layers that have them as filters or units.
    cuts : list of Cut
        What becomes shorter when channels go.
    held : list of Cut
        Which of these, if 0, make all values of a channel 0.
    """

    is_fixed: bool = False
    made_by: list[keras.layers.Layer] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    held: list[Cut] = field(default_factory=list)

    @property
    def convolutions(self) -> list[keras.layers.Layer]:
        """Convolutions that have them as filters."""
        return [layer for layer in self.made_by if isinstance(layer, CONVOLUTIONS)]

    @property
    def can_go(self) -> bool:
        """Whether single channels can go.

        Only filters of one convolution: where several are added up, as along the skip connections
        of a ResNet, all stay.
        """
        return not self.is_fixed and len(self.convolutions) == 1


def find_filters(model: keras.Model) -> dict[str, Channels]:
    """Name of a convolution -> its filters, for those of which some can go.

    Raises
    ------
    UserError
        The model cannot be written as one graph of layers.
    """
    flat = flatten(model, what="pruning.kind: filters")
    tracker = _Tracker({id(layer) for layer in rebuilt_layers(model)})
    for node in _nodes(flat):
        tracker.follow(node)
    for tensor in flat.outputs:
        tracker.channels(tensor).is_fixed = True
    unique = {id(each): each for each in tracker.all_channels()}
    return {each.convolutions[0].name: each for each in unique.values() if each.can_go}


def rebuilt_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers that come anew when the graph of the model is cloned, in order, nested ones too.

    Those within subclassed models do not.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model) and hasattr(layer, "operations"):
            yield from rebuilt_layers(layer)
        else:
            yield layer


def _nodes(flat: keras.Model) -> Iterator:
    """Calls of operations, each after those whose results it takes."""
    for depth in sorted(flat._nodes_by_depth, reverse=True):
        yield from flat._nodes_by_depth[depth]


class _Tracker:
    """Follows channels through a graph.

    For each tensor it knows whose channels these are, and whether a channel whose filter is held
    at 0 is 0 there.
    """

    def __init__(self, can_be_rebuilt: set[int]):
        self._can_be_rebuilt = can_be_rebuilt
        self._of: dict[int, Channels] = {}
        self._is_zero: dict[int, bool] = {}
        self._seen: set[int] = set()

    def channels(self, tensor: keras.KerasTensor) -> Channels:
        return self._of[id(tensor)]

    def all_channels(self) -> list[Channels]:
        return list(self._of.values())

    def follow(self, node) -> None:
        layer, inputs, outputs = node.operation, node.input_tensors, node.outputs
        is_known = id(layer) in self._can_be_rebuilt and id(layer) not in self._seen
        self._seen.add(id(layer))
        if isinstance(layer, layers.InputLayer) or not is_known or len(outputs) != 1:
            self._give_up(inputs, outputs)
        elif isinstance(layer, CONVOLUTIONS) and _is_plain(layer):
            self._enter(layer, inputs[0], layer.kernel.shape)
            self._make(layer, outputs[0])
        elif isinstance(layer, layers.Dense):
            self._enter(layer, inputs[0], layer.kernel.shape)
            self._make(layer, outputs[0], are_held=False)
        elif isinstance(layer, layers.BatchNormalization) and _scales_channels(layer):
            self._normalise(layer, inputs[0], outputs[0])
        elif isinstance(layer, layers.Activation):
            self._pass_on(inputs[0], outputs[0], stays=_keeps_zero(layer.activation))
        elif isinstance(layer, CHANNEL_WISE):
            self._pass_on(inputs[0], outputs[0])
        elif isinstance(layer, (layers.Multiply, *SUMS)):
            self._join(layer, inputs, outputs[0])
        else:
            self._give_up(inputs, outputs)

    def _give_up(self, inputs: list, outputs: list) -> None:
        """What the operation does with channels is not known: they stay."""
        for tensor in inputs:
            self.channels(tensor).is_fixed = True
        for tensor in outputs:
            self._set(tensor, Channels(is_fixed=True), is_zero=False)

    def _set(self, tensor, channels: Channels, *, is_zero: bool) -> None:
        self._of[id(tensor)], self._is_zero[id(tensor)] = channels, is_zero

    def _enter(self, layer, tensor, kernel_shape: tuple[int, ...]) -> None:
        channels = self.channels(tensor)
        channels.cuts.append(Cut(layer, "kernel", len(kernel_shape) - 2))
        if not self._is_zero[id(tensor)]:
            channels.is_fixed = True

    def _make(self, layer, tensor, *, are_held: bool = True) -> None:
        made = [Cut(layer, "kernel", len(layer.kernel.shape) - 1)]
        if layer.use_bias:
            made.append(Cut(layer, "bias", 0))
        held = list(made) if are_held else []
        channels = Channels(made_by=[layer], cuts=made, held=held)
        self._set(tensor, channels, is_zero=are_held and _keeps_zero(layer.activation))

    def _pass_on(self, source, target, *, stays: bool = True) -> None:
        self._set(target, self.channels(source), is_zero=stays and self._is_zero[id(source)])

    def _normalise(self, layer, source, target) -> None:
        channels = self.channels(source)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        cuts = [Cut(layer, name, 0) for name in names]
        channels.cuts += cuts
        channels.held += cuts[:2]
        # Without scale and offset nothing is left, whatever comes in.
        self._set(target, channels, is_zero=True)

    def _join(self, layer, inputs: list, target) -> None:
        size = target.shape[-1]
        full = [tensor for tensor in inputs if tensor.shape[-1] == size]
        for tensor in inputs:
            if tensor.shape[-1] != size:
                # One number for all channels, as a spatial gate has it.
                self.channels(tensor).is_fixed = True
        are_zero = [self._is_zero[id(tensor)] for tensor in full]
        if isinstance(layer, layers.Multiply):
            is_zero = any(are_zero)
        else:
            is_zero = all(are_zero) and len(full) == len(inputs)
        joined = self.channels(full[0])
        for tensor in full[1:]:
            joined = self._unite(joined, self.channels(tensor))
        self._set(target, joined, is_zero=is_zero)

    def _unite(self, one: Channels, other: Channels) -> Channels:
        if one is other:
            return one
        one.is_fixed |= other.is_fixed
        for name in ("made_by", "cuts", "held"):
            getattr(one, name).extend(getattr(other, name))
        for key, channels in self._of.items():
            if channels is other:
                self._of[key] = one
        return one


def _is_plain(layer: keras.layers.Layer) -> bool:
    return layer.groups == 1 and layer.data_format == "channels_last"


def _scales_channels(layer: layers.BatchNormalization) -> bool:
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
    return layer.scale and layer.center and tuple(axes) in {(-1,), (3,)}


def _keeps_zero(activation) -> bool:
    """Whether an activation is a function of each number alone that makes 0 of 0."""
    if activation is keras.activations.softmax:
        return False
    return bool(np.asarray(activation(np.zeros((1, 2), dtype=np.float32)) == 0).all())
