"""Electrons in electromagnetic cascades: how many, how fast, how spread; and their light."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import gammaincinv
from scipy.stats import qmc

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere

ELECTRON_MASS_MEV = 0.511
#: Radiation length [g/cm2] and critical energy [MeV] of air (PDG, "Atomic and nuclear properties").
RADIATION_LENGTH = 36.66
CRITICAL_ENERGY_MEV = 81.0
#: Mean ionisation loss [MeV per g/cm2] of the charged particles of a cascade
#: (Matthews et al. 2010, J. Phys. G 37, 025202).
IONISATION_LOSS_MEV = 2.19

#: Multiple scattering energy [MeV] in Hillas' definition of w.
SCATTERING_ENERGY_MEV = 21.0
#: r.m.s. lateral distance over (radiation length x r.m.s. angle), and correlation of distance and
#: angle, for cascade electrons of one energy at the maximum: 1.1 and 0.6 in approximation A
#: (Nishimura 1967, Handbuch der Physik 46/2, 1), less with ionisation loss.
LATERAL_SCALE, LATERAL_CORRELATION = 0.75, 0.6

_AGES = np.linspace(0.2, 1.8, 9)
_N_ANGLES, _MAX_ANGLE = 64, 0.25
_N_POINTS, _N_SAMPLES = 512, 96
_MAX_ENERGY_MEV = 1e5


def energy_fraction(energy_mev: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Share of the track length of electrons above ``energy_mev`` at shower ``age``.

    Hillas 1982, J. Phys. G 8, 1461, equation 1.
    """
    e0 = np.where(age < 0.4, 26.0, 44.0 - 17.0 * (age - 1.46) ** 2)
    power = ((0.89 * e0 - 1.2) / (e0 + energy_mev)) ** age
    return power / (1 + 1e-4 * age * energy_mev) ** 2


def threshold_mev(height: np.ndarray) -> np.ndarray:
    """Energy [MeV] above which electrons give Cherenkov light at ``height`` [m]."""
    return ELECTRON_MASS_MEV / standard_atmosphere().cherenkov_angle(height)


def mean_square_angle(energy_mev: np.ndarray) -> np.ndarray:
    """Mean square angle [rad2] of electrons to the shower axis (Hillas 1982, equation 2)."""
    v = energy_mev / 350.0
    mean_w = 0.0054 * energy_mev * (1 + v) / (1 + 13 * v + 8.3 * v**2)
    return mean_w * (SCATTERING_ENERGY_MEV / energy_mev) ** 2


