"""How long a network takes in each form, and how many images a second the whole path takes.

``python benchmarks/latency.py`` builds CTLearn's default SingleCNN for images of 96 x 96 pixels and
two channels (weights as initialised: the time does not depend on them), writes it in every form
that ``compress`` knows, and measures each, and Keras by ``Model.predict`` and as the graph that
``test`` uses: one image at a time, and in batches of 64; on one core and on all. Each measurement
is made in a process of its own, which has no more cores than it is to use; the forms take turns,
and medians over the rounds of medians are printed. Memory is the largest resident memory (VmHWM)
of such a process that has predicted single images, Python included. The default ThinResNet follows,
in batches of 8, on one core and with one round.

The whole path is measured on one core of this process: simulated SST-1M images (1296 pixels,
cleaned) are read from the pixel cache in random order, mapped to 96 x 96 and classified.

``--folder`` keeps the simulated file for the next time. The last line is ``RESULT whole_path_hz=...
ratio=... int8_hz=...``: the best of the whole paths; the rate of the fastest form for single images
on one core over that of ``Model.predict``; and the rate of LiteRT's int8 there.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from datasets import CLEANED, sst1m_file, working_folder
from machine import describe_machine, take_turns, use_one_core
from traitlets.config import Config

from cherenkov_mlops.compression.export import export_model
from cherenkov_mlops.compression.measuring.costs import Speed, measure_speed
from cherenkov_mlops.compression.measuring.whole_path import BATCH_SIZES, path_rate
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import PixelCache
from cherenkov_mlops.dl1.reader import CuredImageReader
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models.keras_model import build_model, load_network

SHAPE = (96, 96, 2)
PREDICT, GRAPH = "Keras predict", "Keras graph"
N_IMAGES, N_CALIBRATION = 2000, 64
UNKNOWN = Speed(float("nan"), float("nan"), float("nan"))
SPEEDS = "{:14} {:>11} {:>11} {:>13} {:>13} {:>10}"
PATHS = "{:14}" + " {:>10}" * len(BATCH_SIZES)


@dataclass(frozen=True)
class Plan:
    """How one network is measured."""

    name: str
    batch_size: int
    rounds: int
    seconds: float
    on_all_cores: bool


def main() -> None:
    """Measure and print."""
    options = read_options()
    print(describe_machine(), flush=True)
    with working_folder(options.folder) as folder, tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        source = sst1m_file(folder, options.n_images)
        small = write_forms("SingleCNN", work)
        one_core = measure_forms(Plan("SingleCNN", 64, options.rounds, 0.5, True), small)
        measure_forms(Plan("ResNet", 8, 1, 0.3, False), write_forms("ResNet", work))
        paths = measure_paths(source, work / "cache", small, options.rounds)
    rates = {form: 1e3 / speed.latency_ms for form, speed in one_core.items()}
    best_path = max(max(by_batch.values()) for by_batch in paths.values())
    print(
        f"RESULT whole_path_hz={best_path:.0f} ratio={max(rates.values()) / rates[PREDICT]:.3g} "
        f"int8_hz={rates['int8']:.0f}"
    )


def read_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the simulated file is made and kept")
    parser.add_argument("--n-images", type=int, default=N_IMAGES, help="images of the file")
    parser.add_argument("--rounds", type=int, default=3, help="turns of which medians are taken")
    return parser.parse_args()


def write_forms(kind: str, work: Path) -> dict[str, Path]:
    """Form -> file of the default network of the kind."""
    files = {"signal": ["unused.h5"]}
    content = {"run": {"name": "a"}, "task": "energy", "data": {"train": files, "test": files}}
    config = RunConfig.model_validate(content | {"model": {"type": kind}})
    model = build_model(config, SHAPE)
    folder = work / kind
    folder.mkdir()
    keras_path = folder / "model.keras"
    model.save(keras_path)
    images = np.random.default_rng(1).random((N_CALIBRATION, *SHAPE), dtype=np.float32)
    paths = {PREDICT: keras_path, GRAPH: keras_path}
    for form, known in FORMS.items():
        if form != "packed":  # Read back, it is a Keras model.
            paths[form] = export_model(model, folder / f"{form}{known.suffix}", form, images)
    return paths


def measure_forms(plan: Plan, paths: dict[str, Path]) -> dict[str, Speed]:
    """Speed of each form on one core; a table of all is printed."""

    def measure(form: str, one_core: bool) -> Speed:
        return measure_speed(
            paths[form],
            SHAPE,
            one_core=one_core,
            seconds=plan.seconds,
            batch_size=plan.batch_size,
            by_predict=form == PREDICT,
        )

    cores = (True, False) if plan.on_all_cores else (True,)
    keys = [(form, one_core) for form in paths for one_core in cores]
    turns = {key: (lambda key=key: measure(*key)) for key in keys}
    found = {key: middle(speeds) for key, speeds in take_turns(turns, plan.rounds).items()}
    print(f"\n{plan.name}, {plan.rounds} rounds: ms an image; images/s in batches; memory")
    batch = f"batch {plan.batch_size}"
    print(SPEEDS.format("", "ms, 1 core", "all cores", f"{batch}, 1", f"{batch}, all", "MB"))
    for form in paths:
        one, every = found[form, True], found.get((form, False), UNKNOWN)
        latencies = (f"{one.latency_ms:.2f}", f"{every.latency_ms:.2f}")
        rates = (f"{one.throughput_hz:.0f}", f"{every.throughput_hz:.0f}")
        print(SPEEDS.format(form, *latencies, *rates, f"{one.peak_memory_mb:.0f}"), flush=True)
    return {form: found[form, True] for form in paths}


def middle(speeds: list[Speed]) -> Speed:
    """Medians of several measurements."""
    names = ("latency_ms", "throughput_hz", "peak_memory_mb")
    return Speed(*(median(getattr(speed, name) for speed in speeds) for name in names))


def measure_paths(
    source: Path, cache: Path, paths: dict[str, Path], rounds: int
) -> dict[str, dict[int, float]]:
    """Images a second of the whole path by form and batch size; a table is printed."""
    core = use_one_core()
    traits = Config({"DLImageReader": {"channels": list(CLEANED)}})
    reader = CuredImageReader(input_url_signal=[source], config=traits)
    reader.use_cache(PixelCache(cache))
    loader = SampledLoader(reader, np.arange(reader.get_n_events()), tasks=[])

    def measure(form: str) -> dict[int, float]:
        # One at a time: threads of another engine would stand in the way.
        network = load_network(paths[form])
        return {size: path_rate(loader, network, size, 0.5) for size in BATCH_SIZES}

    forms = [form for form in paths if form != PREDICT]
    found = take_turns({form: (lambda form=form: measure(form)) for form in forms}, rounds)
    reader.close_files()
    print(f"\nwhole path on core {core}, SingleCNN: images/s by batch size")
    print(PATHS.format("", *(f"batch {size}" for size in BATCH_SIZES)))
    by_form = {
        form: {size: median(each[size] for each in turns) for size in BATCH_SIZES}
        for form, turns in found.items()
    }
    for form, rates in by_form.items():
        print(PATHS.format(form, *(f"{rate:.0f}" for rate in rates.values())))
    return by_form


if __name__ == "__main__":
    main()
