"""What the processors and GPUs of this machine do, tried."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tensorflow as tf

#: Rows and columns of the matrices that are multiplied.
SIZE = 2048
N_TIMES = 5


@dataclass(frozen=True)
class Device:
    """One GPU that TensorFlow can use.

    Parameters
    ----------
    name : str
        What its maker calls it.
    memory_gb : float or None
        All of its memory that TensorFlow may use, if known.
    tflops : float
        10^12 operations a second in a product of two float32 matrices of 2048 x 2048.
    """

    name: str
    memory_gb: float | None
    tflops: float


def try_gpus() -> list[Device]:
    """All GPUs that TensorFlow finds, each after a matrix product on it."""
    found = []
    for physical, logical in zip(
        tf.config.list_physical_devices("GPU"), tf.config.list_logical_devices("GPU"), strict=True
    ):
        details = tf.config.experimental.get_device_details(physical)
        limit = getattr(logical, "memory_limit", None)
        memory = limit / 1e9 if limit else None
        name = details.get("device_name", physical.name)
        found.append(Device(name, memory, time_product(logical.name)))
    return found


def time_product(device: str) -> float:
    """10^12 operations a second of a matrix product on a device, median of five."""
    with tf.device(device):
        matrix = tf.random.normal((SIZE, SIZE))
        seconds = []
        for _ in range(1 + N_TIMES):
            started = time.perf_counter()
            float(tf.reduce_sum(tf.matmul(matrix, matrix)))
            seconds.append(time.perf_counter() - started)
    return 2 * SIZE**3 / median(seconds[1:]) / 1e12


def loaded_driver() -> Path | None:
    """The file of the CUDA driver that this process has loaded; None without one."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        name = line.split()[-1]
        if "libcuda.so" in name:
            return Path(name)
    return None
