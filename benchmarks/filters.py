"""What a network without half of its inner filters costs to run.

``python benchmarks/filters.py`` takes CTLearn's default ThinResNet for images of 96 x 96 pixels and
two channels, as initialised (what it costs does not depend on its weights), and its default
SingleCNN; takes half and three quarters of the filters out, as ``pruning.kind: filters`` does after
a training; and exports each network to LiteRT, float32 and int8. Latency is that of single images,
median; dense and pruned networks take turns, on one core and on all.

The last line is ``RESULT gflops=... latency=...``: ThinResNet with half of the filters over the
dense one; latency in float32, the larger ratio of one core and all.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from machine import describe_machine, seconds_of, take_turns
from networks import build

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.pruning.filters import FilterPruner, shrink
from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.config.train_section import PruningSection
from cherenkov_mlops.models.cost import count_flops

SHAPE = (96, 96, 2)
NETWORKS = {"ThinResNet": {}, "SingleCNN": {"type": "SingleCNN"}}
SHARES = (0.0, 0.5, 0.75)
FORMS = ("float32", "int8")
THREADS = {"one core": 1, "all cores": 2}
N_CALIBRATION = 16


def main() -> None:
    """Measure and print."""
    options = read_options()
    print(describe_machine(), end="\n\n", flush=True)
    rng = np.random.default_rng(1)
    images = rng.random((N_CALIBRATION, *SHAPE), dtype=np.float32)
    for name, section in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            models = {share: take_out(build(section, SHAPE), share) for share in SHARES}
            gflops = {share: count_flops(model) / 1e9 for share, model in models.items()}
            for share, model in models.items():
                print(f"{name} -{share:.0%}: {model.count_params()} weights, ", end="")
                print(f"{gflops[share]:.3f} GFLOP", flush=True)
            paths = {
                (form, share): export_model(
                    model, Path(folder) / f"{share}_{form}.tflite", form, images
                )
                for share, model in models.items()
                for form in FORMS
            }
            latency = measure(name, paths, options.rounds)
        if name == "ThinResNet":
            ratios = [latency["float32", 0.5, n] / latency["float32", 0.0, n] for n in THREADS]
            result = f"RESULT gflops={gflops[0.5] / gflops[0.0]:.3f} latency={max(ratios):.3f}"
    print(result)


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60, help="images of which medians are taken")
    return parser.parse_args()


def take_out(model: keras.Model, share: float) -> keras.Model:
    """The network without a share of its inner filters."""
    if share == 0:
        return model
    section = PruningSection(kind="filters", schedule="constant", final_sparsity=share)
    pruner = FilterPruner(make_plan(section, steps_per_epoch=1, n_epochs=1))
    pruner.attach(model)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mae")
    images, labels = np.zeros((1, *SHAPE), np.float32), {"energy": np.zeros((1, 1), np.float32)}
    model.fit(images, labels, callbacks=[pruner], verbose=0)
    return shrink(model)


def measure(
    name: str, paths: dict[tuple[str, float], Path], rounds: int
) -> dict[tuple[str, float, str], float]:
    """Form, share and number of cores -> median latency [s]; printed, too."""
    found = {}
    for form in FORMS:
        for cores, n_threads in THREADS.items():
            turns = {share: single_image(paths[form, share], n_threads) for share in SHARES}
            seconds = take_turns(turns, rounds)
            for share, values in seconds.items():
                value = found[form, share, cores] = median(values)
                ratio = value / found[form, 0.0, cores]
                print(f"{name} -{share:.0%} {form:8} {cores:9} {1e3 * value:8.2f} ms, {ratio:.3f}")
    return found


def single_image(path: Path, n_threads: int):
    """Function that measures the seconds of one image."""
    interpreter = Interpreter(str(path), num_threads=n_threads)
    interpreter.allocate_tensors()
    image = np.random.default_rng(2).random((1, *SHAPE), dtype=np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    return lambda: seconds_of(interpreter.invoke)


if __name__ == "__main__":
    main()
