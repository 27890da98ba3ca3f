"""Primaries, cascades and their segments."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import TelescopeFrame

from cherenkov_mlops.simulation.atmosphere import TOP_M, standard_atmosphere
from cherenkov_mlops.simulation.electrons import IONISATION_LOSS_MEV
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.showers import (
    CONVERSION_LENGTH,
    RADIATION_LENGTH,
    Particles,
    cut_segments,
    depths_of_maximum,
    draw_directions,
    draw_energies,
    draw_primaries,
    pointing_axes,
    start_cascades,
    tilted,
    unit_vectors,
)


def photons(energy_gev: float, n: int) -> Particles:
    """``n`` photons straight down."""
    down = np.tile([0.0, 0.0, -1.0], (n, 1))
    top = np.tile([0.0, 0.0, TOP_M], (n, 1))
    return Particles(np.arange(n), np.full(n, energy_gev), down, top)


@pytest.mark.parametrize("index", [-1.0, -2.0, -2.7])
def test_energies_follow_the_power_law(index):
    options = SimulationOptions(spectral_index=index, energy_min_tev=1, energy_max_tev=100)
    energy = draw_energies(np.random.default_rng(1), options, 40_000)
    assert energy.min() >= 1
    assert energy.max() <= 100
    counts, edges = np.histogram(energy, np.geomspace(1, 100, 9))
    slope = np.polyfit(np.log(edges[:-1]), np.log(counts / np.diff(edges)), 1)[0]
    assert slope == pytest.approx(index, abs=0.1)


def test_diffuse_directions_fill_the_cone_evenly():
    options = SimulationOptions(viewcone_deg=5.0, zenith_deg=30, azimuth_deg=120)
    towards = draw_directions(np.random.default_rng(2), options, 20_000)
    axis = unit_vectors(np.radians(60), np.radians(120))
    angle = np.degrees(np.arccos(towards @ axis))
    assert angle.max() <= 5.0001
    assert np.mean(angle < 2.5) == pytest.approx(0.25, abs=0.015)


def test_a_point_source_lies_at_its_offset_in_altitude():
    options = SimulationOptions(offset_deg=1.5, zenith_deg=20)
    towards = draw_directions(np.random.default_rng(2), options, 3)
    np.testing.assert_allclose(towards, np.tile(unit_vectors(np.radians(71.5), 0.0), (3, 1)))


def test_axes_are_those_of_the_telescope_frame():
    alt, az = np.radians(65), np.radians(200)
    pointing = SkyCoord(alt=alt * u.rad, az=az * u.rad, frame=AltAz())
    star = SkyCoord(alt=(alt + 0.01) * u.rad, az=(az + 0.03) * u.rad, frame=AltAz())
    seen = star.transform_to(TelescopeFrame(telescope_pointing=pointing))
    axes = pointing_axes(alt, az)
    along, up, right = axes @ unit_vectors(np.array(alt + 0.01), np.array(az + 0.03))
    assert np.arctan2(right, along) == pytest.approx(seen.fov_lon.rad, abs=1e-9)
    assert np.arcsin(up) == pytest.approx(seen.fov_lat.rad, abs=1e-9)


def test_tilting_keeps_the_angle_and_the_length():
    rng = np.random.default_rng(3)
    direction = rng.normal(size=(50, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    turned = tilted(direction, np.full(50, 0.2), rng.uniform(0, 6.28, 50))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1)
    np.testing.assert_allclose(np.sum(turned * direction, axis=1), np.cos(0.2))


def test_primaries_fly_to_their_cores():
    options = SimulationOptions(viewcone_deg=4, scatter_radius_m=300)
    primaries = draw_primaries(np.random.default_rng(4), options, 5000, 500.0, TOP_M)
    particles = primaries.particles
    way = (500.0 - TOP_M) / particles.direction[:, 2]
    np.testing.assert_allclose(particles.moved(way).position[:, :2], primaries.core, atol=1e-6)
    distance = np.hypot(*primaries.core.T)
    assert np.mean(distance < 150) == pytest.approx(0.25, abs=0.03)
    towards = unit_vectors(primaries.alt, primaries.az)
    np.testing.assert_allclose(towards, -particles.direction, atol=1e-12)


def test_maximum_deepens_by_a_radiation_length_per_factor_e():
    rng = np.random.default_rng(5)
    depths = [
        depths_of_maximum(start_cascades(rng, photons(energy, 800)), 800).mean()
        for energy in (1e3, 1e4, 1e5)
    ]
    np.testing.assert_allclose(np.diff(depths), RADIATION_LENGTH * np.log(10), rtol=0.06)
    assert 280 < depths[0] < 360


def test_first_pairs_come_after_an_exponential_depth():
    start = start_cascades(np.random.default_rng(6), photons(1e4, 4000)).start
    moved = photons(1e4, 4000).advanced(np.full(4000, CONVERSION_LENGTH))
    share = np.mean(start.position[:, 2] > moved.position[0, 2])
    assert share == pytest.approx(1 - np.exp(-1), abs=0.03)


@pytest.mark.parametrize("n_pieces", [6, 24])
def test_segments_hold_the_energy_of_the_cascade(n_pieces):
    cascades = start_cascades(np.random.default_rng(7), photons(1000.0, 50))
    segments = cut_segments(cascades, n_pieces, 0.0)
    density = standard_atmosphere().density(segments.position[:, 2])
    loss = np.bincount(segments.shower, segments.track * 100 * density * IONISATION_LOSS_MEV)
    np.testing.assert_allclose(loss.mean(), 1e6, rtol=0.1)


def test_segments_end_above_the_ground():
    cascades = start_cascades(np.random.default_rng(8), photons(1e6, 20))
    segments = cut_segments(cascades, 24, 2000.0)
    assert segments.position[:, 2].min() > 2000.0
    assert np.all(segments.length > 0)
