"""Readout windows without a shower: night-sky light and noise alone."""

from collections.abc import Iterator

import numpy as np
from ctapipe.instrument import SubarrayDescription

from cherenkov_mlops.simulation.atmosphere import TOP_M
from cherenkov_mlops.simulation.events import Batch, Event, Observatory, Truth, batch_sizes
from cherenkov_mlops.simulation.images import expose
from cherenkov_mlops.simulation.light import PhotoElectrons
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.showers import draw_primaries

NOT_KNOWN = float("nan")


def open_windows(options: SimulationOptions, subarray: SubarrayDescription) -> Iterator[Batch]:
    """Batches of events with a window of every telescope, up to ``n_showers`` of the options."""
    observatory = Observatory(options, subarray)
    for rng, n, first_number in batch_sizes(options):
        # Only their number counts.
        primaries = draw_primaries(rng, options, n, observatory.ground_m, TOP_M)
        yield Batch(primaries, first_number, _expose(observatory, rng, n, first_number))


def _expose(
    observatory: Observatory, rng: np.random.Generator, n: int, first_number: int
) -> list[Event]:
    no_light = PhotoElectrons(*(np.empty(0, dtype=kind) for kind in (int, int, float)))
    events = [_empty_event(observatory.options, first_number + i) for i in range(n)]
    for model, readout in zip(observatory.models, observatory.readouts, strict=True):
        tel_ids = model.view.tel_ids.tolist()
        images = expose(rng, model.view.camera, no_light, n * len(tel_ids), readout)
        for i, event in enumerate(events):
            event.tel_ids.extend(tel_ids)
            event.images.extend(images.row(i * len(tel_ids) + k) for k in range(len(tel_ids)))
            event.impact_m.extend([NOT_KNOWN] * len(tel_ids))
    return events


def _empty_event(options: SimulationOptions, number: int) -> Event:
    """An event from the direction of the pointing; energy, core and heights are not known."""
    pointing = np.radians([90 - options.zenith_deg, options.azimuth_deg])
    return Event(number, Truth(NOT_KNOWN, *pointing, *4 * [NOT_KNOWN]), [], [], [])
