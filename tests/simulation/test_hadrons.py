"""Hadronic generations of protons."""

import numpy as np
import pytest

from cherenkov_mlops.simulation.atmosphere import TOP_M, standard_atmosphere
from cherenkov_mlops.simulation.hadrons import (
    MIN_MUON,
    MIN_PHOTON,
    develop_hadrons,
    interaction_length,
    mean_multiplicity,
    muon_energy_at,
)
from cherenkov_mlops.simulation.showers import Particles

GROUND_M = 500.0


def protons(energy_gev: float, n: int) -> Particles:
    """``n`` protons straight down."""
    down = np.tile([0.0, 0.0, -1.0], (n, 1))
    top = np.tile([0.0, 0.0, TOP_M], (n, 1))
    return Particles(np.arange(n), np.full(n, energy_gev), down, top)


@pytest.fixture(scope="module")
def shower():
    return develop_hadrons(np.random.default_rng(1), protons(10_000.0, 200), GROUND_M)


def test_interaction_lengths():
    nucleon, pion = np.array([True]), np.array([False])
    assert interaction_length(np.array([1000.0]), nucleon)[0] == pytest.approx(83.3, abs=0.1)
    assert interaction_length(np.array([1e5]), nucleon)[0] == pytest.approx(64.0, abs=0.1)
    assert interaction_length(np.array([1000.0]), pion) > 100


def test_multiplicity_grows_with_energy():
    multiplicity = mean_multiplicity(np.array([100.0, 1000.0, 10_000.0]))
    assert np.all(np.diff(multiplicity) > 2)
    assert multiplicity[1] == pytest.approx(16.4, abs=1)


def test_photons_get_a_fluctuating_half_of_the_energy(shower):
    share = np.bincount(shower.photons.shower, shower.photons.energy, minlength=200) / 10_000
    assert share.max() < 1
    assert 0.4 < share.mean() < 0.75
    assert share.std() > 0.08


def test_first_interactions_follow_the_proton_length(shower):
    depth = standard_atmosphere().depth(shower.first.position[:, 2])
    length = interaction_length(np.array([10_000.0]), np.array([True]))[0]
    assert depth.mean() == pytest.approx(length, rel=0.2)


def test_photons_spread_with_transverse_momentum(shower):
    photons = shower.photons
    angle = np.arccos(np.clip(-photons.direction[:, 2], -1, 1))
    energetic = photons.energy > 100
    assert np.median(angle[energetic]) < np.median(angle[~energetic]) / 3
    # Several generations, each with about 0.35 GeV, leave a few times that.
    assert 0.1 < np.median(photons.energy * angle) < 1.5


def test_muons_come_from_low_energy_pions(shower):
    muons = shower.muons
    assert 3 < len(muons) / 200 < 300
    assert np.median(muons.energy) < 100
    assert muons.energy.min() >= MIN_MUON
    assert shower.photons.energy.min() >= MIN_PHOTON
    assert muons.position[:, 2].min() > GROUND_M


def test_muons_lose_two_gev_in_the_whole_air():
    muon = protons(10.0, 1)
    left = muon_energy_at(muon, np.array([[0.0, 10_000.0]]))
    assert left[0, 0] == pytest.approx(10 - 2.1e-3 * 1036, abs=0.01)
    assert left[0, 1] > left[0, 0]


def test_proton_that_meets_nothing_leaves_nothing():
    low = protons(1000.0, 1).moved(np.array([TOP_M - GROUND_M - 1.0]))
    shower = develop_hadrons(np.random.default_rng(2), low, GROUND_M)
    assert len(shower.photons) == len(shower.muons) == 0
