"""Networks in the forms of `compress` that need no Keras; nothing here imports TensorFlow.

Each class takes the file of a network with one output, and gives predictions of shape
(n, n_outputs) for images of shape (n, height, width, n_channels), on all processors that this
process may use.
"""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from cherenkov_mlops.errors import UserError

#: Warnings of ONNX Runtime about graphs are of no use to users: errors only.
LOG_SEVERITY_ERROR = 3


def import_optional(module: str, name: str, where: object) -> ModuleType:
    """Import a module; raise UserError that says what to install if it is not there.

    Parameters
    ----------
    module : str
        Dotted name.
    name : str
        What users call it.
    where : object
        What needs it: a file, an option.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"{where}: needs {name}, which is not installed; pip install 'cherenkov-mlops[engines]'"
        ) from error


def n_threads() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


class LiteRTNetwork:
    """A network of one output in a ``.tflite`` file, computed by LiteRT.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UserError
        LiteRT is not installed.
    """

    def __init__(self, path: Path):
        litert = import_optional("ai_edge_litert.interpreter", "LiteRT", path)
        self._interpreter = litert.Interpreter(str(path), num_threads=n_threads())
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Predict, shape (n, n_outputs)."""
        values = np.asarray(images)
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output).copy()


class ONNXNetwork:
    """A network of one output in an ``.onnx`` file, computed by ONNX Runtime; as LiteRTNetwork."""

    def __init__(self, path: Path):
        runtime = import_optional("onnxruntime", "ONNX Runtime", path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = n_threads()
        options.log_severity_level = LOG_SEVERITY_ERROR
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Predict, shape (n, n_outputs)."""
        return self._session.run(None, {self._input: np.asarray(images)})[0]


class OpenVINONetwork:
    """A network of one output in OpenVINO's ``.xml`` and ``.bin``; as LiteRTNetwork."""

    def __init__(self, path: Path):
        openvino = import_optional("openvino", "OpenVINO", path)
        # Left alone it computes in 16 bit on processors that can, and gives other numbers there.
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": n_threads()}
        self._model = openvino.Core().compile_model(str(path), "CPU", options)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Predict, shape (n, n_outputs)."""
        # The memory of the answer belongs to the model, which uses it again.
        return np.array(self._model(np.asarray(images))[0])


#: Ending of a file -> what computes the network in it.
NETWORKS: dict[str, Callable[[Path], Callable[[np.ndarray], np.ndarray]]] = {
    ".tflite": LiteRTNetwork,
    ".onnx": ONNXNetwork,
    ".xml": OpenVINONetwork,
}
