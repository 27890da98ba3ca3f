"""Models in the format ONNX."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.compression.quantization.calibrating import (
    SCALING,
    evened,
    last_bias,
    rms,
    scale_first,
    without_mean_error,
)
from cherenkov_mlops.models.exported import ONNXNetwork, import_optional
from cherenkov_mlops.models.keras_model import predict
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: Module -> name of the package that writes files.
PACKAGES = {"onnx": "onnx", "tf2onnx": "tf2onnx"}
#: Images that go through the network at once while ranges are found.
CALIBRATION_BATCH = 8
#: Ways in which ONNX Runtime finds ranges -> its options.
RANGES: dict[str, dict[str, Any]] = {
    "extremes": {},
    "moving averages": {"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.1},
}
#: Operations of convolutional and dense layers.
WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


def write_onnx(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write an ``.onnx`` file with the numbers of the model, batches of any size."""
    for module, name in PACKAGES.items():
        import_optional(module, name, path)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # tf2onnx asks for a name that NumPy plans to use again.
        warnings.simplefilter("ignore", FutureWarning)
        model.export(str(temporary), format="onnx", verbose=False)
        # tf2onnx writes operations that it does not know, too: what cannot be read is refused.
        ONNXNetwork(temporary)


def write_onnx_int8(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write an ``.onnx`` file with weights and computations of 8 bit, one scale a channel.

    Pairs of quantise and dequantise operations (QDQ) carry the scales; ONNX Runtime computes what
    is between them in integers. The last layer stays in 32 bit. Of the ways in which ONNX Runtime
    finds ranges that is taken whose outputs are nearest to Keras' for the images.
    """
    for module, name in PACKAGES.items():
        import_optional(module, name, path)
    import_optional("onnxruntime.quantization", "ONNX Runtime", path)
    expected = predict(model, images)
    last = last_bias(model)
    with (
        evened(model, images, without_mean=last is not None) as limits,
        tempfile.TemporaryDirectory() as name,
        atomic_path(path) as temporary,
    ):
        network = model if limits is None else scale_first(model, limits)
        cut = images if limits is None else np.clip(images, -limits, limits)
        # No way is better for all networks: both are tried.
        prepared = _prepare(network, Path(name), images)
        errors = {}
        for way in RANGES:
            _quantize(prepared, temporary, cut, RANGES[way])
            errors[way] = predict(ONNXNetwork(temporary), images) - expected
        spreads = {
            way: rms(each if last is None else each - each.mean(axis=0))
            for way, each in errors.items()
        }
        best = min(spreads, key=spreads.__getitem__)
        tried = ", ".join(f"{way}: {spread:.2g}" for way, spread in spreads.items())
        log.info("compress: onnx-int8: ranges by %s (%s)", best, tried)
        # The file is made anew, from a network with another last bias.
        with without_mean_error(last, errors[best]):
            _quantize(_prepare(network, Path(name), images), temporary, cut, RANGES[best])


def _prepare(network: keras.Model, folder: Path, images: np.ndarray) -> Path:
    """An ``.onnx`` file with normalisations folded into convolutions: rounded once, not twice."""
    prepare = import_optional("onnxruntime.quantization.shape_inference", "ONNX Runtime", folder)
    full, prepared = folder / "full.onnx", folder / "prepared.onnx"
    write_onnx(network, full, images)
    prepare.quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)
    return prepared


def _quantize(source: Path, target: Path, images: np.ndarray, ranges: dict[str, Any]) -> None:
    quantization = import_optional("onnxruntime.quantization", "ONNX Runtime", target)
    graph = import_optional("onnx", "onnx", target).load(str(source)).graph
    # What divides the images, and what gives the output, stays in 32 bit.
    scaling = [node.name for node in graph.node if f"/{SCALING}" in f"/{node.name}"]
    quantization.quantize_static(
        str(source),
        str(target),
        Batches(images, graph.input[0].name),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=[*scaling, *_names_of_last_layer(graph)],
        extra_options=ranges,
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
    # From the output back to the first operations with weights.
    makers = {name: node for node in graph.node for name in node.output}
    names, wanted = [], [output.name for output in graph.output]
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None:
            names.append(node.name)
            wanted += [] if node.op_type in WITH_WEIGHTS else node.input
    return names
