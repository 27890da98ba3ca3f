"""Batches of showers, thrown, developed, seen, triggered; and windows without a shower."""

from collections.abc import Iterator
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from ctapipe.instrument import SubarrayDescription

from cherenkov_mlops.simulation.atmosphere import TOP_M
from cherenkov_mlops.simulation.electrons import light_table
from cherenkov_mlops.simulation.hadrons import develop_hadrons
from cherenkov_mlops.simulation.images import Image, Images, Readout, expose
from cherenkov_mlops.simulation.instrument import Camera
from cherenkov_mlops.simulation.light import LightModel, PhotoElectrons, View, join_light
from cherenkov_mlops.simulation.muons import draw_muon_light, hit_by_muons
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.showers import (
    Cascades,
    Particles,
    Primaries,
    cut_segments,
    depths_of_maximum,
    draw_primaries,
    impact_distances,
    pointing_axes,
    start_cascades,
)

BATCH_SIZE = 64
NOT_KNOWN = float("nan")
#: Photo-electrons in the field of view below which an image cannot trigger.
MIN_PHOTO_ELECTRONS = 18.0
#: Segments of a cascade for the first look and for the image; a photon's of a proton needs fewer.
N_PIECES_FIRST, N_PIECES = 6, {"gamma": 24, "proton": 12}


@dataclass(frozen=True)
class Truth:
    """What is true of one thrown shower.

    Attributes
    ----------
    energy_tev, alt, az, core_x, core_y, h_first_int, x_max : float
        Energy [TeV], direction [rad], core [m], height of the first interaction [m], slant depth
        of the maximum [g/cm2].
    """

    energy_tev: float
    alt: float
    az: float
    core_x: float
    core_y: float
    h_first_int: float
    x_max: float


@dataclass(frozen=True)
class Event:
    """One triggered shower.

    Attributes
    ----------
    number : int
        Which thrown shower, from 1.
    truth : Truth
        The shower.
    tel_ids : list of int
        Triggered telescopes.
    images : list of Image
        One for each of them.
    impact_m : list of float
        Their distances from the shower axis [m].
    """

    number: int
    truth: Truth
    tel_ids: list[int]
    images: list[Image]
    impact_m: list[float]


