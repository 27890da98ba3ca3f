"""A trained model in smaller number formats, for LiteRT."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.engine.loader import SampledLoader
from cherenkov_mlops.engine.preparation import open_reader
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.run_dir import atomic_path

type Format = Literal["float32", "float16", "dynamic", "int8"]

#: Images that the ranges of int8 values are taken from.
N_CALIBRATION = 512


def export_model(model: keras.Model, path: Path, kind: Format, images: np.ndarray) -> Path:
    """``path``, holding the model for LiteRT.

    Parameters
    ----------
    model : keras.Model
        Trained model with one output.
    path : Path
        ``.tflite`` file; whole or not there at all.
    kind : {"float32", "float16", "dynamic", "int8"}
        How numbers are stored: as they are; weights in 16 bit; weights in 8 bit; weights and
        everything that is computed in 8 bit, one scale a channel.
    images : array
        Images that int8 takes its ranges from, shape (n, height, width, n_channels).

    Raises
    ------
    UserError
        The model has more than one output, or LiteRT cannot have it.
    """
    if len(model.outputs) != 1:
        raise UserError(
            f"compress: expected a model with one output, got {len(model.outputs)}: "
            f"{', '.join(output.name for output in model.outputs)}"
        )
    with atomic_path(path) as temporary:
        try:
            model.export(temporary, format="litert", verbose=False, **_options(kind, images))
        except (ValueError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"compress: {kind}: LiteRT cannot have the model: {reason}") from error
    return path


def _options(kind: Format, images: np.ndarray) -> dict[str, Any]:
    if kind == "float32":
        return {}
    smaller: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if kind == "float16":
        return smaller | {"target_spec": {"supported_types": [tf.float16]}}
    if kind == "dynamic":
        return smaller

    def representative() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [image[None]]

    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]}
    return smaller | {"representative_dataset": representative, "target_spec": operations}


def draw_images(config: RunConfig, manifest: Manifest) -> np.ndarray:
    """Images of randomly drawn training events, shape (n, height, width, n_channels).

    Equal seeds give equal events; NaN in a pixel raises ``DataError``.
    """
    rows = manifest.training_rows
    rng = np.random.default_rng(config.run.seed)
    drawn = np.sort(rng.choice(rows, min(N_CALIBRATION, len(rows)), replace=False))
    with open_reader(config, manifest.inputs) as reader:
        loader = SampledLoader(
            reader,
            drawn,
            tasks=[],
            batch_size=len(drawn),
            sort_by_intensity=config.data.sort_by_intensity,
            stack_telescope_images=config.data.stack_telescope_images,
        )
        return loader[0][0]
