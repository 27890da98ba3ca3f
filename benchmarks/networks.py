"""The networks of the benchmarks."""

from typing import Any

import keras

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.models.keras_model import build_model

#: Small, so that what surrounds it counts.
SMALL_CNN = {
    "type": "SingleCNN",
    "architecture": [{"filters": 4, "kernel_size": 3, "number": 1}] * 2,
    "attention_mechanism": None,
    "head_layers": {"type": [8, 2], "energy": [8, 1], "cameradirection": [8, 2]},
}


def build(model: dict[str, Any], shape: tuple[int, int, int], task: str = "energy") -> keras.Model:
    """Untrained network for images of (height, width, channels), from a section ``model``."""
    files = {"signal": ["unused.h5"], "background": ["unused2.h5"]}
    options = {"run": {"name": "unused"}, "task": task, "model": model}
    config = RunConfig.model_validate(options | {"data": {"train": files, "test": files}})
    return build_model(config, shape)
