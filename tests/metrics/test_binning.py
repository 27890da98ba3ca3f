"""Energy bins: edges, contents, blanks."""

import numpy as np
import pytest

from cherenkov_mlops.metrics.binning import (
    energy_edges_tev,
    split_by_energy,
    statistic_by_energy,
)


def _width(events):
    return float(np.std(events["error"]))


def test_five_bins_a_decade_with_both_ends():
    edges = energy_edges_tev(0.01, 1000)
    assert len(edges) == 26
    assert edges[0] == pytest.approx(0.01)
    assert edges[-1] == pytest.approx(1000)
    assert np.allclose(np.diff(np.log10(edges)), 0.2)


def test_a_known_width_comes_back_in_each_bin_and_outliers_are_in_none():
    generator = np.random.default_rng(2)
    edges = energy_edges_tev(1, 10)
    energy = np.concatenate([10 ** generator.uniform(0, 1, 20_000), [0.5] * 50, [10.0, 77.0] * 50])
    events = {"true_energy": energy, "error": generator.normal(0, 0.3, energy.size)}
    table = statistic_by_energy(events, edges, _width, 50, seed=0)
    assert table["n_events"].sum() == 20_000
    np.testing.assert_allclose(table["value"], 0.3, rtol=0.05)
    assert ((table["low"] < table["value"]) & (table["value"] < table["high"])).all()


def test_bins_below_ten_events_stay_blank_but_keep_their_number():
    energy = np.array([1.1] * 9 + [5.0] * 10)
    events = {"true_energy": energy, "error": np.arange(19.0)}
    table = statistic_by_energy(events, (1, 3, 10), _width, 20, seed=0)
    assert table["n_events"].tolist() == [9, 10]
    assert np.isnan([table["value"][0], table["low"][0], table["high"][0]]).all()
    assert table["value"][1] == pytest.approx(np.arange(10).std())


def test_events_go_to_the_bin_that_holds_them():
    events = {"true_energy": np.array([5.0, 1.0, 2.9, 3.0]), "row": np.arange(4)}
    first, second = split_by_energy(events, (1, 3, 10))
    assert first["row"].tolist() == [1, 2]
    assert second["row"].tolist() == [0, 3]
