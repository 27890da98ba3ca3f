"""From stored pixels to predictions: the process that measures it.

Pixels come from the run's cache (or the HDF5 files, where the run has none), are mapped to square
images and go through the network.
"""

import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from cherenkov_mlops.compression.measuring.processes import answer
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import pixel_cache
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.models.keras_model import Network, load_custom_code, load_network, only_values

BATCH_SIZES = (1, 8, 64)
WARM_UP_BATCHES = 3


def measure_whole_paths(
    run: str, models: dict[str, str], seconds: float
) -> dict[str, dict[str, float]]:
    """Measure images a second by name of the model and batch size, in this process.

    Parameters
    ----------
    run : str
        Folder of the run whose training images are read.
    models : dict of str to str
        Name -> file of a network.
    seconds : float
        Time of each measurement.
    """
    config, run_dir = open_run(Path(run))
    manifest = read_manifest(run_dir)
    load_custom_code(config, run_dir)
    with open_reader(config, manifest.inputs) as reader:
        cache = pixel_cache(config, run_dir)
        if cache is not None:
            reader.use_cache(cache)
        loader = SampledLoader(
            reader,
            manifest.training_rows,
            tasks=[],
            sort_by_intensity=config.data.sort_by_intensity,
            stack_telescope_images=config.data.stack_telescope_images,
        )
        found = {}
        for name, path in models.items():
            network = load_network(Path(path))
            found[name] = {str(n): path_rate(loader, network, n, seconds) for n in BATCH_SIZES}
    return found


def path_rate(loader: SampledLoader, network: Network, batch_size: int, seconds: float) -> float:
    """Measure images a second of reading, mapping and classifying events in random order.

    Parameters
    ----------
    loader : SampledLoader
        Where images come from.
    network : callable
        From ``load_network``.
    batch_size : int
        Images that go through the network together.
    seconds : float
        How long to measure.
    """
    rng = np.random.default_rng(0)
    n_events = len(loader.rows)
    # Networks that are not of TensorFlow take arrays.
    takes_arrays = type(network).__module__.startswith("cherenkov_mlops")

    def classify_batch() -> None:
        places = rng.integers(n_events, size=batch_size)
        images = loader.read_features(places)
        only_values(network(images if takes_arrays else tf.convert_to_tensor(images, tf.float32)))

    for _ in range(WARM_UP_BATCHES):
        classify_batch()
    started, n_done = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        classify_batch()
        n_done += batch_size
    return n_done / passed


if __name__ == "__main__":
    answer(measure_whole_paths)
