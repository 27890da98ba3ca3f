"""Rings and arcs of single muons."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere
from cherenkov_mlops.simulation.electrons import light_table
from cherenkov_mlops.simulation.instrument import Camera, sst1m_pair
from cherenkov_mlops.simulation.light import LightModel, View
from cherenkov_mlops.simulation.muons import draw_muon_light, hit_by_muons
from cherenkov_mlops.simulation.showers import Particles, pointing_axes

GROUND_M = 500.0
FRONT = np.array([[0.0, 0.0, -1.0]])


@pytest.fixture(scope="module")
def model():
    camera = Camera(sst1m_pair().tel[21])
    position = np.array([[0.0, 0.0, GROUND_M]])
    view = View(np.array([21]), position, pointing_axes(np.pi / 2, 0.0), camera)
    return LightModel(view, light_table(GROUND_M, 0.0), GROUND_M, 0.0)


def muons(energy_gev: float, distance_m: float, n: int = 1) -> Particles:
    """``n`` muons straight down past the telescope, all of one shower."""
    position = np.tile([distance_m, 0.0, 8000.0], (n, 1))
    return Particles(np.zeros(n, int), np.full(n, energy_gev), np.tile(FRONT, (n, 1)), position)


def angles(model, particles):
    """Field-of-view x and y [deg] of all photo-electrons."""
    rng, image = np.random.default_rng(1), np.zeros((1, 1), dtype=int)
    light = draw_muon_light(rng, model, particles, image, FRONT)
    geometry = sst1m_pair().tel[21].camera.geometry
    scale = np.degrees(1 / model.view.camera.focal_length)
    return (
        geometry.pix_x.to_value("m")[light.pixel] * scale,
        geometry.pix_y.to_value("m")[light.pixel] * scale,
    )


def test_a_muon_through_the_mirror_makes_a_ring(model):
    x, y = angles(model, muons(50.0, 0.5, 20))
    expected = np.degrees(standard_atmosphere().cherenkov_angle(np.array(GROUND_M)))
    assert np.median(np.hypot(x, y)) == pytest.approx(expected, abs=0.12)
    assert np.mean(x > 0) == pytest.approx(0.5, abs=0.25)
    assert 20 < x.size / 20 < 1000


def test_slow_muons_make_smaller_rings(model):
    fast, slow = angles(model, muons(50.0, 0.5, 20)), angles(model, muons(8.5, 0.5, 20))
    assert np.median(np.hypot(*slow)) < np.median(np.hypot(*fast)) - 0.1
    assert slow[0].size < fast[0].size


def test_a_muon_passing_by_makes_an_arc(model):
    x, y = angles(model, muons(50.0, 20.0, 60))
    assert x.size > 50
    assert abs(np.median(x)) > 0.8
    assert np.abs(y).max() < 1
    assert np.sign(np.median(x)) * x.min() > -0.2


def test_light_falls_with_distance(model):
    counts = [angles(model, muons(50.0, distance, 40))[0].size for distance in (5.0, 20.0, 60.0)]
    assert counts[0] > counts[1] > counts[2]
    assert counts[0] / counts[1] == pytest.approx(4, rel=0.3)


def test_muons_far_away_or_below_threshold_give_nothing(model):
    assert angles(model, muons(50.0, 200.0, 20))[0].size == 0
    assert angles(model, muons(2.0, 0.5, 20))[0].size == 0


def test_only_close_muons_in_the_field_of_view_trigger_alone(model):
    assert hit_by_muons(model, muons(50.0, 3.0), 1).all()
    assert not hit_by_muons(model, muons(50.0, 50.0), 1).any()
    aside = muons(50.0, 3.0)
    tilted = Particles(aside.shower, aside.energy, np.array([[0.3, 0, -0.954]]), aside.position)
    assert not hit_by_muons(model, tilted, 1).any()
