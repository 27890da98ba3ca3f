"""Networks computed by LiteRT."""

from pathlib import Path

import numpy as np

from cherenkov_mlops.models.runtimes.optional import import_optional, n_threads


class LiteRTNetwork:
    """A network of one output in a ``.tflite`` file.

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
        """Predictions, shape (n, n_outputs)."""
        values = np.asarray(images)
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output).copy()
