"""Noise, pulse times and trigger."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.images import expose
from cherenkov_mlops.simulation.instrument import Camera, sst1m_pair
from cherenkov_mlops.simulation.light import PhotoElectrons


@pytest.fixture(scope="module")
def camera():
    return Camera(sst1m_pair().tel[21])


def flash(number: int, pixel: int, time: float) -> PhotoElectrons:
    """``number`` photo-electrons in one pixel of the first image."""
    rows = np.zeros(number, dtype=np.int64)
    return PhotoElectrons(rows, rows + pixel, np.full(number, time))


def test_empty_pixels_have_the_spread_of_a_dark_sky(camera):
    images = expose(np.random.default_rng(1), camera, flash(0, 0, 0.0), 30)
    assert images.charge.shape == (30, 1296)
    assert images.charge.mean() == pytest.approx(0, abs=0.02)
    assert images.charge.std() == pytest.approx(0.96, abs=0.03)
    assert not images.triggered.any()


def test_noise_arrives_at_any_time(camera):
    images = expose(np.random.default_rng(2), camera, flash(0, 0, 0.0), 10)
    assert images.peak_time.std() == pytest.approx(200 / np.sqrt(12), rel=0.02)
    assert images.peak_time.min() >= 0
    assert images.peak_time.max() < 200


def test_a_flash_keeps_its_charge_and_its_time(camera):
    light = PhotoElectrons(
        np.zeros(200, dtype=np.int64),
        np.repeat([600, 601], 100),
        np.repeat([1000.0, 1020.0], 100),
    )
    images = expose(np.random.default_rng(3), camera, light, 1)
    assert images.true[0].sum() == 200
    assert images.charge[0, 600] == pytest.approx(100, abs=15)
    assert images.triggered.all()
    late = images.peak_time[0, 601] - images.peak_time[0, 600]
    assert late == pytest.approx(20, abs=1)


def test_bright_enough_flashes_trigger(camera):
    faint = expose(np.random.default_rng(4), camera, flash(10, 600, 0.0), 1)
    bright = expose(np.random.default_rng(4), camera, flash(40, 600, 0.0), 1)
    assert not faint.triggered[0]
    assert bright.triggered[0]


def test_one_image_of_many(camera):
    images = expose(np.random.default_rng(5), camera, flash(50, 3, 0.0), 2)
    assert images.row(0).true[3] == 50
    assert images.row(1).true.sum() == 0
    np.testing.assert_array_equal(images.row(1).charge, images.charge[1])
