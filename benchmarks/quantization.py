"""What small numbers cost: one network in 32 and 8 bits, exported as it is or trained for it.

``python benchmarks/quantization.py`` simulates gammas and protons and trains a SingleCNN to tell
them apart. From there four networks learn on for as long again: in 32 bits (``on``) and computing
in 8 bits (``aware``), each dense and pruned to 90 % on the way (``p90``). The networks of 32 bits
are exported as they are, the others as what they learnt to be. Every form predicts the same test
events, exports through LiteRT. Zipped is deflated at level 9, without optimizer state.

The last line is ``RESULT agreement=... int8_share=... auc_...=...``: mean absolute difference of a
score between the 8-bit export and the Keras model that learnt to round, the larger of the two
networks; share of the operations of their exports that compute in 8 bits; areas under the ROC
curve.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import working_folder
from machine import describe_machine

from cherenkov_mlops.commands import compress, simulate
from cherenkov_mlops.compression.export.calibration import draw_images
from cherenkov_mlops.compression.export.litert import operations
from cherenkov_mlops.compression.quantization.aware import load_aware
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.models.exported import LiteRTNetwork
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, train

NETWORK = {
    "type": "SingleCNN",
    "architecture": [{"filters": n, "kernel_size": 3, "number": 1} for n in (16, 32, 64)],
    "attention_mechanism": None,
    "head_layers": {"type": [32, 2]},
}
#: The first convolution has 288 weights: a tenth of them are too few for any network.
PRUNING = {
    "final_sparsity": 0.9,
    "end_step": 4,
    "unit": "epochs",
    "frequency": 10,
    "exclude": ["*conv_1_1"],
}
#: Run -> what is different about it, and the forms in which it is tested beside Keras.
LEARNING_ON: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "on": ({}, ("int8",)),
    "on_p90": ({"pruning": PRUNING}, ("int8",)),
    "aware": ({"quantization": {"aware": "int8"}}, ("int8",)),
    "aware_p90": ({"quantization": {"aware": "int8"}, "pruning": PRUNING}, ("int8",)),
}


def main() -> None:
    """Measure and print."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    auc: dict[str, float] = {}
    agreements, found = [], []
    with working_folder(options.folder) as folder:
        files = simulate_all(folder, options)
        first = train_run(folder, "first", files, options, {"model": NETWORK})
        loaded = {"type": "loaded", "load_model_from": str(first[1].trained_model)}
        for name, (over, forms) in LEARNING_ON.items():
            config, run_dir = train_run(folder, name, files, options, over | {"model": loaded})
            for form, place in test_all(config, run_dir, forms):
                auc[f"{name}_{form}"] = show(f"{name}, {form}", place)
                if form == "int8" and config.quantization is not None:
                    agreements.append(measure_agreement(config, run_dir, place))
                    found += [dtype for _, dtype in operations(place.exported_model(form))]
    share = np.mean([dtype is np.int8 for dtype in found])
    values = " ".join(f"auc_{name}={value:.3f}" for name, value in auc.items())
    print(f"RESULT agreement={max(agreements):.4f} int8_share={share:.3f} {values}")


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000, help="images of a class to train on")
    parser.add_argument("--epochs", type=int, default=8, help="epochs before, and again after")
    parser.add_argument("--folder", type=Path, help="new folder that is kept")
    return parser.parse_args()


def simulate_all(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The section ``data`` without its options."""
    sides = {"signal": "gamma", "background": "proton"}
    files: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    for number, (part, side) in enumerate((p, s) for p in files for s in sides):
        path = folder / f"{sides[side]}_{part}.dl1.h5"
        n_images = options.images if part == "train" else 2000
        simulate.run(path, particle=sides[side], n_images=n_images, seed=number + 1)
        files[part][side] = str(path)
    return files


def train_run(
    folder: Path, name: str, files: dict, options: argparse.Namespace, over: dict[str, Any]
) -> tuple[RunConfig, RunDir]:
    """A trained run."""
    config = RunConfig.model_validate(
        {
            "run": {"name": name, "dir": str(folder), "seed": 1},
            "task": "type",
            "data": files | {"image_mapper_type": "ShiftingMapper"},
            "train": {"n_epochs": options.epochs, "optimizer": {"base_learning_rate": 1e-3}},
            "test": {"n_bootstrap": 100},
        }
        | over
    )
    run_dir = RunDir(config.run_path)
    prepare.run(config, run_dir)
    train.run(config, run_dir)
    return config, run_dir


def test_all(
    config: RunConfig, run_dir: RunDir, forms: tuple[str, ...]
) -> Iterator[tuple[str, RunDir]]:
    """Each form of the network and its tested run, Keras first."""
    chain.test(config, run_dir)
    yield "keras", run_dir
    for made, form in zip(compress.run(config, run_dir, forms), forms, strict=True):
        chain.test(*open_run(made.run_dir.path))
        yield form, made.run_dir


def show(name: str, run_dir: RunDir) -> float:
    """Area under the ROC curve, printed with the size of the file."""
    results = read_results(run_dir.metrics)
    auc = results.tasks["type"].metrics["auc"].model_dump()
    size, zipped = (results.facts[f"model_size_{kind}mb"] for kind in ("", "zipped_"))
    print(
        f"{name:16} {1e3 * size:7.1f} kB, zipped {1e3 * zipped:7.1f} kB, AUC {auc['value']:.4f} "
        f"({auc['low']:.4f} to {auc['high']:.4f}), {auc['n']} events",
        flush=True,
    )
    return auc["value"]


def measure_agreement(config: RunConfig, run_dir: RunDir, exported: RunDir) -> float:
    """Mean absolute difference of a score, for images of the training set."""
    images = draw_images(config, read_manifest(run_dir))
    aware = load_aware(run_dir.aware_model)
    got = LiteRTNetwork(exported.exported_model("int8"))(images)
    return float(np.abs(got - np.asarray(aware(images, training=False))).mean())


if __name__ == "__main__":
    main()
