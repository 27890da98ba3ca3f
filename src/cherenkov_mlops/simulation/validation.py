"""Simulated showers next to those of other simulations: same showers, same image parameters."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import tables
from ctapipe.containers import ArrayEventContainer, DL1CameraContainer
from ctapipe.image import ImageProcessor
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import TableLoader
from traitlets.config import Config

from cherenkov_mlops.simulation.atmosphere import TOP_M
from cherenkov_mlops.simulation.events import Event, Observatory, throw_showers
from cherenkov_mlops.simulation.instrument import read_subarray
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.showers import Particles, Primaries, unit_vectors

#: Edges [p.e.] of the intensity bins that images are compared in.
INTENSITY_EDGES = (50.0, 100.0, 200.0, 1000.0, np.inf)


def image_parameters(
    events: Iterable[Event], subarray: SubarrayDescription, cleaning: dict | None = None
) -> pd.DataFrame:
    """Compute ctapipe's parameters of all images of ``events``, one row each.

    Columns: ``intensity`` [p.e.], ``length`` and ``width`` [deg], ``n_islands``,
    ``impact`` [m], ``energy`` [TeV].

    Parameters
    ----------
    cleaning : dict, optional
        Options of ctapipe's ``TailcutsImageCleaner``; ctapipe's own by default.
    """
    config = Config({"TailcutsImageCleaner": cleaning or {}})
    process = ImageProcessor(subarray=subarray, config=config)
    columns = ["intensity", "length", "width", "n_islands", "impact", "energy"]
    rows = []
    for event in events:
        data = ArrayEventContainer()
        for tel_id, image in zip(event.tel_ids, event.images, strict=True):
            camera = DL1CameraContainer(image=image.charge, peak_time=image.peak_time)
            data.dl1.tel[tel_id] = camera
        process(data)
        for tel_id, impact in zip(event.tel_ids, event.impact_m, strict=True):
            found = data.dl1.tel[tel_id].parameters
            shape = (found.hillas.length.to_value("deg"), found.hillas.width.to_value("deg"))
            islands = found.morphology.n_islands
            energy = event.truth.energy_tev
            rows.append((found.hillas.intensity, *shape, islands, impact, energy))
    return pd.DataFrame(rows, columns=columns)


def parameters_in_file(path: Path) -> pd.DataFrame:
    """Read ``intensity`` [p.e.], ``length``, ``width`` [deg], ``n_islands`` from a DL1 file."""
    with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
        found = loader.read_telescope_events(dl2=False, simulated=False)
    names = {
        "intensity": "hillas_intensity",
        "length": "hillas_length",
        "width": "hillas_width",
        "n_islands": "morphology_n_islands",
    }
    return pd.DataFrame(
        {
            name: np.ma.filled(np.ma.asarray(found[column], dtype=float), np.nan)
            for name, column in names.items()
        }
    )


def primaries_in_file(path: Path, repeats: int, ground_m: float) -> Primaries:
    """Read the gammas of a DL1 file, each ``repeats`` times, at the top of the air."""
    with tables.open_file(path) as file:
        shower = np.repeat(file.root.simulation.event.subarray.shower.read(), repeats)
    alt, az = np.radians(shower["true_alt"]), np.radians(shower["true_az"])
    towards = unit_vectors(alt, az)
    core = np.stack([shower["true_core_x"], shower["true_core_y"]], axis=1).astype(float)
    position = np.column_stack([core, np.full(len(core), ground_m)])
    position += towards * ((TOP_M - ground_m) / towards[:, 2:])
    energy = 1000.0 * shower["true_energy"].astype(float)
    return Primaries(Particles(np.arange(len(shower)), energy, -towards, position), alt, az, core)


def simulate_again(path: Path, repeats: int, seed: int = 1) -> pd.DataFrame:
    """:func:`image_parameters` of the gammas of a DL1 file, seen by the same telescopes.

    Energies, directions and cores are the file's; the development in the air is ours.
    """
    subarray = read_subarray(path)
    with tables.open_file(path) as file:
        alt = file.root.configuration.simulation.run[0]["max_alt"]
    observatory = Observatory(SimulationOptions(zenith_deg=90 - np.degrees(alt)), subarray)
    primaries = primaries_in_file(path, repeats, observatory.ground_m)
    events = observatory.observe(np.random.default_rng(seed), primaries, 1)
    return image_parameters(events, subarray)


def simulate_images(
    options: SimulationOptions, subarray: SubarrayDescription, cleaning: dict | None = None
) -> pd.DataFrame:
    """:func:`image_parameters` of a run of ``n_showers``."""
    batches = throw_showers(options, subarray)
    events = (event for batch in batches for event in batch.events)
    return image_parameters(events, subarray, cleaning)


def medians_by_intensity(images: pd.DataFrame) -> pd.DataFrame:
    """Compute number and median ``length`` and ``width`` in each of :data:`INTENSITY_EDGES`."""
    bins = pd.cut(images["intensity"], INTENSITY_EDGES)
    grouped = images.groupby(bins, observed=False)
    medians = grouped[["length", "width"]].median()
    medians.insert(0, "n", grouped.size())
    return medians


def broken_share(images: pd.DataFrame, min_intensity: float = 50.0) -> float:
    """Share of the images above ``min_intensity`` [p.e.] with more than one island."""
    bright = images[images["intensity"] > min_intensity]
    return float((bright["n_islands"] > 1).mean())
