"""Light pool, light yield and geometry of the images."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.atmosphere import TOP_M
from cherenkov_mlops.simulation.electrons import light_table
from cherenkov_mlops.simulation.instrument import Camera, sst1m_pair
from cherenkov_mlops.simulation.light import (
    LightModel,
    View,
    join_light,
    mean_transmission,
    photo_electrons_per_metre,
)
from cherenkov_mlops.simulation.showers import (
    Cascades,
    Particles,
    cut_segments,
    pointing_axes,
    start_cascades,
)

GROUND_M = 500.0


def model_at(distances_m) -> LightModel:
    """Telescopes looking straight up, at these distances north of the origin."""
    positions = np.array([[d, 0.0, GROUND_M] for d in distances_m])
    camera = Camera(sst1m_pair().tel[21])
    view = View(np.arange(len(positions)), positions, pointing_axes(np.pi / 2, 0.0), camera)
    return LightModel(view, light_table(GROUND_M, 0.0), GROUND_M, 0.0)


def vertical_cascades(energy_gev: float, n: int = 300) -> Cascades:
    """Cascades of photons straight down onto the origin."""
    down = np.tile([0.0, 0.0, -1.0], (n, 1))
    top = np.tile([0.0, 0.0, TOP_M], (n, 1))
    photons = Particles(np.arange(n), np.full(n, energy_gev), down, top)
    return start_cascades(np.random.default_rng(1), photons)


def mean_light(model: LightModel, cascades: Cascades) -> np.ndarray:
    """Photo-electrons a shower in each telescope."""
    light = model.expected(cut_segments(cascades, 24, GROUND_M))
    return light.sum(axis=0) / len(cascades)


@pytest.fixture(scope="module")
def model():
    return model_at([30.0, 60.0, 90.0, 120.0, 200.0, 300.0])


def test_light_grows_in_proportion_to_energy(model):
    low, high = (mean_light(model, vertical_cascades(energy)) for energy in (1e3, 1e4))
    growth = np.log10(high / low)
    assert np.all((growth[:5] > 0.9) & (growth[:5] < 1.35))


def test_light_pool_is_flat_and_then_falls(model):
    pool = mean_light(model, vertical_cascades(1000.0))
    inner, at_120, at_200, at_300 = pool[:3].mean(), *pool[3:]
    assert 0.4 < at_120 / inner < 1.5
    assert at_200 / at_120 < 0.6
    assert at_300 / at_200 < 0.6


def test_a_tev_gamma_gives_as_many_photons_as_measured(model):
    """About 100 photons/m2 between 300 and 550 nm reach the ground at 1 TeV and 100 m."""
    photo_electrons = mean_light(model, vertical_cascades(1000.0))[2]
    assert 60 < photo_electrons < 400


def test_transmission_falls_with_height():
    air = mean_transmission(np.array([2000.0, 10_000.0]), GROUND_M, 20.0)
    assert 1 > air[0] > air[1] > 0.5


def test_yield_is_frank_and_tamm():
    assert photo_electrons_per_metre() == pytest.approx(0.2 * 0.72 * 69_500, rel=0.25)


def test_light_lands_in_line_with_the_shower(model):
    """Seen 120 m north of it, a vertical shower stands in the south, stretched north to south.

    Looking up at azimuth 0, altitude (and the camera's x) grows towards the south.
    """
    segments = cut_segments(vertical_cascades(20_000.0, 4), 24, GROUND_M)
    expected = model.expected(segments)
    image = np.full((4, 6), -1)
    image[:, 3] = 0
    rng = np.random.default_rng(2)
    light = model.draw(rng, segments, expected, image, np.tile([0, 0, -1.0], (4, 1)))
    geometry = sst1m_pair().tel[21].camera.geometry
    x, y = geometry.pix_x.to_value("m")[light.pixel], geometry.pix_y.to_value("m")[light.pixel]
    height = np.average(segments.position[:, 2], weights=expected[:, 3])
    assert np.median(x) / 5.697 == pytest.approx(120 / (height - GROUND_M), rel=0.15)
    assert abs(np.median(y)) < 0.02
    assert x.std() > 1.3 * y.std()


def test_light_from_high_up_comes_last_inside_the_pool(model):
    heights = np.array([12_000.0, 6000.0])
    place = np.column_stack([np.zeros((2, 2)), heights])
    front = np.tile([0.0, 0.0, -1.0], (2, 1))
    early_high, early_low = model.arrival_times(front, place, heights - GROUND_M)
    assert early_high > early_low
    far = np.hypot(heights - GROUND_M, 300.0)
    late_high, late_low = model.arrival_times(front, place, far)
    assert late_high < late_low


def test_draws_follow_the_expectation(model):
    segments = cut_segments(vertical_cascades(5000.0, 5), 24, GROUND_M)
    expected = model.expected(segments)
    image = np.arange(30).reshape(5, 6)
    front = np.tile([0, 0, -1.0], (5, 1))
    light = model.draw(np.random.default_rng(3), segments, expected, image, front)
    assert light.pixel.size == pytest.approx(expected.sum(), rel=0.05)
    twice = join_light([light, light])
    assert twice.image.size == 2 * light.image.size


def test_light_from_outside_the_field_of_view_does_not_count():
    model = model_at([100.0])
    cascades = vertical_cascades(5000.0, 10)
    side = Particles(
        cascades.start.shower,
        cascades.start.energy,
        np.tile([0.34, 0.0, -0.94], (10, 1)),
        cascades.start.position,
    )
    segments = cut_segments(Cascades(side, cascades.beta), 24, GROUND_M)
    assert model.expected(segments).sum() < 1e-3 * mean_light(model, cascades).sum()
