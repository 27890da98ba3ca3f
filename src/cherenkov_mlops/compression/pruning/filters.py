"""Pruning of whole filters: which can go without a trace, held at zero while training, taken out.

A filter can go if everything that is computed from it alone is 0 once its weights are: then the
smaller network without it gives the same values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.compression.graph import calls_in, flatten
from cherenkov_mlops.compression.pruning.kernels import HeldAtZero
from cherenkov_mlops.compression.pruning.pruner import Pruner, list_some
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.layers import walk_layers

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
#: What says how many channels a layer makes, by its attribute.
SIZES = ("filters", "units")


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
    """Find the filters that can go: name of a convolution -> its filters.

    Raises
    ------
    UserError
        The model cannot be written as one graph of layers.
    """
    flat = flatten(model, what="pruning.kind: filters")
    tracker = _Tracker({id(layer) for layer in _rebuilt_layers(model)})
    for call in calls_in(flat):
        tracker.follow(call)
    for tensor in flat.outputs:
        tracker.of[id(tensor)].is_fixed = True
    unique = {id(each): each for each in tracker.of.values()}
    return {each.convolutions[0].name: each for each in unique.values() if each.can_go}


def _rebuilt_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers that come anew when the graph of the model is cloned; not those of subclassed ones."""
    return walk_layers(model, opens=lambda layer: hasattr(layer, "operations"))


class _Tracker:
    """Follows channels through a graph.

    Attributes
    ----------
    of : dict of int to Channels
        Id of a tensor -> whose channels these are.
    """

    def __init__(self, can_be_rebuilt: set[int]):
        self.of: dict[int, Channels] = {}
        self._can_be_rebuilt = can_be_rebuilt
        # Whether a channel whose filter is held at 0 is 0 in the tensor.
        self._is_zero: dict[int, bool] = {}
        # A layer that is called twice sees other channels the second time: all of them stay.
        self._seen: set[int] = set()

    def follow(self, call: Any) -> None:
        """Take in what a call of an operation does with channels; calls before it come first."""
        layer, inputs, outputs = call.operation, call.input_tensors, call.outputs
        is_known = id(layer) in self._can_be_rebuilt and id(layer) not in self._seen
        self._seen.add(id(layer))
        if isinstance(layer, layers.InputLayer) or not is_known or len(outputs) != 1:
            self._give_up(inputs, outputs)
        elif isinstance(layer, CONVOLUTIONS) and (
            layer.groups == 1 and layer.data_format == "channels_last"
        ):
            self._make(layer, inputs[0], outputs[0], are_held=True)
        elif isinstance(layer, layers.Dense):
            self._make(layer, inputs[0], outputs[0], are_held=False)
        elif isinstance(layer, layers.BatchNormalization) and (
            layer.scale and layer.center and layer.axis in (-1, 3)
        ):
            channels = self.of[id(inputs[0])]
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            cuts = [Cut(layer, name, 0) for name in names]
            channels.cuts += cuts
            channels.held += cuts[:2]
            # Without scale and offset nothing is left, whatever comes in.
            self._set(outputs[0], channels, is_zero=True)
        elif isinstance(layer, (layers.Activation, *CHANNEL_WISE)):
            stays = not isinstance(layer, layers.Activation) or _keeps_zero(layer.activation)
            is_zero = stays and self._is_zero[id(inputs[0])]
            self._set(outputs[0], self.of[id(inputs[0])], is_zero=is_zero)
        elif isinstance(layer, (layers.Multiply, *SUMS)):
            self._join(layer, inputs, outputs[0])
        else:
            self._give_up(inputs, outputs)

    def _set(self, tensor, channels: Channels, *, is_zero: bool) -> None:
        self.of[id(tensor)], self._is_zero[id(tensor)] = channels, is_zero

    def _give_up(self, inputs: list, outputs: list) -> None:
        """What the operation does with channels is not known: they stay."""
        for tensor in inputs:
            self.of[id(tensor)].is_fixed = True
        for tensor in outputs:
            self._set(tensor, Channels(is_fixed=True), is_zero=False)

    def _make(self, layer, source, target, *, are_held: bool) -> None:
        """A convolution or dense layer: the last two axes of its kernel are inputs and outputs."""
        n_axes = len(layer.kernel.shape)
        seen = self.of[id(source)]
        seen.cuts.append(Cut(layer, "kernel", n_axes - 2))
        if not self._is_zero[id(source)]:
            seen.is_fixed = True
        made = [Cut(layer, "kernel", n_axes - 1)]
        if layer.use_bias:
            made.append(Cut(layer, "bias", 0))
        held = list(made) if are_held else []
        channels = Channels(made_by=[layer], cuts=made, held=held)
        self._set(target, channels, is_zero=are_held and _keeps_zero(layer.activation))

    def _join(self, layer, inputs: list, target) -> None:
        """Several tensors become one: their channels go or stay together from now on."""
        size = target.shape[-1]
        full = [tensor for tensor in inputs if tensor.shape[-1] == size]
        for tensor in inputs:
            if tensor.shape[-1] != size:
                # One number for all channels, as a spatial gate has it.
                self.of[id(tensor)].is_fixed = True
        are_zero = [self._is_zero[id(tensor)] for tensor in full]
        if isinstance(layer, layers.Multiply):
            is_zero = any(are_zero)
        else:
            is_zero = all(are_zero) and len(full) == len(inputs)
        joined = self.of[id(full[0])]
        for tensor in full[1:]:
            if (other := self.of[id(tensor)]) is joined:
                continue
            joined.is_fixed |= other.is_fixed
            for name in ("made_by", "cuts", "held"):
                getattr(joined, name).extend(getattr(other, name))
            self.of |= {key: joined for key, each in self.of.items() if each is other}
        self._set(target, joined, is_zero=is_zero)


