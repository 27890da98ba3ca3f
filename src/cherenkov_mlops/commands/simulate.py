"""``simulate``: a DL1 file of simulated showers."""

import logging
import time
from pathlib import Path
from typing import Any

from cherenkov_mlops.simulation.dl1_writer import write_dl1
from cherenkov_mlops.simulation.options import SimulationOptions

logger = logging.getLogger(__name__)


def run(output: Path, *, force: bool = False, **options: Any) -> Path:
    """Write ``output``, a DL1 file as ctapipe, CTLearn and dl1_data_handler read it.

    Parameters
    ----------
    output : pathlib.Path
        File to write, whole or not at all.
    force : bool
        Replace an existing file.
    **options
        Fields of :class:`~cherenkov_mlops.simulation.options.SimulationOptions`: particle,
        n_showers, n_images, seed, energy_min_tev, energy_max_tev, spectral_index, viewcone_deg,
        offset_deg, zenith_deg, azimuth_deg, scatter_radius_m, subarray, obs_id, true_images,
        waveforms.

    Raises
    ------
    UserError
        If an option is out of range, or ``output`` exists without ``force``.
    DataError
        If the array cannot be read, or nothing triggers.
    """
    checked = SimulationOptions(**options)
    start = time.monotonic()
    written = write_dl1(Path(output), checked, force=force)
    rate = written.n_images / (time.monotonic() - start)
    logger.info(
        "%s: %d of %d %s showers triggered, %d images (%.0f images/s)",
        output,
        written.n_events,
        written.n_showers,
        checked.particle,
        written.n_images,
        rate,
    )
    return Path(output)
