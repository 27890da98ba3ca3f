"""A trained model in other forms: smaller numbers, other engines.

A writer takes the model, the path to write and calibration images. What is written appears under
its name when it is whole.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from cherenkov_mlops.compression.export.litert import (
    write_litert,
    write_litert_float16,
    write_litert_int8,
)
from cherenkov_mlops.compression.export.onnx import write_onnx, write_onnx_int8
from cherenkov_mlops.compression.export.openvino import write_openvino
from cherenkov_mlops.compression.packing import pack_model
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.forms import FORMS

type Writer = Callable[[keras.Model, Path, np.ndarray], object]

#: Form -> writer; the same names as in ``forms.FORMS``.
WRITERS: dict[str, Writer] = {
    "float32": write_litert,
    "float16": write_litert_float16,
    "dynamic": partial(write_litert, in_8_bits=True),
    "int8": write_litert_int8,
    "onnx": write_onnx,
    "onnx-int8": write_onnx_int8,
    "openvino": write_openvino,
    "packed": lambda model, path, images: pack_model(model, path),
}


def export_model(model: keras.Model, path: Path, form: str, images: np.ndarray) -> Path:
    """Write the model in the form to ``path``, whole or not at all, and return it.

    Parameters
    ----------
    model : keras.Model
        Trained model with one output.
    path : Path
        File with the ending of the form.
    form : str
        One of ``forms.FORMS``.
    images : array
        Images that 8-bit forms take their ranges from, shape (n, height, width, n_channels).

    Raises
    ------
    UserError
        The model has more than one output, the engine cannot have it, or is not installed.
    DataError
        An image holds NaN or infinity.
    """
    n_outputs = len(keras.tree.flatten(model(images[:1], training=False)))
    if n_outputs != 1:
        raise UserError(f"compress: expected a model with one output, got {n_outputs} outputs")
    wrong = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if wrong.size:
        raise DataError(
            f"compress: expected finite pixels, got NaN or infinity in {wrong.size} of "
            f"{len(images)} calibration images; remove those events from the training files"
        )
    try:
        WRITERS[form](model, path, images)
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # Converters raise whatever they like, classes of their own, too.
        reason = " ".join(str(error).split())[:300]
        engine = FORMS[form].engine
        raise UserError(f"compress: {form}: {engine} cannot have the model: {reason}") from error
    return path
