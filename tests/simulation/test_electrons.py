"""Electrons of cascades and the light they give."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere
from cherenkov_mlops.simulation.electrons import (
    IONISATION_LOSS_MEV,
    RADIATION_LENGTH,
    angular_density,
    electrons_at,
    energy_fraction,
    greisen_electrons,
    light_table,
    mean_square_angle,
    shower_age,
)

ZENITH_DEG, GROUND_M = 20.0, 500.0


@pytest.fixture(scope="module")
def table():
    return light_table(GROUND_M, ZENITH_DEG)


def test_angles_are_normalised():
    mean_square = mean_square_angle(np.array(300.0))
    angle = np.linspace(0, 30 * np.sqrt(mean_square), 20_000)
    total = np.trapezoid(2 * np.pi * angle * angular_density(angle, mean_square), angle)
    assert total == pytest.approx(1, abs=0.01)


def test_fast_electrons_fly_straighter():
    angles = np.degrees(np.sqrt(mean_square_angle(np.array([50.0, 500.0, 5000.0]))))
    assert np.all(np.diff(angles) < 0)
    np.testing.assert_allclose(angles[1], 1.0, atol=0.3)


@pytest.mark.parametrize("age", [0.3, 1.0, 1.6])
def test_energy_fraction_falls_from_one(age):
    fraction = energy_fraction(np.geomspace(0.1, 1e4, 50), np.asarray(age))
    assert np.all(np.diff(fraction) < 0)
    assert fraction[0] == pytest.approx(1, abs=0.25)


def test_old_showers_are_softer():
    above_gev = energy_fraction(np.array(1000.0), np.array([0.5, 1.0, 1.5]))
    assert np.all(np.diff(above_gev) < 0)


def test_greisen_has_its_maximum_at_beta_and_age_one():
    t = np.linspace(0.1, 40, 4000)
    at = t[greisen_electrons(t, np.array(9.0)).argmax()]
    assert at == pytest.approx(9.0, abs=0.02)
    assert shower_age(9.0, 9.0) == 1.0


@pytest.mark.parametrize("energy_gev", [10.0, 1000.0, 50_000.0])
def test_ionisation_takes_up_the_energy(energy_gev):
    t = np.linspace(0.01, 100, 20_000)
    tracks = np.trapezoid(electrons_at(t, np.array(8.0), energy_gev), t * RADIATION_LENGTH)
    assert tracks * IONISATION_LOSS_MEV == pytest.approx(1000 * energy_gev, rel=0.01)


@pytest.mark.parametrize("height", [6000.0, 10_000.0])
def test_light_peaks_at_the_cherenkov_angle(table, height):
    angle = np.linspace(0, 0.06, 300)
    flat = np.ones_like(angle)
    density = table.photons_per_sr(flat, height * flat, angle)
    cone = standard_atmosphere().cherenkov_angle(np.array(height))
    assert angle[density.argmax()] == pytest.approx(cone, abs=0.004)
    assert density[-1] < 0.3 * density[0]


def test_all_light_is_somewhere(table):
    """Integrated over angles, the table gives the light of the electrons above threshold."""
    angle, height = np.linspace(0, 0.25, 800), 8000.0
    flat = np.ones_like(angle)
    density = table.photons_per_sr(flat, height * flat, angle)
    total = np.trapezoid(2 * np.pi * angle * density, angle)
    cone = standard_atmosphere().cherenkov_angle(np.array(height))
    share = energy_fraction(0.511 / cone, np.array(1.0))
    assert 0.6 * share < total / cone**2 < share


def test_light_far_from_the_axis_comes_from_displaced_electrons(table):
    rng, n = np.random.default_rng(1), 4000
    flat = np.ones(n)
    near = table.draw_offsets(rng, flat, 8000 * flat, 0.01 * flat)
    far = table.draw_offsets(rng, flat, 8000 * flat, 0.08 * flat)
    assert far[:, 0].mean() > near[:, 0].mean() + 5
    assert abs(far[:, 1].mean()) < 3
    assert 3 < near.std() < 60
