"""What computes a network without Keras; nothing here imports TensorFlow.

Each class takes the file of a network with one output, and gives predictions of shape
(n, n_outputs) for images of shape (n, height, width, n_channels), on all processors that this
process may use.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cherenkov_mlops.models.runtimes.litert import LiteRTNetwork
from cherenkov_mlops.models.runtimes.onnx import ONNXNetwork
from cherenkov_mlops.models.runtimes.openvino import OpenVINONetwork

#: Ending of a file -> what computes the network in it.
RUNTIMES: dict[str, Callable[[Path], Callable[[np.ndarray], np.ndarray]]] = {
    ".tflite": LiteRTNetwork,
    ".onnx": ONNXNetwork,
    ".xml": OpenVINONetwork,
}

__all__ = ["RUNTIMES", "LiteRTNetwork", "ONNXNetwork", "OpenVINONetwork"]