@dataclass(frozen=True)
class Batch:
    """Showers thrown together.

    Attributes
    ----------
    primaries : Primaries
        All of them.
    first_number : int
        Number of the first one; the others follow.
    events : list of Event
        The triggered ones.
    """

    primaries: Primaries
    first_number: int
    events: list[Event]

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of all showers."""
        return self.first_number + np.arange(len(self.primaries.particles))


@dataclass(frozen=True)
class Exposed:
    """All images of a batch in the telescopes of one view.

    Attributes
    ----------
    model : LightModel
        The view and its light.
    row : numpy.ndarray
        Row of each pair (shower, telescope) in ``images``, -1 without.
    images : Images
        Triggered or not.
    """

    model: LightModel
    row: np.ndarray
    images: Images


@dataclass(frozen=True)
class Developed:
    """Showers of a batch after their development in the air.

    Attributes
    ----------
    cascades : Cascades
        Electromagnetic cascades of all showers.
    muons : Particles
        Muons where they come into being.
    first : Particles
        Primaries at their first interaction.
    """

    cascades: Cascades
    muons: Particles
    first: Particles


def develop(
    rng: np.random.Generator, particle: str, primaries: Particles, ground_m: float
) -> Developed:
    """Cascades and muons of ``primaries`` of one kind (``gamma`` or ``proton``)."""
    if particle == "gamma":
        cascades = start_cascades(rng, primaries)
        return Developed(cascades, primaries.select(slice(0, 0)), cascades.start)
    shower = develop_hadrons(rng, primaries, ground_m)
    return Developed(start_cascades(rng, shower.photons), shower.muons, shower.first)


def _add_up(shower: np.ndarray, expected: np.ndarray, n_showers: int) -> np.ndarray:
    """Photo-electrons of each shower in each telescope, shape (n_showers, m)."""
    columns = [np.bincount(shower, column, minlength=n_showers) for column in expected.T]
    return np.stack(columns, axis=1)


class Observatory:
    """An array of telescopes that throws showers at itself.

    Parameters
    ----------
    options : SimulationOptions
        What to throw.
    subarray : ctapipe.instrument.SubarrayDescription
        The telescopes.
    """

    def __init__(self, options: SimulationOptions, subarray: SubarrayDescription):
        self.options = options
        self.ground_m = subarray.reference_location.geodetic.height.to_value(u.m)
        axes = pointing_axes(*np.radians([90 - options.zenith_deg, options.azimuth_deg]))
        # Table heights of a metre and less would rebuild the table for nothing.
        table = light_table(round(self.ground_m, -1), options.zenith_deg)
        self.models, self.readouts = [], []
        for kind in subarray.telescope_types:
            tel_ids = np.array(subarray.get_tel_ids_for_type(kind))
            positions = np.array([subarray.positions[i].to_value(u.m) for i in tel_ids])
            view = View(tel_ids, positions + [0, 0, self.ground_m], axes, Camera(kind))
            self.models.append(LightModel(view, table, self.ground_m, options.zenith_deg))
            self.readouts.append(Readout(kind.camera.readout) if options.waveforms else None)

    def throw(self, rng: np.random.Generator, n: int, first_number: int) -> Batch:
        """``n`` showers, numbered from ``first_number`` on."""
        primaries = draw_primaries(rng, self.options, n, self.ground_m, TOP_M)
        return Batch(primaries, first_number, self.observe(rng, primaries, first_number))

    def observe(
        self, rng: np.random.Generator, primaries: Primaries, first_number: int
    ) -> list[Event]:
        """Triggered ones of ``primaries``, numbered from ``first_number`` on."""
        showers = develop(rng, self.options.particle, primaries.particles, self.ground_m)
        seen = [
            self.expose(rng, model, readout, primaries, showers)
            for model, readout in zip(self.models, self.readouts, strict=True)
        ]
        triggered = np.flatnonzero(np.any([found.any(axis=1) for found, _ in seen], axis=0))
        # Depths of the maximum take long: only for the showers that are written.
        chosen = np.isin(showers.cascades.start.shower, triggered)
        n = len(primaries.particles)
        truths = (
            primaries.particles.energy / 1000,
            primaries.alt,
            primaries.az,
            *primaries.core.T,
            showers.first.position[:, 2],
            depths_of_maximum(showers.cascades.select(chosen), n),
        )
        events = []
        for i in map(int, triggered):
            truth = Truth(*(float(column[i]) for column in truths))
            event = Event(first_number + i, truth, [], [], [])
            for found, exposed in seen:
                tels = np.flatnonzero(found[i])
                view = exposed.model.view
                event.tel_ids.extend(view.tel_ids[tels].tolist())
                event.images.extend(exposed.images.row(exposed.row[i, tel]) for tel in tels)
                event.impact_m.extend(impact_distances(primaries, i, view.positions[tels]))
            events.append(event)
        return events

    def expose(
        self,
        rng: np.random.Generator,
        model: LightModel,
        readout: Readout | None,
        primaries: Primaries,
        showers: Developed,
    ) -> tuple[np.ndarray, Exposed]:
        """Which pairs (shower, telescope) triggered, and all images taken."""
        n = len(primaries.particles)
        # A rough look first: few showers are worth a closer one.
        rough = cut_segments(showers.cascades, N_PIECES_FIRST, self.ground_m)
        light = _add_up(rough.shower, model.expected(rough), n)
        hopeful = light.max(axis=1) > 0.4 * MIN_PHOTO_ELECTRONS
        cascades = showers.cascades.select(hopeful[showers.cascades.start.shower])
        segments = cut_segments(cascades, N_PIECES[self.options.particle], self.ground_m)
        expected = model.expected(segments)
        wanted = _add_up(segments.shower, expected, n) > MIN_PHOTO_ELECTRONS
        # A muon close by may trigger a telescope that sees nothing else of the shower.
        wanted |= hit_by_muons(model, showers.muons, n)
        # Images are made for wanted pairs only, one row each: most telescopes see nothing.
        row = np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1, -1)
        # The front of the shower flies as the primary did: times count from it.
        front = primaries.particles.direction
        light = join_light(
            [
                model.draw(rng, segments, expected, row, front),
                draw_muon_light(rng, model, showers.muons, row, front),
            ]
        )
        images = expose(rng, model.view.camera, light, int(wanted.sum()), readout)
        found = np.zeros_like(wanted)
        found[wanted] = images.triggered
        return found, Exposed(model, row, images)


def throw_showers(options: SimulationOptions, subarray: SubarrayDescription) -> Iterator[Batch]:
    """Throw batches of showers, up to ``n_showers`` of the options, else without end."""
    observatory = Observatory(options, subarray)
    for rng, n, first_number in batch_sizes(options):
        yield observatory.throw(rng, n, first_number)


def open_windows(options: SimulationOptions, subarray: SubarrayDescription) -> Iterator[Batch]:
    """Expose windows with night-sky light and noise alone, of every telescope an event.

    Events come from the direction of the pointing; energy, core and heights are not known.
    """
    observatory = Observatory(options, subarray)
    no_light = PhotoElectrons(*(np.empty(0, dtype=kind) for kind in (int, int, float)))
    pointing = np.radians([90 - options.zenith_deg, options.azimuth_deg])
    truth = Truth(NOT_KNOWN, *pointing, *4 * [NOT_KNOWN])
    for rng, n, first_number in batch_sizes(options):
        # Only their number counts.
        primaries = draw_primaries(rng, options, n, observatory.ground_m, TOP_M)
        events = [Event(first_number + i, truth, [], [], []) for i in range(n)]
        for model, readout in zip(observatory.models, observatory.readouts, strict=True):
            tel_ids = model.view.tel_ids.tolist()
            images = expose(rng, model.view.camera, no_light, n * len(tel_ids), readout)
            for i, event in enumerate(events):
                event.tel_ids.extend(tel_ids)
                event.images.extend(images.row(i * len(tel_ids) + k) for k in range(len(tel_ids)))
                event.impact_m.extend([NOT_KNOWN] * len(tel_ids))
        yield Batch(primaries, first_number, events)


def batch_sizes(options: SimulationOptions) -> Iterator[tuple[np.random.Generator, int, int]]:
    """Yield generator, size and first number of each batch.

    Every batch has a generator of its own, so that events do not depend on where one stops.
    """
    last = options.n_showers if options.n_showers is not None else 2**62
    for thrown in range(0, last, BATCH_SIZE):
        rng = np.random.default_rng([options.seed, options.primary_id % 2**16, thrown])
        yield rng, min(BATCH_SIZE, last - thrown), thrown + 1
