"""Models in the format ONNX."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.engine.runtimes import ONNXNetwork
from cherenkov_mlops.engine.runtimes.optional import import_optional
from cherenkov_mlops.run_dir import atomic_path

#: Images that go through the network at once while ranges are found.
CALIBRATION_BATCH = 32
#: Operations of convolutional and dense layers.
WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


def write_onnx(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write an ``.onnx`` file with the numbers of the model, batches of any size."""
    for module in ("onnx", "tf2onnx"):
        import_optional(module, module, path)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # tf2onnx asks for a name that NumPy plans to use again.
        warnings.simplefilter("ignore", FutureWarning)
        model.export(str(temporary), format="onnx", verbose=False)
        # tf2onnx writes operations that it does not know, too: what cannot be read is refused.
        ONNXNetwork(temporary)


def write_onnx_int8(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write an ``.onnx`` file with weights and computations of 8 bit, one scale a channel.

    Pairs of quantise and dequantise operations (QDQ) carry the scales; ONNX Runtime computes what
    is between them in integers. The last layer stays in 32 bit.
    """
    quantization = import_optional("onnxruntime.quantization", "ONNX Runtime", path)
    prepare = import_optional("onnxruntime.quantization.shape_inference", "ONNX Runtime", path)
    with tempfile.TemporaryDirectory() as name, atomic_path(path) as temporary:
        full, prepared = Path(name) / "full.onnx", Path(name) / "prepared.onnx"
        write_onnx(model, full, images)
        # Folds normalisations into convolutions: what is one operation is rounded once.
        prepare.quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)
        graph = import_optional("onnx", "onnx", path).load(str(prepared)).graph
        quantization.quantize_static(
            str(prepared),
            str(temporary),
            Batches(images, graph.input[0].name),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_names_of_last_layer(graph),
        )


class Batches:
    """Calibration images as ONNX Runtime asks for them.

    Parameters
    ----------
    images : array
        Shape (n, height, width, n_channels).
    name : str
        Name of the input of the network.
    """

    def __init__(self, images: np.ndarray, name: str):
        starts = range(0, len(images), CALIBRATION_BATCH)
        self._batches = iter([{name: images[at : at + CALIBRATION_BATCH]} for at in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch; None after the last."""
        return next(self._batches, None)

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        return next(self._batches)


def _names_of_last_layer(graph: Any) -> list[str]:
    """The last layer with weights and all after it: in 8 bit they would round the outputs."""
    makers = {name: node for node in graph.node for name in node.output}
    names, wanted = [], [output.name for output in graph.output]
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None:
            names.append(node.name)
            wanted += [] if node.op_type in WITH_WEIGHTS else node.input
    return names
