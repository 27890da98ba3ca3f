"""Time and memory of one network: the process that does it.

TensorFlow is imported for networks of Keras only: what it takes is no cost of the others.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from cherenkov_mlops.compression.measuring.processes import answer
from cherenkov_mlops.compression.measuring.timing import median_seconds
from cherenkov_mlops.models.runtimes import RUNTIMES


def measure_network(
    path: str,
    shape: list[int],
    custom_code: str | None,
    seconds: float,
    batch_size: int,
    by_predict: bool,
) -> dict[str, float]:
    """Latency, throughput and memory of the network in this process.

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
    one = images[:1]
    latency = median_seconds(lambda: network(one), seconds)
    memory_mb = _peak_memory_mb()
    batch = median_seconds(lambda: network(images), seconds)
    return {
        "latency_ms": 1e3 * latency,
        "throughput_hz": batch_size / batch,
        "peak_memory_mb": memory_mb,
    }


def _load(path: Path, custom_code: str | None, by_predict: bool) -> Callable[[np.ndarray], object]:
    if path.suffix in RUNTIMES:
        return RUNTIMES[path.suffix](path)
    networks = import_module("cherenkov_mlops.models.networks")
    if custom_code is not None:
        builder = import_module("cherenkov_mlops.models.builder")
        builder.import_model_file(Path(custom_code))
    if by_predict:
        model = networks.keras.saving.load_model(path, compile=False)
        return lambda images: model.predict(images, verbose=0)
    network = networks.load_network(path)
    # The conversion is part of the prediction, as it is of those of the other engines.
    return lambda images: networks.only_values(network(networks.tf.convert_to_tensor(images)))


def _peak_memory_mb() -> float:
    """Largest resident memory of this process so far [MB, 10^6 bytes], Python included."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(peak) / 1e6


if __name__ == "__main__":
    answer(measure_network)
