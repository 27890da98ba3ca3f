"""What a model costs: layers, parameters, operations, bytes."""

import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cherenkov_mlops.forms import parts_of
from cherenkov_mlops.models.layers import walk_layers


def model_facts(model: keras.Model) -> dict[str, float]:
    """Size and cost of one inference, for ``metrics.json``.

    Parameters
    ----------
    model : keras.Model
        Model loaded without compilation: it carries no optimizer state.

    Notes
    -----
    ``gflops`` from TensorFlow's profiler on the frozen graph, ``mmacs`` counted from the kernels;
    sizes [MB, 10^6 bytes] of the model without optimizer state, so that models compare alike.
    """
    n_nonzero = sum(int(np.count_nonzero(weights)) for weights in model.get_weights())
    size, zipped = sizes_without_optimizer(model)
    kernels = [np.asarray(layer.kernel) for layer in _layers(model) if hasattr(layer, "kernel")]
    n_kernel = sum(kernel.size for kernel in kernels)
    n_zero = sum(int(np.count_nonzero(kernel == 0)) for kernel in kernels)
    return {
        "n_layers": len(_layers(model)),
        "n_parameters": model.count_params(),
        "n_trainable_parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "n_nonzero_parameters": n_nonzero,
        "sparsity": n_zero / n_kernel if n_kernel else 0.0,
        "gflops": count_flops(model) / 1e9,
        "mmacs": count_multiply_accumulates(model) / 1e6,
        "effective_mmacs": count_multiply_accumulates(model, effective=True) / 1e6,
        "model_size_mb": size / 1e6,
        "model_size_zipped_mb": zipped / 1e6,
    }


def _layers(model: keras.Model) -> list[keras.Layer]:
    """Layers of the model and of models nested in it; inputs and containers left out."""
    is_input = keras.layers.InputLayer
    return [layer for layer in walk_layers(model) if not isinstance(layer, is_input)]


def count_multiply_accumulates(model: keras.Model, *, effective: bool = False) -> int:
    """Multiply-accumulates of one inference in convolutions and dense layers.

    Kernel elements (``effective``: those that are not zero) times output positions; a layer that
    is called twice is counted once.
    """
    total = 0
    for layer in _layers(model):
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        n_weights = int(np.count_nonzero(kernel)) if effective else int(np.prod(kernel.shape))
        total += n_weights * int(np.prod(layer.output.shape[1:-1]))
    return total


def count_flops(model: keras.Model) -> int:
    """Floating-point operations of one inference, by TensorFlow's profiler."""
    signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph_function = tf.function(lambda images: model(images, training=False))
    frozen = convert_variables_to_constants_v2(
        graph_function.get_concrete_function(signature), lower_control_flow=False
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with frozen.graph.as_default():
        profile = tf.compat.v1.profiler.profile(graph=frozen.graph, cmd="op", options=options)
    return int(profile.total_float_ops)


def sizes_without_optimizer(model: keras.Model) -> tuple[int, int]:
    """Bytes of the ``.keras`` file without optimizer state, stored and deflated."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.keras"
        model.save(plain)
        return file_sizes(plain)


def file_sizes(path: Path) -> tuple[int, int]:
    """Bytes of the file, or files, of a model, as they are and deflated."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "model.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for part in parts_of(path):
                archive.write(part, part.name)
        return sum(part.stat().st_size for part in parts_of(path)), packed.stat().st_size
