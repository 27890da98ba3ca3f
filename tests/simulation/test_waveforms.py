"""Readout windows: charge conserved, noise of the right size, files that other tools read."""

import numpy as np
import pytest
import tables
from ctapipe.io import read_table

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.simulation.images import Readout
from cherenkov_mlops.simulation.instrument import sst1m_pair

IMAGES = "/dl1/event/telescope/images/tel_021"
WAVEFORMS = "/r1/event/telescope/tel_021"
MIDDLE_NS = 100.0


@pytest.fixture(scope="module")
def readout():
    return Readout(sst1m_pair().tel[21].camera.readout)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Gammas with and without waveforms, and windows without a shower."""
    folder = tmp_path_factory.mktemp("waveforms")
    options = {"n_images": 60, "seed": 2}
    return {
        "gamma": simulate.run(folder / "gamma.h5", waveforms=True, **options),
        "plain": simulate.run(folder / "plain.h5", **options),
        "nsb": simulate.run(folder / "nsb.h5", particle="nsb", waveforms=True, **options),
    }


def test_the_charge_of_a_pulse_is_its_photo_electrons(readout):
    rng = np.random.default_rng(0)
    pixel = np.repeat(np.arange(50), 40)
    time = np.full(len(pixel), MIDDLE_NS)
    lit, samples = readout.shower(rng, pixel, time, gain_spread=0.0)
    assert np.array_equal(lit, np.arange(50))
    np.testing.assert_allclose(samples.sum(axis=1), 40, rtol=0.02)
    charges = readout.integrate(samples, np.full(50, MIDDLE_NS))
    np.testing.assert_allclose(charges, 40, rtol=0.03)


def test_a_pulse_peaks_at_its_time(readout):
    for time in (40.0, 100.0, 160.0):
        _, samples = readout.shower(np.random.default_rng(0), np.array([3]), np.array([time]), 0.0)
        assert samples[0].argmax() * readout.sample_ns == pytest.approx(time, abs=4)


def test_light_outside_the_window_is_lost(readout):
    lit, samples = readout.shower(
        np.random.default_rng(0), np.array([1, 2]), np.array([-10.0, 1e4]), 0.0
    )
    assert len(lit) == len(samples) == 0


def test_night_sky_light_has_no_mean_and_the_spread_of_its_rate(readout):
    mean = 2.0
    samples = readout.night_sky(np.random.default_rng(1), 20_000, mean, gain_spread=0.0)
    np.testing.assert_allclose(samples.mean(axis=0), 0, atol=0.02)
    # Campbell: variance = rate x sum of squares of the pulse, the same in each sample.
    _, pulse = readout.shower(np.random.default_rng(0), np.array([0]), np.array([MIDDLE_NS]), 0.0)
    expected = mean / 7 * (pulse**2).sum()
    np.testing.assert_allclose(samples.var(axis=0), expected, rtol=0.1)


def test_images_have_the_charges_of_their_waveforms(files):
    with tables.open_file(files["gamma"]) as file:
        images, waveforms = read_table(file, IMAGES), read_table(file, WAVEFORMS)
    assert waveforms["waveform"].shape == (len(images), 1, 1296, 50)
    assert list(images["event_id"]) == list(waveforms["event_id"])
    bright = images["image"] > 30
    sums = waveforms["waveform"][:, 0].sum(axis=-1)[bright]
    # The whole window has more noise than the integrated part of it.
    assert np.median(images["image"][bright] / sums) == pytest.approx(1, abs=0.1)


def test_waveforms_hardly_change_the_images(files):
    medians = []
    for name in ("gamma", "plain"):
        with tables.open_file(files[name]) as file:
            intensity = read_table(file, "/dl1/event/telescope/parameters/tel_021")
        medians.append(np.nanmedian(intensity["hillas_intensity"]))
    assert medians[0] == pytest.approx(medians[1], rel=0.15)


def test_windows_without_a_shower(files):
    with tables.open_file(files["nsb"]) as file:
        showers = read_table(file, "/simulation/event/subarray/shower")
        images = read_table(file, IMAGES)
    assert np.isnan(showers["true_energy"]).all()
    assert (showers["true_shower_primary_id"] == -1).all()
    # A window of each telescope an event, none with a pulse.
    assert len(images) == len(showers) == 30
    assert abs(images["image"].mean()) < 0.02 and images["image"].max() < 15


def test_equal_options_give_equal_waveforms(tmp_path):
    options = {"n_images": 8, "seed": 3, "waveforms": True}
    contents = []
    for name in ("first", "second"):
        with tables.open_file(simulate.run(tmp_path / name, **options)) as file:
            contents.append(file.get_node(WAVEFORMS).col("waveform"))
    assert np.array_equal(*contents)
