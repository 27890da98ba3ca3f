"""The graph of a Keras model: walked, read, and written anew as one graph without nested models.

All access to private attributes of Keras is in this file; each function says what Keras offers to
everyone, and why that does not do. ``tests/compression/test_graph.py`` tries every one of them, and
names the versions of Keras with which they work: a new Keras fails there first.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras

from cherenkov_mlops.errors import UserError

type Replace = Callable[[keras.Operation], Callable]
"""What stands in the new graph for an operation of the old one; the operation itself, mostly."""


def all_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Layers within a model or layer, at any depth, each once, in the order of their making.

    ``Model.layers`` is public, but a layer that holds others (a wrapper, an attention) shows them
    to nobody; ``_flatten_layers`` turns the order of nested models around. For models alone there
    is ``models.layers.walk_layers``.
    """
    seen: set[int] = set()

    def below(parent: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
        for each in parent._layers:
            if id(each) not in seen:
                seen.add(id(each))
                yield each
                yield from below(each)

    yield from below(layer)


def has_own_weights(layer: keras.layers.Layer) -> bool:
    """Whether the layer itself, not one within it, has weights that can learn.

    ``Layer.trainable_variables`` is public, but holds those of the layers within, too.
    """
    return bool(layer._trainable_variables)


def source_of(tensor: keras.KerasTensor) -> keras.Operation:
    """The operation that gives a symbolic tensor.

    Public is the other direction only: ``Operation.output``.
    """
    return tensor._keras_history.operation


def calls_in(model: keras.Model) -> Iterator[Any]:
    """Calls of operations in a Functional model, each after those whose results it takes.

    A call has ``operation``, ``input_tensors``, ``outputs`` and ``parent_nodes`` (calls).
    Public are the operations (``Function.operations``), but not what each is called with: one may
    be called twice, or in another model, too.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]


def flatten(
    model: keras.Model, replace: Replace = lambda operation: operation, *, what: str = "model"
) -> keras.Model:
    """A Functional model with the same outputs, bit by bit, that holds layers only.

    Models within models are opened, subclassed ones too, as far as their ``call`` is made of layers
    and ``keras.ops``. Layers are shared with the given model, and so are weights.

    ``keras.models.clone_model(call_function=...)`` is public, but makes layers anew, with weights
    of their own, and opens no subclassed models; hence ``Function._run_through_graph`` below,
    which Keras itself calls.

    Parameters
    ----------
    model : keras.Model
        Functional, Sequential or subclassed; built.
    replace : callable, optional
        Gives the layer that stands for each layer, or a function of the same arguments.
    what : str
        What error messages begin with.

    Raises
    ------
    UserError
        A subclassed model computes with something else than layers and ``keras.ops``, or layers in
        different parts of the model have the same name.
    """

    def run(each: keras.Model, values: Any, **_: Any) -> Any:
        # What a call says of training and masks is for Keras' own bookkeeping.
        graph = _graph_of(each)
        if isinstance(graph, keras.Function):
            return graph._run_through_graph(values, operation_fn=stand_in)
        return each.call(values)

    def stand_in(operation: keras.Operation) -> Callable:
        nested = isinstance(operation, keras.Model)
        return partial(run, operation) if nested else replace(operation)

    graph = _graph_of(model)
    if isinstance(graph, keras.Function):
        given = list(graph.inputs)
    else:
        # A subclassed model knows the shape it was built for only.
        _, *shape = model.get_build_config()["input_shape"]
        given = [keras.KerasTensor((None, *shape), name="images")]
    inputs: Any = [
        keras.Input(batch_shape=each.shape, dtype=each.dtype, name=each.name.partition(":")[0])
        for each in given
    ]
    inputs = inputs[0] if len(inputs) == 1 else inputs
    try:
        return keras.Model(inputs, run(model, inputs), name=model.name)
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{what}: {model.name}: expected layers and keras.ops that can stand in one graph, "
            f"each layer with a name of its own, got: {reason}"
        ) from error


def _graph_of(model: keras.Model) -> keras.Model:
    """The Functional model that a Sequential one keeps within; others as they are.

    What a Sequential model offers to everyone, ``layers``, does not run through a graph.
    """
    return model._functional if isinstance(model, keras.Sequential) else model
