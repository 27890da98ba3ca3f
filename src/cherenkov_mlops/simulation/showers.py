"""Primaries and the electromagnetic cascades that they start."""

from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere
from cherenkov_mlops.simulation.electrons import (
    CRITICAL_ENERGY_MEV,
    RADIATION_LENGTH,
    electrons_at,
    shower_age,
)
from cherenkov_mlops.simulation.options import SimulationOptions

#: Mean depth [g/cm2] to pair production: 9/7 radiation lengths (PDG, "Passage of particles").
CONVERSION_LENGTH = 9 / 7 * RADIATION_LENGTH
#: Spread of the depth of maximum after the first interaction, in radiation lengths: what a toy
#: cascade of the first few generations gives (compare Heck and Pierog on CORSIKA's gammas).
BETA_SPREAD = 0.8


@dataclass(frozen=True)
class Particles:
    """Particles in the air, one row each; rows of several showers lie side by side.

    Attributes
    ----------
    shower : numpy.ndarray
        Row of the primary.
    energy : numpy.ndarray
        Energy [GeV].
    direction : numpy.ndarray
        Unit vector of flight, shape (n, 3), downward; x to north, y to west, z up.
    position : numpy.ndarray
        Where it starts [m], shape (n, 3); z above sea level.
    """

    shower: np.ndarray
    energy: np.ndarray
    direction: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.energy)

    def select(self, rows: np.ndarray) -> "Particles":
        """Only the given rows (mask or indices)."""
        return Particles(*(getattr(self, field.name)[rows] for field in fields(self)))

    def advanced(self, depth: np.ndarray) -> "Particles":
        """Move all by ``depth`` [g/cm2] along their way."""
        atmosphere = standard_atmosphere()
        start = atmosphere.depth(self.position[:, 2])
        cosine = -self.direction[:, 2]
        height = atmosphere.height(start + depth * cosine)
        return self.moved((self.position[:, 2] - height) / cosine)

    def moved(self, distance: np.ndarray) -> "Particles":
        """Move all by ``distance`` [m] on their way."""
        position = self.position + self.direction * distance[:, None]
        return Particles(self.shower, self.energy, self.direction, position)


def join(parts: list[Particles]) -> Particles:
    """All rows of several sets of particles."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Particles))
    return Particles(*(np.concatenate(column) for column in columns))


def unit_vectors(alt: np.ndarray, az: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) towards ``alt``, ``az`` [rad]: x to north, y to west, z up."""
    return np.stack([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)], axis=-1)


def pointing_axes(alt: float, az: float) -> np.ndarray:
    """Rows: unit vectors of the pointing, of growing altitude and of growing azimuth [rad]."""
    up = [-np.sin(alt) * np.cos(az), np.sin(alt) * np.sin(az), np.cos(alt)]
    return np.array([unit_vectors(np.array(alt), np.array(az)), up, [-np.sin(az), -np.cos(az), 0]])


