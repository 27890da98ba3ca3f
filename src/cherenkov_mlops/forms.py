"""The forms in which ``compress`` writes a trained model, and the engines that compute them.

A new form is one entry here and one writer in ``engine.exporting``.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Form:
    """One form of a trained model.

    Parameters
    ----------
    suffix : str
        Ending of its file.
    engine : str
        What computes it: ``keras``, ``litert``, ``onnx`` or ``openvino``.
    is_exact : bool
        Whether all numbers are those of the Keras model, in 32 bit.
    """

    suffix: str
    engine: str
    is_exact: bool = False


FORMS = {
    "float32": Form(".tflite", "litert", is_exact=True),
    "float16": Form(".tflite", "litert"),
    "dynamic": Form(".tflite", "litert"),
    "int8": Form(".tflite", "litert"),
    "onnx": Form(".onnx", "onnx", is_exact=True),
    "onnx-int8": Form(".onnx", "onnx"),
    "openvino": Form(".xml", "openvino", is_exact=True),
    "packed": Form(".packed", "keras"),
}

#: Engine other than Keras -> the form with which it gives the numbers of Keras.
EXACT_FORMS = {form.engine: name for name, form in FORMS.items() if form.is_exact}


def parts_of(path: Path) -> list[Path]:
    """The files of a model: OpenVINO keeps the weights in one of their own, beside the graph."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
