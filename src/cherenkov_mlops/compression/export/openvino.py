"""Models for OpenVINO."""

from pathlib import Path

import keras
import numpy as np

from cherenkov_mlops.forms import parts_of
from cherenkov_mlops.models.exported import import_optional
from cherenkov_mlops.run_dir import atomic_path


def write_openvino(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """Write ``path`` (``.xml``) and its weights beside it (``.bin``), in 32 bit.

    The graph comes last: where it is, the weights are whole.
    """
    import_optional("openvino", "OpenVINO", path)
    path.unlink(missing_ok=True)
    weights = parts_of(path)[1]
    with atomic_path(path) as graph:
        made = parts_of(graph)[1]
        try:
            model.export(str(graph), format="openvino", verbose=False)
            made.replace(weights)
        finally:
            made.unlink(missing_ok=True)
