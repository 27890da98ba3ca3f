"""The layers of models that hold models."""

from collections.abc import Callable, Iterator

import keras


def walk_layers(
    model: keras.Model, opens: Callable[[keras.Model], bool] = lambda model: True
) -> Iterator[keras.layers.Layer]:
    """Layers of the model and, in their place, those of models nested in it, in order.

    Parameters
    ----------
    model : keras.Model
        Built.
    opens : callable, optional
        Whether the layers of a nested model come instead of it; they do, if not given.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model) and opens(layer):
            yield from walk_layers(layer, opens)
        else:
            yield layer
