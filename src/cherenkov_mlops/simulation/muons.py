"""Cherenkov light of single muons close to a telescope: arcs and rings."""

import numpy as np

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere
from cherenkov_mlops.simulation.hadrons import muon_energy_at
from cherenkov_mlops.simulation.light import (
    LightModel,
    PhotoElectrons,
    photo_electrons_per_metre,
)
from cherenkov_mlops.simulation.showers import Particles

MUON_MASS_GEV = 0.10566
#: Muons further than this [m] from a telescope give less than a photo-electron.
MAX_DISTANCE_M = 80.0
#: Muons closer than this [m] can trigger a telescope without other light.
ALONE_DISTANCE_M = 12.0
_N_PARTS, _MIN_ANGLE = 48, 1e-3


def _distances(model: LightModel, muons: Particles) -> np.ndarray:
    """Least distance [m] of each muon's line to each telescope, shape (n, m); inf if it rises."""
    line = model.view.positions[None] - muons.position[:, None]
    along = np.einsum("nmi,ni->nm", line, muons.direction)
    across = np.linalg.norm(line - along[..., None] * muons.direction[:, None], axis=2)
    return np.where(along > 0, across, np.inf)


def hit_by_muons(model: LightModel, muons: Particles, n_showers: int) -> np.ndarray:
    """Pairs (shower, telescope) where a muon close enough for a trigger of its own passes."""
    close = _distances(model, muons) < ALONE_DISTANCE_M
    inside = -(muons.direction @ model.view.axes[0]) > np.cos(model.view.camera.radius_rad)
    pairs = np.zeros((n_showers, len(model.view.tel_ids)), dtype=bool)
    rows, tels = np.nonzero(close & inside[:, None])
    pairs[muons.shower[rows], tels] = True
    return pairs


def draw_muon_light(
    rng: np.random.Generator,
    model: LightModel,
    muons: Particles,
    image: np.ndarray,
    front: np.ndarray,
) -> PhotoElectrons:
    """Draw photo-electrons of ``muons`` in the wanted images.

    Light at the distance d from a straight track was emitted d / tan(theta) earlier and has the
    density yield / (2 pi d tan(theta)) (Vacanti et al. 1994, Astropart. Phys. 2, 1): followed
    for 48 parts of the mirror, this gives rings inside the mirror and arcs outside.

    Parameters
    ----------
    image : numpy.ndarray
        Row of the image of each pair (shower, telescope), -1 for those not wanted.
    front : numpy.ndarray
        Direction of flight of each shower's primary, shape (n, 3).
    """
    rows, tels = np.nonzero(_distances(model, muons) < MAX_DISTANCE_M)
    keep = image[muons.shower[rows], tels] >= 0
    track, tels = muons.select(rows[keep]), tels[keep]
    # Middles of equal parts of the mirror: Fibonacci's spiral covers a disk evenly.
    part = np.arange(_N_PARTS) + 0.5
    radius = model.view.camera.mirror_radius * np.sqrt(part / _N_PARTS)
    turn = np.pi * (1 + np.sqrt(5)) * part
    grid = np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1) @ model.view.axes[1:]
    spots = model.view.positions[tels][:, None] + grid[None]
    place, light = emission(model, track, spots)
    number = rng.poisson(light)
    pairs, parts = np.nonzero(number)
    repeat = number[pairs, parts]
    pairs, parts = np.repeat(pairs, repeat), np.repeat(parts, repeat)
    way = spots[pairs, parts] - place[pairs, parts]
    shower = track.shower[pairs]
    time = model.arrival_times(front[shower], place[pairs, parts], np.linalg.norm(way, axis=1))
    pixel = model.focus(rng, -way / np.linalg.norm(way, axis=1, keepdims=True))
    hit = pixel >= 0
    return PhotoElectrons(image[shower, tels[pairs]][hit], pixel[hit], time[hit])


def emission(
    model: LightModel, track: Particles, spots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where light for each spot (n, k, 3) is emitted (n, k, 3) [m], and photo-electrons (n, k)."""
    line = spots - track.position[:, None]
    along = np.einsum("nki,ni->nk", line, track.direction)
    across = line - along[..., None] * track.direction[:, None]
    distance = np.maximum(np.linalg.norm(across, axis=2), 0.02)
    # Two rounds of: angle from height (0 below threshold), height from distance over angle.
    atmosphere, down = standard_atmosphere(), track.direction[:, 2:]
    spot_height = track.position[:, 2:] + along * down
    height = spot_height
    for _ in range(2):
        energy = np.maximum(muon_energy_at(track, height), MUON_MASS_GEV)
        square = 2 * atmosphere.refractivity(height) - (MUON_MASS_GEV / energy) ** 2
        angle = np.sqrt(np.maximum(square, 0.0))
        height = spot_height - down * distance / np.maximum(angle, _MIN_ANGLE)
    earlier = along - distance / np.maximum(angle, _MIN_ANGLE)
    place = track.position[:, None] + track.direction[:, None] * earlier[..., None]
    light = photo_electrons_per_metre() * angle * model.view.camera.mirror_area / _N_PARTS
    light *= model.air(height) / (2 * np.pi * distance)
    return place, np.where((angle > _MIN_ANGLE) & (earlier > 0), light, 0.0)
