"""Options of a simulated run."""

import pytest

from cherenkov_mlops.errors import UserError
from cherenkov_mlops.simulation.options import SimulationOptions


def test_observation_id_is_the_one_given():
    assert SimulationOptions(obs_id=7).observation_id == 7


def test_observation_ids_differ_with_any_option():
    runs = [
        SimulationOptions(),
        SimulationOptions(seed=2),
        SimulationOptions(particle="proton"),
        SimulationOptions(viewcone_deg=3),
    ]
    ids = {run.observation_id for run in runs}
    assert len(ids) == len(runs)
    assert all(0 < number < 2**31 for number in ids)


def test_equal_options_share_their_observation_id():
    assert SimulationOptions(seed=5).observation_id == SimulationOptions(seed=5).observation_id


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"particle": "muon"}, "gamma, proton"),
        ({"energy_min_tev": 5, "energy_max_tev": 2}, "energy_min_tev < energy_max_tev"),
        ({"spectral_index": float("nan")}, "spectral_index"),
        ({"n_showers": 0}, "n_showers"),
        ({"n_images": -1}, "n_images"),
        ({"seed": -1}, "seed"),
        ({"viewcone_deg": 3, "offset_deg": 1}, "write offset_deg for a point source"),
        ({"zenith_deg": 80}, "zenith_deg"),
        ({"azimuth_deg": 360}, "azimuth_deg"),
        ({"scatter_radius_m": 0}, "scatter_radius_m"),
    ],
)
def test_wrong_options_are_named(wrong, named):
    with pytest.raises(UserError, match=named):
        SimulationOptions(**wrong)


def test_all_mistakes_come_at_once():
    with pytest.raises(UserError) as caught:
        SimulationOptions(particle="x", seed=-1, zenith_deg=99)
    assert len(str(caught.value).splitlines()) == 3
