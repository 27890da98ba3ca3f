"""What a model costs, and how it was trained: numbers from the facts recorded about a run.

``facts`` maps names to numbers; a name that is missing or None gives NaN.
"""

from collections.abc import Callable, Mapping

from cherenkov_mlops.metrics.base import metric

#: Measured only when it is asked for: results without them are complete.
MEASURED_ON_REQUEST = (
    "latency_ms",
    "throughput_hz",
    "peak_memory_mb",
    "model_size_packed_mb",
)


def fact(facts: Mapping[str, float | None], name: str) -> float:
    """Look up a recorded number, NaN if there is none."""
    value = facts.get(name)
    return float("nan") if value is None else float(value)


def _define(name: str, text: str, symbol: str, unit: str, better: str) -> Callable[..., float]:
    def read_fact(facts: Mapping[str, float | None]) -> float:
        return fact(facts, name)

    read_fact.__name__ = read_fact.__qualname__ = name
    read_fact.__doc__ = text
    return metric(kind="generic", symbol=symbol, unit=unit, better=better)(read_fact)


for _definition in (
    ("scheduled_epochs", "Epochs that were asked for.", "epochs asked", "", "none"),
    ("effective_epochs", "Epochs that were trained.", "epochs trained", "", "none"),
    ("batch_size", "Events in one training step.", "batch", "", "none"),
    ("n_training_events", "Events the network was trained on.", "training events", "", "none"),
    ("n_testing_events", "Events the network was tested on.", "test events", "", "none"),
    (
        "n_layers",
        "Layers, nested models included, containers and input layers left out.",
        "layers",
        "",
        "none",
    ),
    ("n_parameters", "Parameters in all.", "parameters", "", "lower"),
    ("n_trainable_parameters", "Parameters that training may change.", "trainable", "", "none"),
    ("n_nonzero_parameters", "Parameters that are not zero.", "non-zero", "", "lower"),
    ("sparsity", "Share of zeros among the prunable weights.", "sparsity", "", "none"),
    ("gflops", "Floating-point operations of one inference, in 10⁹.", "GFLOP", "GFLOP", "lower"),
    ("mmacs", "Multiply-accumulates of one inference, in 10⁶.", "MMAC", "MMAC", "lower"),
    (
        "effective_mmacs",
        "Multiply-accumulates with weights that are not zero, in 10⁶.",
        "effective MMAC",
        "MMAC",
        "lower",
    ),
    ("model_size_mb", "Size of the inference-only model file.", "size", "MB", "lower"),
    ("model_size_zipped_mb", "Size of that file, zipped.", "zipped", "MB", "lower"),
    (
        "model_size_packed_mb",
        "Size of the model in the packed form: 8-bit kernels, zeros left out, compressed.",
        "packed",
        "MB",
        "lower",
    ),
    ("training_time_s", "Wall-clock time of the training.", "training", "s", "lower"),
    ("testing_time_s", "Wall-clock time of the test.", "testing", "s", "lower"),
    ("reading_time_ms", "Time to read one event.", "reading", "ms", "lower"),
    ("network_time_ms", "Time of the network for one event.", "network", "ms", "lower"),
    (
        "latency_ms",
        "Median time of the network for a single image, on one core.",
        "latency",
        "ms",
        "lower",
    ),
    (
        "throughput_hz",
        "Images a second through the network in batches of 64, on one core.",
        "throughput",
        "1/s",
        "higher",
    ),
    (
        "peak_memory_mb",
        "Largest memory of a process that predicts single images; Python included.",
        "memory",
        "MB",
        "lower",
    ),
):
    _define(*_definition)
