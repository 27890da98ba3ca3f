"""Networks computed by ONNX Runtime."""

from pathlib import Path

import numpy as np

from cherenkov_mlops.models.runtimes.optional import import_optional, n_threads

#: Warnings about graphs are of no use to users: errors only.
LOG_SEVERITY_ERROR = 3


class ONNXNetwork:
    """A network of one output in an ``.onnx`` file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UserError
        ONNX Runtime is not installed.
    """

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
        """Predictions, shape (n, n_outputs)."""
        return self._session.run(None, {self._input: np.asarray(images)})[0]
