"""Images of training events that ranges of numbers are taken from."""

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl1.reader import BatchReader

#: Images that the ranges of int8 values are taken from.
N_CALIBRATION = 512


def draw_images(config: RunConfig, manifest: Manifest) -> np.ndarray:
    """Read images of randomly drawn training events, shape (n, height, width, n_channels).

    Equal seeds give equal events; NaN in a pixel raises ``DataError``.
    """
    with open_reader(config, manifest.inputs) as reader:
        return _draw(config, reader, manifest.training_rows, N_CALIBRATION)


def draw_test_images(config: RunConfig, inputs: Inputs, n_images: int) -> np.ndarray:
    """Read images of randomly drawn events of some files, as ``draw_images``."""
    with open_reader(config, inputs) as reader:
        return _draw(config, reader, np.arange(reader.get_n_events()), n_images)


def _draw(config: RunConfig, reader: BatchReader, rows: np.ndarray, n_images: int) -> np.ndarray:
    rng = np.random.default_rng(config.run.seed)
    drawn = np.sort(rng.choice(rows, min(n_images, len(rows)), replace=False))
    loader = SampledLoader(
        reader,
        drawn,
        tasks=[],
        batch_size=len(drawn),
        sort_by_intensity=config.data.sort_by_intensity,
        stack_telescope_images=config.data.stack_telescope_images,
    )
    return loader[0][0]
