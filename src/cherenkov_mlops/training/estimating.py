"""How long an epoch of a run would take here, by a few steps of it."""

import resource
import time
from dataclasses import dataclass
from statistics import median

import keras
import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl1.split import split_events
from cherenkov_mlops.models.keras_model import build_model, losses_of

N_STEPS = 5


@dataclass(frozen=True)
class Estimate:
    """What a training would need.

    Parameters
    ----------
    n_events, n_steps : int
        Events and steps (batches) of an epoch.
    reading_s, network_s : float
        Medians for one step; reading happens beside the network's work.
    memory_gb : float
        Largest resident memory of this process.
    """

    n_events: int
    n_steps: int
    reading_s: float
    network_s: float
    memory_gb: float

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch without its validation."""
        return self.n_steps * max(self.reading_s, self.network_s)


def estimate_training(config: RunConfig, inputs: Inputs) -> Estimate:
    """Time and memory of an epoch, from five steps on the run's own data, read without a cache.

    Raises
    ------
    UserError, DataError
        As ``prepare``.
    """
    with open_reader(config, inputs) as reader:
        rows, _ = split_events(
            reader, config.train.validation_split, config.train.split_by, config.run.seed
        )
        loader = SampledLoader(
            reader,
            rows,
            tasks=config.own_tasks,
            batch_size=config.train.batch_size,
            seed=config.run.seed,
            fraction=config.sampling.percentage_per_epoch,
            sort_by_intensity=config.data.sort_by_intensity,
            stack_telescope_images=config.data.stack_telescope_images,
        )
        loader.on_epoch_end()
        model = build_model(config, tuple(int(size) for size in loader.input_shape))
        losses, _ = losses_of(config.own_tasks)
        model.compile(optimizer=keras.optimizers.Adam(), loss=losses)
        reading, network = _time_steps(loader, model)
    memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Estimate(loader.n_drawn, len(loader), reading, network, memory_kb * 1024 / 1e9)


def _time_steps(loader: SampledLoader, model: keras.Model) -> tuple[float, float]:
    """Median seconds to read a batch and to learn from it; the first of all is not counted."""
    reading, network = [], []
    for number in np.arange(1 + N_STEPS) % len(loader):
        started = time.perf_counter()
        # Not by its number: the loader would have read it ahead.
        features, labels, *_ = loader._make_batch(loader.batches[number])
        reading.append(time.perf_counter() - started)
        started = time.perf_counter()
        model.train_on_batch(features, labels)
        network.append(time.perf_counter() - started)
    return median(reading[1:]), median(network[1:])
