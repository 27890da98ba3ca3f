"""The SST-1M pair, arrays from files, cameras."""

import numpy as np
import pytest
import tables
from ctapipe.instrument import SubarrayDescription
from scipy.spatial import KDTree

from cherenkov_mlops.errors import DataError
from cherenkov_mlops.simulation.instrument import (
    Camera,
    digicam_pixels,
    read_subarray,
    sst1m_pair,
)


@pytest.fixture(scope="module")
def camera():
    return Camera(sst1m_pair().tel[21])


def test_digicam_is_a_hexagon_of_1296_pixels():
    pixels = digicam_pixels()
    assert pixels.shape == (1296, 2)
    distance, _ = KDTree(pixels).query(pixels, k=2)
    np.testing.assert_allclose(distance[:, 1], 0.0243, rtol=1e-6)
    np.testing.assert_allclose(pixels[:, 1].mean(), 0, atol=1e-9)


def test_inner_pixels_have_six_neighbours():
    number = sst1m_pair().tel[21].camera.geometry.neighbor_matrix.sum(axis=1)
    assert np.median(number) == 6
    assert number.min() >= 2


def test_pixels_are_where_the_real_camera_has_them(real_data):
    real = read_subarray(real_data / "reference" / "sst1m_array.h5")
    geometry = real.tel[21].camera.geometry
    table = np.stack([geometry.pix_x.to_value("m"), geometry.pix_y.to_value("m")], axis=1)
    distance, nearest = KDTree(table).query(digicam_pixels())
    assert distance.max() < 1e-5
    assert np.unique(nearest).size == 1296


def test_raster_finds_the_nearest_pixel(camera):
    rng, pixels = np.random.default_rng(1), digicam_pixels()
    own = rng.integers(0, 1296, 3000)
    place = pixels[own] + rng.uniform(-0.007, 0.007, (3000, 2))
    assert np.mean(camera.pixels_at(*place.T) == own) > 0.995


def test_places_outside_the_camera_have_no_pixel(camera):
    found = camera.pixels_at(np.array([0.0, 9.0, -0.7]), np.array([0.0, 0.0, 0.7]))
    assert found[0] >= 0
    assert found[1:].tolist() == [-1, -1]


def test_camera_places_directions_like_ctapipe(camera):
    x, y = camera.place(np.array([0.02]), np.array([-0.01]))
    np.testing.assert_allclose([x[0], y[0]], [-0.01 * 5.697, 0.02 * 5.697])


def test_night_sky_of_digicam_is_that_of_its_simulations(camera):
    assert camera.night_sky == pytest.approx(0.85, abs=0.02)
    assert camera.window_ns == 200


def test_subarray_survives_its_file(tmp_path):
    path = tmp_path / "array.h5"
    pair = sst1m_pair()
    pair.to_hdf(path)
    again = read_subarray(path)
    assert again == pair
    assert again.tel[21].camera.geometry.frame.focal_length.to_value("m") == pytest.approx(5.697)
    assert isinstance(again, SubarrayDescription)


def test_missing_subarray_file(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        read_subarray(tmp_path / "none.h5")


@pytest.mark.parametrize("content", [b"not HDF5", b""])
def test_subarray_file_that_is_not_hdf5(tmp_path, content):
    path = tmp_path / "array.h5"
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected an HDF5 file"):
        read_subarray(path)


def test_hdf5_file_without_telescopes(tmp_path):
    path = tmp_path / "empty.h5"
    with tables.open_file(path, "w"):
        pass
    with pytest.raises(DataError, match="configuration/instrument"):
        read_subarray(path)
