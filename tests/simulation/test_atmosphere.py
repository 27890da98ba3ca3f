"""Density, depth, refraction and transmission of the air."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere, transmission

AIR = standard_atmosphere()


def test_depth_at_sea_level_is_that_of_the_us_standard():
    assert AIR.depth(np.array(0.0)) == pytest.approx(1036.1, abs=0.2)


@pytest.mark.parametrize("height", [0.0, 511.0, 2150.0, 12_345.0, 39_000.0])
def test_height_inverts_depth(height):
    assert AIR.height(AIR.depth(np.array(height))) == pytest.approx(height, abs=3)


def test_density_is_the_slope_of_depth():
    heights = np.array([1000.0, 8000.0, 20_000.0])
    slope = (AIR.depth(heights - 50) - AIR.depth(heights + 50)) / 100 / 100
    np.testing.assert_allclose(AIR.density(heights), slope, rtol=5e-3)


def test_cherenkov_angle_grows_downward():
    angles = np.degrees(AIR.cherenkov_angle(np.array([0.0, 10_000.0])))
    np.testing.assert_allclose(angles, [1.36, 0.79], atol=0.02)


def test_mean_refractivity_lies_between_its_ends():
    mean = AIR.mean_refractivity(np.array(9000.0), np.array(2000.0))
    assert AIR.refractivity(np.array(9000.0)) < mean < AIR.refractivity(np.array(2000.0))


def test_transmission_falls_with_distance_and_zenith_angle():
    wavelengths, weights = np.array([350.0, 450.0]), np.ones(2)
    heights = np.array([1000.0, 5000.0, 15_000.0])
    overhead = transmission(AIR, heights, 500.0, 1.0, wavelengths, weights)
    slanted = transmission(AIR, heights, 500.0, 0.5, wavelengths, weights)
    assert np.all(np.diff(overhead) < 0)
    assert np.all(slanted < overhead)
    assert 0.5 < overhead[-1] < 0.85


def test_short_wavelengths_are_scattered_most():
    one = np.ones(1)
    blue = transmission(AIR, np.array([1e4]), 0.0, 1.0, np.array([300.0]), one)
    red = transmission(AIR, np.array([1e4]), 0.0, 1.0, np.array([550.0]), one)
    assert blue < red