def angular_density(angle: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """Electrons per steradian at ``angle`` [rad] to the axis, of total 1.

    Hillas 1982, equation 3: exp(-(z - 0.59) / a) in z = angle over its r.m.s. value, with
    a = 0.478 below 0.59 and 0.380 above; his 0.777 normalises the distribution of z squared.
    """
    z = angle / np.sqrt(mean_square)
    shape = 0.777 * np.exp(-(z - 0.59) / np.where(z < 0.59, 0.478, 0.380))
    return shape / (np.pi * mean_square)


def greisen_electrons(t: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Relative number of electrons after ``t`` radiation lengths, maximum at ``beta``.

    Greisen 1956, Prog. Cosmic Ray Phys. 3, 1: exp(t (1 - 1.5 ln s)) with the age
    s = 3 t / (t + 2 beta), divided by its value at the maximum, exp(beta).
    """
    age = shower_age(t, beta)
    return np.exp(t * (1 - 1.5 * np.log(np.maximum(age, 1e-9))) - beta)


def shower_age(t: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Age of a cascade after ``t`` of the ``beta`` radiation lengths to its maximum."""
    return 3 * t / (t + 2 * beta)


@lru_cache(maxsize=1)
def _greisen_integrals() -> tuple[np.ndarray, np.ndarray]:
    """Maxima and integrals over t of :func:`greisen_electrons`."""
    betas = np.linspace(0.5, 25.0, 200)
    t = np.linspace(0.005, 120.0, 6000)
    return betas, np.trapezoid(greisen_electrons(t, betas[:, None]), t, axis=1)


def electrons_at(t: np.ndarray, beta: np.ndarray, energy_gev: np.ndarray) -> np.ndarray:
    """Number of electrons after ``t`` radiation lengths of a cascade of ``energy_gev``.

    Greisen's shape, scaled so that ionisation along all tracks takes up the whole energy.
    """
    # Tabulated: the integral has no closed form.
    integral = np.interp(beta, *_greisen_integrals()) * RADIATION_LENGTH
    at_maximum = 1000.0 * energy_gev / (IONISATION_LOSS_MEV * integral)
    return at_maximum * greisen_electrons(t, beta)


@dataclass(frozen=True)
class LightTable:
    """Cherenkov light of cascade electrons towards a telescope, tabulated.

    Axes: shower age, height of emission, angle at the telescope's position between the shower
    axis at that height and the telescope (square-root spaced).

    Attributes
    ----------
    log_density : numpy.ndarray
        Natural logarithm of (photons per steradian and electron) x sin2 of the Cherenkov angle.
    offsets : numpy.ndarray
        Equally likely places of emission [m] relative to the axis, (towards, across), ``float32``.
    heights : numpy.ndarray
        Heights [m] of the second axis, equally spaced.
    """

    log_density: np.ndarray
    offsets: np.ndarray
    heights: np.ndarray

    def coordinates(self, age: np.ndarray, height: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Fractional indices, shape (3, n), clipped to the table."""
        step = self.heights[1] - self.heights[0]
        raw = np.stack(
            [
                (age - _AGES[0]) / (_AGES[1] - _AGES[0]),
                (height - self.heights[0]) / step,
                np.sqrt(angle / _MAX_ANGLE) * (_N_ANGLES - 1),
            ]
        )
        ends = np.array(self.log_density.shape)[:, None] - 1.0
        return np.clip(raw, 0.0, ends)

    def photons_per_sr(self, age: np.ndarray, height: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Share per steradian times sin2 of the Cherenkov angle, for each electron."""
        at = self.coordinates(age, height, angle)
        return np.exp(map_coordinates(self.log_density, at, order=1, mode="nearest"))

    def draw_offsets(
        self, rng: np.random.Generator, age: np.ndarray, height: np.ndarray, angle: np.ndarray
    ) -> np.ndarray:
        """Random places of emission [m] relative to the axis, shape (n, 2).

        The cell is drawn among the neighbours by distance, so that means are interpolated.
        """
        at = self.coordinates(age, height, angle)
        cell = np.minimum(
            (at + rng.random(at.shape)).astype(np.int64),
            np.array(self.log_density.shape)[:, None] - 1,
        )
        # The table holds one side of the plane of axis and telescope; the other is its mirror.
        drawn = self.offsets[*cell, rng.integers(_N_SAMPLES, size=at.shape[1])]
        drawn[:, 1] *= rng.integers(2, size=at.shape[1]) * 2 - 1
        return drawn


def light_weights(
    energy_mev: np.ndarray, height: float, path_m: float, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (angle, point) of emission towards the telescope and the offsets [m] (.., 2).

    An electron of direction e at offset r = A e + residual sends light along e + cone; it reaches
    the telescope seen under the angle a from the axis if e + cone + r / path = a: the direction
    e follows from a, a point of the cone and a residual, and is weighted with Hillas' density.
    """
    atmosphere = standard_atmosphere()
    mean_square = mean_square_angle(energy_mev)
    length = RADIATION_LENGTH * LATERAL_SCALE / atmosphere.density(height) / 100.0
    along, rest = LATERAL_CORRELATION, np.sqrt(1 - LATERAL_CORRELATION**2)
    cone = atmosphere.cherenkov_angle(height)
    cone *= np.sqrt(1 - (threshold_mev(height) / energy_mev) ** 2)
    residual = rest * length * np.sqrt(mean_square / 2)[:, None] * points[:, 1:]
    psi = 2 * np.pi * points[:, 0]
    shift = cone[:, None] * np.stack([np.cos(psi), np.sin(psi)], axis=1) + residual / path_m
    stretch = 1 + along * length / path_m
    angles = _MAX_ANGLE * np.linspace(0, 1, _N_ANGLES) ** 2
    seen = np.stack([angles, np.zeros_like(angles)], axis=1)
    electron = (seen[:, None, :] - shift[None]) / stretch
    density = angular_density(np.hypot(electron[..., 0], electron[..., 1]), mean_square)
    weights = density / stretch**2 * cone**2
    return weights, along * length * electron + residual


@lru_cache(maxsize=4)
def light_table(ground_m: float, zenith_deg: float) -> LightTable:
    """Make the table for telescopes at ``ground_m`` above sea level and showers at ``zenith_deg``.

    Integrates numerically (512 quasi-random points a cell) over electron energy, direction,
    lateral distance and the azimuth on the Cherenkov cone.
    """
    rng = np.random.default_rng(20)
    heights = ground_m + np.linspace(500.0, 24_500.0, 17)
    cube = qmc.Sobol(4, seed=20).random(_N_POINTS)
    # Like Hillas' angles, lateral distances fall exponentially: a bright core, long tails.
    radius = gammaincinv(2, cube[:, 1]) / np.sqrt(3)
    residual = radius * np.array([np.cos(2 * np.pi * cube[:, 2]), np.sin(2 * np.pi * cube[:, 2])])
    points = np.column_stack([cube[:, 0], residual.T])
    shape = (_AGES.size, heights.size, _N_ANGLES)
    density, offsets = np.empty(shape), np.empty((*shape, _N_SAMPLES, 2), dtype=np.float32)
    for j, height in enumerate(heights):
        threshold = threshold_mev(height)
        path = (height - ground_m) / np.cos(np.radians(zenith_deg))
        for i, age in enumerate(_AGES):
            # Energies above threshold by inverse cumulation.
            grid = np.geomspace(threshold * 1.001, _MAX_ENERGY_MEV, 400)
            above = energy_fraction(grid, np.asarray(age))
            energy = np.interp(-cube[:, 3] * above[0], -above, grid)
            weights, places = light_weights(energy, height, path, points)
            density[i, j] = float(above[0]) * weights.mean(axis=1)
            # Places drawn by weight, systematically: one random number shifts all steps.
            steps = (np.arange(_N_SAMPLES) + rng.random()) / _N_SAMPLES
            cumulated = np.cumsum(weights, axis=1)
            picked = [np.searchsorted(row, steps * row[-1]) for row in cumulated]
            picked = np.minimum(picked, weights.shape[1] - 1)
            offsets[i, j] = np.take_along_axis(places, picked[..., None], axis=1)
    return LightTable(np.log(np.maximum(density, 1e-30)), offsets, heights)
