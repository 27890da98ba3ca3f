"""Time and memory of one network: the process that does it."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from cherenkov_mlops.compression.measuring.processes import answer
from cherenkov_mlops.models.exported import NETWORKS

WARM_UP_SECONDS = 0.2
MIN_REPEATS = 3


def measure_network(
    path: str,
    shape: list[int],
    custom_code: str | None,
    seconds: float,
    batch_size: int,
    by_predict: bool,
) -> dict[str, float]:
    """Measure latency, throughput and memory of the network in this process.

    Parameters
    ----------
    path : str
        File of the network.
    shape : list of int
        Height, width, channels of its images.
    custom_code : str or None
        Python file that the model is made by.
    seconds : float
        Time of each of the two measurements.
    batch_size : int
        Images of a batch.
    by_predict : bool
        With ``Model.predict`` instead of the graph that ``test`` uses.
    """
    network = _load(Path(path), custom_code, by_predict)
    images = np.random.default_rng(0).random((batch_size, *shape), dtype=np.float32)
    # Memory of single images is read before batches are computed: it is a peak.
    one = images[:1]
    latency = median_seconds(lambda: network(one), seconds)
    # Largest resident memory of this process so far, Python included [kB].
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    batch = median_seconds(lambda: network(images), seconds)
    return {
        "latency_ms": 1e3 * latency,
        "throughput_hz": batch_size / batch,
        "peak_memory_mb": 1024 * int(peak) / 1e6,
    }


def _load(path: Path, custom_code: str | None, by_predict: bool) -> Callable[[np.ndarray], object]:
    if path.suffix in NETWORKS:
        return NETWORKS[path.suffix](path)
    # TensorFlow is imported for networks of Keras only: what it takes is no cost of the others.
    import keras
    import tensorflow as tf

    from cherenkov_mlops.models.keras_model import import_model_file, load_network, only_values

    if custom_code is not None:
        import_model_file(Path(custom_code))
    if by_predict:
        model = keras.saving.load_model(path, compile=False)
        return lambda images: model.predict(images, verbose=0)
    network = load_network(path)
    # The conversion is part of the prediction, as it is of those of the other engines.
    return lambda images: only_values(network(tf.convert_to_tensor(images)))


def median_seconds(action: Callable[[], object], seconds: float) -> float:
    """Median time of the action, repeated for some seconds after it got warm.

    Parameters
    ----------
    action : callable
        What is timed.
    seconds : float
        How long to repeat it; at least ``MIN_REPEATS`` times.
    """
    _repeat(action, WARM_UP_SECONDS, 1)
    return median(_repeat(action, seconds, MIN_REPEATS))


def _repeat(action: Callable[[], object], seconds: float, at_least: int) -> list[float]:
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < at_least or time.perf_counter() < end:
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return found


if __name__ == "__main__":
    answer(measure_network)
