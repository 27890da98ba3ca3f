"""How many bytes a network takes in each form, dense and pruned.

``python benchmarks/size.py`` builds CTLearn's default ThinResNet for images of 96 x 96 pixels and
two channels (weights as initialised: sizes hardly depend on them), sets the smallest weights of
each kernel to zero (none, 90 %, 95 %), and writes each of the three in every form that ``compress``
knows, and as the Keras model without optimizer state. Zipped is deflated at level 9. int8 takes its
ranges from random images.

The last line is ``RESULT int8_raw=... int8_p90_zip=... packed_p95=...``: int8 over float32, both
LiteRT, dense, as they are; int8 of the 90 % sparse model over dense float32, both zipped; and the
packed file of the 95 % sparse model over dense float32 zipped.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
from machine import describe_machine
from networks import build

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.packing import pack_model
from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.compression.pruning.pruner import mask_weights
from cherenkov_mlops.models.cost import file_sizes

SHAPE = (96, 96, 2)
SPARSITIES = (0.0, 0.9, 0.95)
FORMATS = ("float32", "float16", "dynamic", "int8")
N_CALIBRATION = 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    print(describe_machine(), end="\n\n", flush=True)
    model = build({}, SHAPE)
    sizes: dict[tuple[float, str], tuple[int, int]] = {}
    for sparsity in SPARSITIES:
        prune(model, sparsity)
        with tempfile.TemporaryDirectory() as folder:
            for form, path in write_all(model, Path(folder)).items():
                raw, zipped = sizes[sparsity, form] = file_sizes(path)
                print(
                    f"{100 * sparsity:3.0f} % zeros  {form:8} {raw / 1e6:7.2f} MB, "
                    f"zipped {zipped / 1e6:6.2f} MB",
                    flush=True,
                )
    dense_raw, dense_zipped = sizes[0.0, "float32"]
    print(
        f"RESULT int8_raw={sizes[0.0, 'int8'][0] / dense_raw:.3f} "
        f"int8_p90_zip={sizes[0.9, 'int8'][1] / dense_zipped:.4f} "
        f"packed_p95={sizes[0.95, 'packed'][0] / dense_zipped:.4f}"
    )


def prune(model: keras.Model, sparsity: float) -> None:
    """Set the smallest weights of each kernel to zero."""
    for kernel in find_kernels(model).values():
        values = np.asarray(kernel)
        kernel.assign(values * mask_weights(values, sparsity)[0])


def write_all(model: keras.Model, folder: Path) -> dict[str, Path]:
    """Form -> file."""
    images = np.random.default_rng(1).random((N_CALIBRATION, *SHAPE), dtype=np.float32)
    paths = {form: folder / f"{form}.tflite" for form in FORMATS}
    for form, path in paths.items():
        export_model(model, path, form, images)
    keras_path = folder / "model.keras"
    model.save(keras_path)
    return {"keras": keras_path, **paths, "packed": pack_model(model, folder / "model.packed")}


if __name__ == "__main__":
    main()
