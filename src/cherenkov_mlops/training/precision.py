"""Training in half precision; what is saved is always a plain float32 model."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from cherenkov_mlops.compression.graph import all_layers, source_of

FLOAT32 = "float32"
MIXED = "mixed_float16"


def use_mixed_precision(model: keras.Model) -> None:
    """Let all layers compute in float16, but those that give the model's output.

    Weights stay float32. Softmax and the last layer of a regression stay in float32, too: half
    precision has three digits and ends at 65504. Keras scales the loss, for the gradients not to
    vanish, because the model itself has the mixed policy when it is compiled.
    """
    last = {id(operation) for operation in _output_operations(model)}
    for layer in (model, *all_layers(model)):
        if id(layer) not in last and layer.dtype_policy.name == FLOAT32:
            layer.dtype_policy = keras.DTypePolicy(MIXED)


def _output_operations(model: keras.Model) -> list[keras.Operation]:
    """The layers that give the model's output; of a nested model its own last ones."""
    found = []
    for tensor in keras.tree.flatten(model.outputs):
        operation = source_of(tensor)
        nested = isinstance(operation, keras.Model)
        found += _output_operations(operation) if nested else [operation]
    return found


@contextmanager
def as_float32(model: keras.Model) -> Iterator[None]:
    """Context in which the model is one of float32 with the optimizer that it was given.

    A model saved there loads anywhere, in stock CTLearn too, and computes in float32.
    """
    if model.dtype_policy.name != MIXED:
        yield
        return
    layers = [layer for layer in (model, *all_layers(model)) if layer.dtype_policy.name == MIXED]
    scaled = model.optimizer
    try:
        model.optimizer = scaled.inner_optimizer
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy(FLOAT32)
        yield
    finally:
        model.optimizer = scaled
        for layer in layers:
            layer.dtype_policy = keras.DTypePolicy(MIXED)
