"""Simulated showers next to CORSIKA and sim_telarray, where their files are at hand."""

import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.commands.simulate import run
from cherenkov_mlops.simulation.instrument import read_subarray, sst1m_pair
from cherenkov_mlops.simulation.options import SimulationOptions
from cherenkov_mlops.simulation.validation import (
    broken_share,
    medians_by_intensity,
    parameters_in_file,
    simulate_again,
    simulate_images,
)

#: Of the tables with reference parameters: medium-size telescopes, images above 50 p.e.
REFERENCE_WIDTH_RATIO, REFERENCE_BROKEN_RATIO = 0.0297 / 0.0260, 15 / 5


def test_medians_are_taken_in_bins_of_intensity():
    images = pd.DataFrame(
        {"intensity": [60, 70, 150, 20], "length": [1.0, 3.0, 5.0, 9.0], "width": [0.1] * 4}
    )
    medians = medians_by_intensity(images)
    assert medians["n"].tolist() == [2, 1, 0, 0]
    np.testing.assert_array_equal(medians["length"].to_numpy()[:2], [2.0, 5.0])
    assert medians["length"].isna().tolist() == [False, False, True, True]


def test_only_bright_images_count_as_broken():
    images = pd.DataFrame({"intensity": [10, 60, 70], "n_islands": [3, 1, 2]})
    assert broken_share(images) == 0.5


def test_images_of_a_file_are_those_of_the_run(tmp_path):
    options = {"n_showers": 64, "energy_min_tev": 3.0, "seed": 2}
    in_file = parameters_in_file(run(tmp_path / "a.h5", **options))
    directly = simulate_images(SimulationOptions(**options), sst1m_pair())
    assert len(in_file) == len(directly)
    for column in ("intensity", "length", "width"):
        np.testing.assert_allclose(
            np.sort(in_file[column]), np.sort(directly[column]), rtol=1e-5, equal_nan=True
        )


def test_showers_of_a_file_can_be_simulated_again(tmp_path):
    path = run(tmp_path / "a.h5", n_images=60, energy_min_tev=3.0)
    first, again = parameters_in_file(path), simulate_again(path, repeats=2)
    assert 1.2 < len(again) / len(first) < 2.3
    assert again["intensity"].median() == pytest.approx(first["intensity"].median(), rel=0.5)


def test_gammas_look_like_real_sst1m_simulations(real_data):
    path = real_data / "dl1" / "gamma_sst1m_prod4.dl1.h5"
    real = medians_by_intensity(parameters_in_file(path))
    ours = medians_by_intensity(simulate_again(path, repeats=10))
    for column in ("length", "width"):
        np.testing.assert_allclose(ours[column], real[column], rtol=0.3, err_msg=column)


def test_gammas_trigger_as_many_telescopes_as_real_ones(real_data):
    path = real_data / "dl1" / "gamma_sst1m_prod4.dl1.h5"
    ours = simulate_again(path, repeats=10)
    assert len(ours) / 10 == pytest.approx(len(parameters_in_file(path)), rel=0.4)


def test_protons_differ_from_gammas_as_in_the_reference(real_data):
    array = read_subarray(real_data / "dl1" / "gamma_mst_flashcam.dl1.h5")
    kind = next(kind for kind in array.telescope_types if "FlashCam" in str(kind))
    array = array.select_subarray(list(array.get_tel_ids_for_type(kind))[:6])
    width, broken = {}, {}
    for particle, energy in (("gamma", 0.1), ("proton", 0.15)):
        options = SimulationOptions(
            particle=particle,
            n_showers=6000,
            energy_min_tev=energy,
            energy_max_tev=300,
            viewcone_deg=8,
            scatter_radius_m=1500,
        )
        cleaning = {"picture_threshold_pe": 7.0, "min_picture_neighbors": 2}
        images = simulate_images(options, array, cleaning)
        width[particle] = images.loc[images["intensity"] > 50, "width"].median()
        broken[particle] = broken_share(images)
    width_ratio = width["proton"] / width["gamma"]
    broken_ratio = broken["proton"] / broken["gamma"]
    assert width_ratio > 1
    assert 0.5 < width_ratio / REFERENCE_WIDTH_RATIO < 2
    assert 0.5 < broken_ratio / REFERENCE_BROKEN_RATIO < 2