def _keeps_zero(activation) -> bool:
    """Whether an activation is a function of each number alone that makes 0 of 0."""
    if activation is keras.activations.softmax:
        return False
    return bool(np.asarray(activation(np.zeros((1, 2), dtype=np.float32)) == 0).all())


class FilterPruner(Pruner):
    """Holds the filters with the smallest L1 norm at zero, and all that comes from them alone.

    Which filters go is decided layer by layer (Li et al. 2017, arXiv:1608.08710). Where several
    convolutions are added up, as along the skip connections of a ResNet, all filters stay.
    """

    def attach(self, model: keras.Model) -> None:
        """Make the filters of the model ready, under the strategy of the devices.

        Raises
        ------
        UserError
            There is no filter that can go, or a pattern fits no layer.
        """
        found = find_filters(model)
        if not found:
            raise UserError(
                "pruning.kind: filters: expected a convolution whose filters can go, found none: "
                "each is added to another, or goes into a layer of unknown kind"
            )
        self._final = self._own_sparsities(list(found))
        self._filters: dict[str, Channels] = {}
        for name, channels in found.items():
            if any(fnmatch(name, pattern) for pattern in self.plan.exclude):
                continue
            self._filters[name] = channels
            for cut in channels.held:
                key = name if cut.layer.name == name and cut.attribute == "kernel" else None
                self._held[key or f"{cut.layer.name}.{cut.attribute}"] = HeldAtZero(cut.variable)
        if not self._filters:
            raise UserError(
                "pruning.exclude: expected at least one layer to prune, got none of "
                f"{list_some(list(found))}"
            )
        self._thresholds = dict.fromkeys(self._filters, 0.0)

    @property
    def names(self) -> list[str]:
        """Names of the convolutions whose filters are pruned."""
        return list(self._filters)

    def _prune(self) -> None:
        for name, channels in self._filters.items():
            kernel = np.asarray(self._held[name].kernel)
            # L1 norm of each filter: along the last axis are the outputs.
            norms = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0)
            # A multiple of the plan's at the end, any number on the way there.
            final = self._final.get(name, self.plan.schedule.final)
            n_kept = count_filters(len(norms), final, self.plan.filter_multiple)
            if not self.is_final:
                n_kept = max(n_kept, round(len(norms) * (1 - self._sparsity_of(name))))
            stay = np.sort(np.argsort(-norms, kind="stable")[:n_kept])
            self._thresholds[name] = float(norms[stay].min())
            mask = np.zeros(len(norms), dtype=bool)
            mask[stay] = True
            for cut in channels.held:
                held = cut.variable.constraint
                held.hold(np.broadcast_to(mask, held.kernel.shape))


def count_filters(n_filters: int, sparsity: float, multiple: int) -> int:
    """Number of filters that stay: the nearest multiple, at least one multiple, at most all."""
    n_kept = max(round(n_filters * (1 - sparsity) / multiple), 1) * multiple
    return min(n_kept, n_filters)


def shrink(model: keras.Model) -> keras.Model:
    """Make the network without the filters that are zero, and without what is computed from them.

    Models in models stay what they are, and layers keep their names. Outputs are equal but for the
    order in which floating-point numbers are added. At least one filter of a layer stays.

    Parameters
    ----------
    model : keras.Model
        Functional model, pruned by filters.

    Raises
    ------
    UserError
        The model cannot be written as one graph of layers.
    """
    # Places of the channels that stay: of each axis of each variable, and their number by layer.
    kept: dict[tuple[int, str, int], np.ndarray] = {}
    sizes: dict[int, int] = {}
    for channels in find_filters(model).values():
        is_used: np.ndarray | bool = False
        for cut in channels.held:
            values = np.moveaxis(np.asarray(cut.variable), cut.axis, -1)
            is_used |= (values.reshape(-1, values.shape[-1]) != 0).any(axis=0)
        stay = np.flatnonzero(is_used) if np.any(is_used) else np.array([0])
        kept |= {(id(cut.layer), cut.attribute, cut.axis): stay for cut in channels.cuts}
        sizes |= {id(layer): len(stay) for layer in channels.made_by}

    def rebuild(layer: keras.layers.Layer) -> keras.layers.Layer:
        content = layer.get_config()
        if id(layer) in sizes:
            content |= {name: sizes[id(layer)] for name in SIZES if name in content}
        return type(layer).from_config(content)

    # New layers of other sizes, nested as before; then what is left of their weights.
    smaller = keras.models.clone_model(model, clone_function=rebuild, recursive=True)
    for old, new in zip(_rebuilt_layers(model), _rebuilt_layers(smaller), strict=True):
        for mine, theirs in zip(old.weights, new.weights, strict=True):
            values = np.asarray(mine)
            for axis in range(values.ndim):
                if (stay := kept.get((id(old), mine.name, axis))) is not None:
                    values = np.take(values, stay, axis=axis)
            theirs.assign(values)
    return smaller
