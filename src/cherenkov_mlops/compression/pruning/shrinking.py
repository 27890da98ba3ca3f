"""The smaller network that is left when filters are all zero."""

import keras
import numpy as np

from cherenkov_mlops.compression.pruning.channels import Channels, find_filters, rebuilt_layers

#: What says how many channels a layer makes, by its attribute.
SIZES = ("filters", "units")


def shrink(model: keras.Model) -> keras.Model:
    """The same network without the filters that are zero, and without what is computed from them.

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
    kept: dict[tuple[int, str, int], np.ndarray] = {}
    sizes: dict[int, int] = {}
    for channels in find_filters(model).values():
        stay = _find_kept(channels)
        kept |= {(id(cut.layer), cut.attribute, cut.axis): stay for cut in channels.cuts}
        sizes |= {id(layer): len(stay) for layer in channels.made_by}

    def rebuild(layer: keras.layers.Layer) -> keras.layers.Layer:
        content = layer.get_config()
        if id(layer) in sizes:
            content |= {name: sizes[id(layer)] for name in SIZES if name in content}
        return type(layer).from_config(content)

    smaller = keras.models.clone_model(model, clone_function=rebuild, recursive=True)
    pairs = zip(rebuilt_layers(model), rebuilt_layers(smaller), strict=True)
    for old, new in pairs:
        _copy_weights(old, new, kept)
    return smaller


def _find_kept(channels: Channels) -> np.ndarray:
    """Places of the channels that stay, those of which any held number is not zero."""
    is_used: np.ndarray | bool = False
    for cut in channels.held:
        values = np.moveaxis(np.asarray(cut.variable), cut.axis, -1)
        is_used |= (values.reshape(-1, values.shape[-1]) != 0).any(axis=0)
    return np.flatnonzero(is_used) if np.any(is_used) else np.array([0])


def _copy_weights(
    old: keras.layers.Layer, new: keras.layers.Layer, kept: dict[tuple[int, str, int], np.ndarray]
) -> None:
    for mine, theirs in zip(old.weights, new.weights, strict=True):
        values = np.asarray(mine)
        for axis in range(values.ndim):
            stay = kept.get((id(old), mine.name, axis))
            if stay is not None:
                values = np.take(values, stay, axis=axis)
        theirs.assign(values)
