"""One flat graph of layers, from models that hold models."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from cherenkov_mlops.errors import UserError

type Replace = Callable[[keras.Operation], Callable]
"""What stands in the new graph for an operation of the old one; the operation itself, mostly."""


def flatten(
    model: keras.Model, replace: Replace = lambda operation: operation, *, what: str = "model"
) -> keras.Model:
    """A Functional model with the same outputs, bit by bit, that holds layers only.

    Models within models are opened, subclassed ones too, as far as their ``call`` is made of layers
    and ``keras.ops``. Layers are shared with the given model, and so are weights.

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
    inputs = [
        keras.Input(batch_shape=each.shape, dtype=each.dtype, name=each.name.partition(":")[0])
        for each in _inputs_of(model)
    ]
    try:
        outputs = _run(model, inputs[0] if len(inputs) == 1 else inputs, replace)
        return keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs, name=model.name)
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{what}: {model.name}: expected layers and keras.ops that can stand in one graph, "
            f"each layer with a name of its own, got: {reason}"
        ) from error


def _inputs_of(model: keras.Model) -> list[keras.KerasTensor]:
    if isinstance(model, keras.Sequential):
        model = model._functional
    if hasattr(model, "inputs"):
        return list(model.inputs)
    # A subclassed model knows the shape it was built for only.
    _, *shape = model.get_build_config()["input_shape"]
    return [keras.KerasTensor((None, *shape), name="images")]


def _run(model: keras.Model, inputs: Any, replace: Replace) -> Any:
    """The model's outputs for symbolic inputs, all of its layers called one by one."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    if not hasattr(model, "_run_through_graph"):
        return model.call(inputs)
    # Private, but what Keras itself calls; a test against the pinned Keras is the first to fail.
    return model._run_through_graph(
        inputs, operation_fn=lambda operation: _caller(operation, replace)
    )


def _caller(operation: keras.Operation, replace: Replace) -> Callable:
    if isinstance(operation, keras.Model):
        return partial(_run_nested, operation, replace)
    return replace(operation)


def _run_nested(model: keras.Model, replace: Replace, inputs: Any, **_: Any) -> Any:
    """As ``_run``; what a call says of training and masks is for Keras' own bookkeeping."""
    return _run(model, inputs, replace)