def tilted(direction: np.ndarray, angle: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3), each turned away by ``angle`` [rad] at ``azimuth`` [rad] around it."""
    # Any vector that is not nearly parallel gives a perpendicular one.
    helper = np.where(np.abs(direction[:, 2:]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    first = np.cross(direction, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(direction, first)
    across = first * np.cos(azimuth)[:, None] + second * np.sin(azimuth)[:, None]
    return direction * np.cos(angle)[:, None] + across * np.sin(angle)[:, None]


@dataclass(frozen=True)
class Primaries:
    """Thrown primaries, one row each.

    Attributes
    ----------
    particles : Particles
        At the top of the atmosphere.
    alt, az : numpy.ndarray
        Where they come from [rad].
    core : numpy.ndarray
        Where the straight line meets the ground [m], shape (n, 2).
    """

    particles: Particles
    alt: np.ndarray
    az: np.ndarray
    core: np.ndarray


def draw_energies(rng: np.random.Generator, options: SimulationOptions, n: int) -> np.ndarray:
    """``n`` energies [TeV] from the power law of the options, by inverse cumulation."""
    low, high = options.energy_min_tev, options.energy_max_tev
    power, quantile = options.spectral_index + 1, rng.random(n)
    # E^-1 integrates to a logarithm.
    if abs(power) < 1e-9:
        return low * (high / low) ** quantile
    return (low**power + quantile * (high**power - low**power)) ** (1 / power)


def draw_directions(rng: np.random.Generator, options: SimulationOptions, n: int) -> np.ndarray:
    """``n`` unit vectors (n, 3) towards the origin: a point, or uniform in the cone."""
    axes = pointing_axes(*np.radians([90 - options.zenith_deg, options.azimuth_deg]))
    if options.viewcone_deg > 0:
        # Uniform in solid angle.
        cosine = rng.uniform(np.cos(np.radians(options.viewcone_deg)), 1, n)
        angle, turn = np.arccos(cosine), rng.uniform(0, 2 * np.pi, n)
    else:
        angle, turn = np.full(n, np.radians(options.offset_deg)), np.zeros(n)
    local = [np.cos(angle), np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn)]
    return np.stack(local, axis=1) @ axes


def draw_primaries(
    rng: np.random.Generator, options: SimulationOptions, n: int, ground_m: float, top_m: float
) -> Primaries:
    """``n`` primaries on their way to cores on a disk at ``ground_m``, from height ``top_m``."""
    origin = draw_directions(rng, options, n)
    energy = draw_energies(rng, options, n)
    # The root makes cores uniform on the disk, which lies flat whatever the zenith angle.
    radius = options.scatter_radius_m * np.sqrt(rng.random(n))
    angle = rng.uniform(0, 2 * np.pi, n)
    core = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    way = (top_m - ground_m) / origin[:, 2]
    position = np.column_stack([core, np.full(n, ground_m)]) + origin * way[:, None]
    return Primaries(
        Particles(np.arange(n), 1000 * energy, -origin, position),
        np.arcsin(origin[:, 2]),
        np.arctan2(-origin[:, 1], origin[:, 0]) % (2 * np.pi),
        core,
    )


def impact_distances(primaries: Primaries, row: int, positions: np.ndarray) -> list[float]:
    """Distances [m] of ``positions`` (n, 3) from the axis of one primary."""
    particles = primaries.particles
    line = positions - particles.position[row]
    return np.linalg.norm(np.cross(line, particles.direction[row]), axis=1).tolist()


@dataclass(frozen=True)
class Cascades:
    """Electromagnetic cascades, one row each, from their first pair production on.

    Attributes
    ----------
    start : Particles
        The photon where it converts.
    beta : numpy.ndarray
        Radiation lengths from there to the maximum.
    """

    start: Particles
    beta: np.ndarray

    def __len__(self) -> int:
        return len(self.beta)

    def select(self, rows: np.ndarray) -> "Cascades":
        """Only the given rows (mask or indices)."""
        return Cascades(self.start.select(rows), self.beta[rows])


def start_cascades(rng: np.random.Generator, photons: Particles) -> Cascades:
    """Cascades of ``photons``: exponential conversion depth, fluctuating depth of maximum.

    The mean depth of maximum counted from the photon's start is X0 (ln(E/Ec) - 1/2): the
    Heitler model (Matthews 2005, Astropart. Phys. 22, 387, equation 3), half a radiation length
    earlier, as CORSIKA's showers are.
    """
    start = photons.advanced(rng.exponential(CONVERSION_LENGTH, len(photons)))
    mean = np.log(1000 * start.energy / CRITICAL_ENERGY_MEV) - 1 / 2 - 9 / 7
    beta = mean + rng.normal(0, BETA_SPREAD, len(photons))
    return Cascades(start, np.clip(beta, 1.0, 25.0))


@dataclass(frozen=True)
class Segments:
    """Pieces of cascades, one row each, short enough to share age, height and electrons.

    Attributes
    ----------
    shower : numpy.ndarray
        Row of the primary.
    direction, position : numpy.ndarray
        Axis and middle [m], shape (n, 3).
    length : numpy.ndarray
        Length along the axis [m].
    age : numpy.ndarray
        Shower age.
    track : numpy.ndarray
        Sum of the lengths of all electron tracks in it [m].
    """

    shower: np.ndarray
    direction: np.ndarray
    position: np.ndarray
    length: np.ndarray
    age: np.ndarray
    track: np.ndarray

    def __len__(self) -> int:
        return len(self.shower)


def cut_segments(cascades: Cascades, n_pieces: int, ground_m: float) -> Segments:
    """``n_pieces`` segments of equal depth for each cascade, down to the ground at most."""
    atmosphere, start = standard_atmosphere(), cascades.start
    cosine = -start.direction[:, 2]
    depth_start = atmosphere.depth(start.position[:, 2])
    to_ground = (atmosphere.depth(ground_m + 300.0) - depth_start) / cosine / RADIATION_LENGTH
    # After 2.2 beta + 7 radiation lengths fewer than 2 % of the electrons of the maximum are left.
    end = np.clip(np.minimum(to_ground, 2.2 * cascades.beta + 7), 1e-3, None)
    edges = np.multiply.outer(end, np.linspace(0, 1, n_pieces + 1))
    height = atmosphere.height(depth_start[:, None] + edges * RADIATION_LENGTH * cosine[:, None])
    along = (start.position[:, 2:] - height) / cosine[:, None]
    middle, length = (along[:, 1:] + along[:, :-1]) / 2, np.diff(along, axis=1)
    t, beta = (edges[:, 1:] + edges[:, :-1]) / 2, cascades.beta[:, None]
    electrons = electrons_at(t, beta, start.energy[:, None]) * (to_ground > 0)[:, None]
    position = start.position[:, None] + start.direction[:, None] * middle[..., None]
    return Segments(
        np.repeat(start.shower, n_pieces),
        np.repeat(start.direction, n_pieces, axis=0),
        position.reshape(-1, 3),
        length.ravel(),
        shower_age(t, beta).ravel(),
        (electrons * length).ravel(),
    )


def depths_of_maximum(cascades: Cascades, n_showers: int) -> np.ndarray:
    """Slant depths [g/cm2] where the electrons of each shower's cascades are most; NaN without.

    On a grid of 15 g/cm2; shape (n_showers,).
    """
    start = cascades.start
    depth = standard_atmosphere().depth(start.position[:, 2]) / -start.direction[:, 2]
    grid = np.arange(7.5, 1100.0, 15.0)
    t = (grid - depth[:, None]) / RADIATION_LENGTH
    electrons = electrons_at(np.maximum(t, 1e-6), cascades.beta[:, None], start.energy[:, None])
    # A sparse matrix adds up the cascades of each shower.
    cells = (start.shower, np.arange(len(cascades)))
    owner = sparse.csr_array((np.ones(len(cascades)), cells), shape=(n_showers, len(cascades)))
    total = owner @ np.where(t > 0, electrons, 0.0)
    return np.where(total.any(axis=1), grid[total.argmax(axis=1)], np.nan)
