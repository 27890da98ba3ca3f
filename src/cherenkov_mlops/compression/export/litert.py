"""Models for LiteRT: plain, of smaller weights, and computing in 8 bits."""

import logging
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.quantization.calibrating import (
    calibrated,
    is_scaled,
    last_bias,
    without_mean_error,
)
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.exported import LiteRTNetwork, import_optional
from cherenkov_mlops.models.keras_model import predict
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: Operations that have weights, as LiteRT calls them.
WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")


def write_litert(
    model: keras.Model, path: Path, images: np.ndarray, *, in_8_bits: bool = False
) -> None:
    """Write a ``.tflite`` file that computes in 32 bit.

    Parameters
    ----------
    model, path, images : keras.Model, Path, array
        As for ``export_model``.
    in_8_bits : bool
        Whether weights are stored in 8 bit.
    """
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if in_8_bits else {}
    with atomic_path(path) as temporary:
        model.export(temporary, format="litert", verbose=False, **options)


def write_litert_float16(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write a ``.tflite`` file with weights of 16 bit that computes in 32 bit."""

    def export() -> None:
        model.export(
            temporary,
            format="litert",
            verbose=False,
            optimizations=[tf.lite.Optimize.DEFAULT],
            target_spec={"supported_types": [tf.float16]},
        )

    last = last_bias(model)
    with atomic_path(path) as temporary:
        export()
        # Exported twice: the first file shows the mean error, which the last bias takes out.
        if last is not None:
            errors = predict(LiteRTNetwork(temporary), images) - predict(model, images)
            with without_mean_error(last, errors):
                export()


def write_litert_int8(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write a ``.tflite`` file with weights and all that is computed in 8 bit, one scale a channel.

    Ranges are those of ``calibrated``. Where it is not known how a layer computes in 8 bits, the
    ranges are those that LiteRT's converter sees.
    """
    try:
        with calibrated(model, images) as network:
            export_aware(network, path, images)
    except UserError as error:
        log.info("compress: int8: ranges by LiteRT's converter, for: %s", error)
        with atomic_path(path) as temporary:
            model.export(
                temporary,
                format="litert",
                verbose=False,
                optimizations=[tf.lite.Optimize.DEFAULT],
                representative_dataset=lambda: ([image[None]] for image in images),
                target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            )


def export_aware(model: keras.Model, path: Path, images: np.ndarray) -> Path:
    """Write for LiteRT what computes in 8 bits as the model does.

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
        try:
            model.export(
                temporary,
                format="litert",
                verbose=False,
                optimizations=[tf.lite.Optimize.DEFAULT],
            )
        except (ValueError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"compress: LiteRT cannot have the model: {reason}") from error
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


def operations(path: Path) -> list[tuple[str, type]]:
    """Read name and type of number of the first output of each operation, but those at the ends.

    Operations that only turn numbers into others (``QUANTIZE``, ``DEQUANTIZE``) are left out.
    """
    interpreter = import_optional("ai_edge_litert.interpreter", "LiteRT", "compress").Interpreter(
        str(path)
    )
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    return [
        (each["op_name"], types[each["outputs"][0]])
        # The interpreter shows tensors to everyone, operations to those who ask in private.
        for each in interpreter._get_ops_details()
        if each["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "DELEGATE")
    ]
