"""Networks computed by OpenVINO."""

from pathlib import Path

import numpy as np

from cherenkov_mlops.models.runtimes.optional import import_optional, n_threads


class OpenVINONetwork:
    """A network of one output in OpenVINO's two files, ``.xml`` and ``.bin``.

    Parameters
    ----------
    path : Path
        The ``.xml`` file.

    Raises
    ------
    UserError
        OpenVINO is not installed.
    """

    def __init__(self, path: Path):
        openvino = import_optional("openvino", "OpenVINO", path)
        # Left alone it computes in 16 bit on processors that can, and gives other numbers there.
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": n_threads()}
        self._model = openvino.Core().compile_model(str(path), "CPU", options)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Predictions, shape (n, n_outputs)."""
        # The memory of the answer belongs to the model, which uses it again.
        return np.array(self._model(np.asarray(images))[0])
