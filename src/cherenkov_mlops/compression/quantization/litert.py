"""Exports for LiteRT of what was trained for 8 bits, and of weights of 4 bits."""

import io
import logging
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.quantization.scaling import is_scaled
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.networks import predict
from cherenkov_mlops.models.runtimes.litert import LiteRTNetwork
from cherenkov_mlops.models.runtimes.optional import import_optional
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: Operations that have weights, as LiteRT calls them.
WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
#: Operation -> bits of its weights in an export of 4 bits; the others stay as they are.
BITS = {"CONV_2D": 4, "FULLY_CONNECTED": 4, "DEPTHWISE_CONV_2D": 8, "CONV_2D_TRANSPOSE": 8}


def export_aware(model: keras.Model, path: Path, images: np.ndarray) -> Path:
    """``path``, holding for LiteRT what computes in 8 bits as the model does.

    Parameters
    ----------
    model : keras.Model
        Made by ``make_aware``, and trained or calibrated: its ranges are those of the file.
    path : Path
        ``.tflite`` file; whole or not there at all.
    images : array
        Images for which the two are compared in the log, shape (n, height, width, n_channels).

    Raises
    ------
    UserError
        LiteRT cannot have the model, or not all of it in 8 bits; or it is not installed.
    """
    with atomic_path(path) as temporary:
        _convert(model, temporary, optimizations=[tf.lite.Optimize.DEFAULT])
        found = operations(temporary)
        if is_scaled(model):
            # The images are divided as they come, before they are rounded.
            found = found[1:]
        left = sorted({name for name, dtype in found if np.issubdtype(dtype, np.floating)})
        if set(left) & set(WITH_WEIGHTS):
            raise UserError(
                f"compress: int8: expected 8 bits in all layers with weights, got {', '.join(left)}"
                " in other numbers"
            )
        if left:
            log.warning("compress: int8: not in 8 bits: %s", ", ".join(left))
        expected = predict(model, images)
        difference = np.abs(predict(LiteRTNetwork(temporary), images) - expected).mean()
        log.info("compress: int8: on average %.2g from the network as it rounds", difference)
    return path


def export_int4(model: keras.Model, path: Path) -> Path:
    """``path``, holding the model for LiteRT with weights of 4 bits, computing in 32 bits.

    Each output channel has a scale of its own. LiteRT knows no depthwise convolution of 4 bits:
    its weights get 8.

    Raises
    ------
    UserError
        No layer can have 4 bits, LiteRT cannot have the model, or a package is not installed.
    """
    with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
        plain = Path(folder) / "float32.tflite"
        _convert(model, plain)
        found = {name for name, _ in operations(plain)}
        if not found & {name for name, n_bits in BITS.items() if n_bits == 4}:
            raise UserError(
                "compress: int4: expected convolutions or dense layers, which LiteRT knows with "
                f"weights of 4 bits, got {', '.join(sorted(found))}"
            )
        eight = [name for name, n_bits in BITS.items() if n_bits == 8 and name in found]
        if eight:
            log.info("compress: int4: weights of 8 bits, for LiteRT has no 4: %s", ", ".join(eight))
        temporary.write_bytes(_round_weights(plain))
    return path


def _round_weights(path: Path) -> bytes:
    """Content of the file with weights of fewer bits."""
    quantizer = import_optional("ai_edge_quantizer.quantizer", "LiteRT", "compress").Quantizer(
        str(path)
    )
    for name, n_bits in BITS.items():
        quantizer.add_weight_only_config(".*", name, n_bits)
    # It tells sizes on the standard output, which is for tables here.
    with redirect_stdout(io.StringIO()):
        return bytes(quantizer.quantize().quantized_model)


def operations(path: Path) -> list[tuple[str, type]]:
    """Name and type of number of the first output of each operation, but those at the ends.

    Operations that only turn numbers into others (``QUANTIZE``, ``DEQUANTIZE``) are left out.
    """
    interpreter = import_optional("ai_edge_litert.interpreter", "LiteRT", "compress").Interpreter(
        str(path)
    )
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    return [
        (each["op_name"], types[each["outputs"][0]])
        for each in interpreter._get_ops_details()
        if each["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "DELEGATE")
    ]


def _convert(model: keras.Model, path: Path, **options) -> None:
    try:
        model.export(path, format="litert", verbose=False, **options)
    except (ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"compress: LiteRT cannot have the model: {reason}") from error
