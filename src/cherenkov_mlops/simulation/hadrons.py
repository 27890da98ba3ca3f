"""Protons: hadronic generations that feed electromagnetic cascades and muons."""

from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.simulation.atmosphere import standard_atmosphere
from cherenkov_mlops.simulation.showers import Particles, join, tilted

#: Decay length of a charged pion per energy [m/GeV]: c tau / m (PDG).
PION_DECAY_LENGTH = 7.80 / 0.13957
#: Mean transverse momentum [GeV] of secondaries (PDG, "High-energy hadronic multiparticle
#: production"; exponential in the transverse mass, here in the momentum).
MEAN_TRANSVERSE_MOMENTUM = 0.35
#: Energies [GeV] below which hadrons, photons and muons are given up: too little light.
MIN_HADRON, MIN_PHOTON, MIN_MUON = 10.0, 1.0, 6.0
#: Momentum [GeV] of each photon in the rest frame of the neutral pion.
PION_HALF_MASS = 0.0675
_MAX_GENERATIONS = 14


@dataclass(frozen=True)
class HadronShower:
    """What the hadrons of some primaries lead to.

    Attributes
    ----------
    photons : Particles
        Photons of neutral pions, where these decay (at once).
    muons : Particles
        Muons, where the charged pions decay.
    first : Particles
        The primaries at their first interaction.
    """

    photons: Particles
    muons: Particles
    first: Particles


def interaction_length(energy_gev: np.ndarray, is_nucleon: np.ndarray) -> np.ndarray:
    """Mean depth [g/cm2] between interactions in air.

    Nucleons: 24160 g/cm2 mb over a cross section of 290 mb at 1 TeV that grows by 19 mb a factor
    e in energy (fit through the measurements in PDG, "Cosmic rays"); pions 1.35 times as far.
    """
    cross_section = 290.0 + 19.0 * np.log(np.maximum(energy_gev, 100.0) / 1000.0)
    return 24_160.0 / cross_section * np.where(is_nucleon, 1.0, 1.35)


def mean_multiplicity(energy_gev: np.ndarray) -> np.ndarray:
    """Mean number of pions, 1.5 times the charged particles of p p collisions.

    Charged: 0.88 + 0.44 ln s + 0.118 ln2 s with s in GeV2 (Thome et al. 1977,
    Nucl. Phys. B 129, 365), at s = 1.876 E.
    """
    log_s = np.log(1.876 * energy_gev + 3.5)
    return 1.5 * (0.88 + 0.44 * log_s + 0.118 * log_s**2)


def _scattered(rng: np.random.Generator, particles: Particles) -> Particles:
    """Add transverse momenta: the sum of two exponentials, in a random direction."""
    n = len(particles)
    momentum = rng.gamma(2.0, MEAN_TRANSVERSE_MOMENTUM / 2, n)
    angle = np.minimum(momentum / particles.energy, 0.5)
    direction = tilted(particles.direction, angle, rng.uniform(0, 2 * np.pi, n))
    return Particles(particles.shower, particles.energy, direction, particles.position)


def _downward(particles: Particles, min_energy: float) -> Particles:
    """Only those above ``min_energy`` [GeV] that fly within 78 degrees of straight down."""
    return particles.select((particles.energy > min_energy) & (particles.direction[:, 2] < -0.2))


def produce_pions(rng: np.random.Generator, parents: Particles, energy: np.ndarray) -> Particles:
    """Draw the pions that share ``energy`` [GeV] of each parent at the parent's place."""
    number = np.maximum(rng.poisson(mean_multiplicity(energy)), 2)
    owner = np.repeat(np.arange(len(parents)), number)
    # Symmetric Dirichlet, concentration 0.5: few secondaries carry most of the energy, as with
    # dn/dx = (1 - x)^k / x.
    raw = rng.gamma(0.5, 1.0, owner.size) + 1e-12
    share = raw / np.bincount(owner, raw, minlength=len(parents))[owner]
    pions = Particles(
        parents.shower[owner],
        energy[owner] * share,
        parents.direction[owner],
        parents.position[owner],
    )
    return _scattered(rng, _downward(pions, MIN_PHOTON))


def decay_to_photons(rng: np.random.Generator, pions: Particles) -> Particles:
    """Draw two photons of each neutral pion, isotropic in its rest frame."""
    n = len(pions)
    share, turn = rng.random(n), rng.uniform(0, 2 * np.pi, n)
    transverse = 2 * PION_HALF_MASS * np.sqrt(share * (1 - share))
    photons = []
    for part, azimuth in ((share, turn), (1 - share, turn + np.pi)):
        energy = np.maximum(part * pions.energy, 1e-6)
        angle = np.minimum(transverse / energy, 0.5)
        direction = tilted(pions.direction, angle, azimuth)
        photons.append(Particles(pions.shower, energy, direction, pions.position))
    return _downward(join(photons), MIN_PHOTON)


def interact(
    rng: np.random.Generator, hadrons: Particles, is_nucleon: np.ndarray
) -> tuple[Particles, np.ndarray, Particles]:
    """Draw the next hadrons, which of them are nucleons, and the neutral pions.

    A nucleon keeps half of its energy on average, flat from 0.1 to 0.9; a pion nothing
    (Gaisser, Engel and Resconi, "Cosmic Rays and Particle Physics", chapter 5).
    """
    kept = np.where(is_nucleon, rng.uniform(0.1, 0.9, len(hadrons)), 0.0)
    pions = produce_pions(rng, hadrons, hadrons.energy * (1 - kept))
    # Isospin: a third of the pions.
    is_neutral = rng.random(len(pions)) < 1 / 3
    leading = Particles(hadrons.shower, hadrons.energy * kept, hadrons.direction, hadrons.position)
    leading = _scattered(rng, _downward(leading.select(is_nucleon), MIN_HADRON))
    charged = pions.select(~is_neutral)
    flags = np.arange(len(leading) + len(charged)) < len(leading)
    return join([leading, charged]), flags, pions.select(is_neutral)


def transport(
    rng: np.random.Generator, hadrons: Particles, is_nucleon: np.ndarray, ground_m: float
) -> tuple[Particles, np.ndarray, Particles]:
    """Hadrons where they interact, which are nucleons, and the pions that decay before."""
    depth = rng.exponential(interaction_length(hadrons.energy, is_nucleon))
    arrived = hadrons.advanced(depth)
    # Whatever comes first, interaction or decay; below the limit decay is waited for.
    flown = np.linalg.norm(arrived.position - hadrons.position, axis=1)
    life = rng.exponential(PION_DECAY_LENGTH, len(hadrons)) * hadrons.energy
    decays = ~is_nucleon & ((life < flown) | (hadrons.energy < MIN_HADRON))
    distance = np.where(hadrons.energy < MIN_HADRON, np.minimum(life, flown), life)
    decayed = hadrons.moved(distance).select(decays)
    reacts = ~decays & (arrived.position[:, 2] > ground_m)
    above_ground = decayed.position[:, 2] > ground_m
    return arrived.select(reacts), is_nucleon[reacts], decayed.select(above_ground)


def develop_hadrons(rng: np.random.Generator, protons: Particles, ground_m: float) -> HadronShower:
    """Follow ``protons``, generation by generation, all showers at once, to photons and muons."""
    depth = rng.exponential(interaction_length(protons.energy, np.ones(len(protons), bool)))
    first = protons.advanced(depth)
    # A primary that reaches the ground untouched has no shower; it stays as truth only.
    alive = first.position[:, 2] > ground_m
    hadrons, is_nucleon = first.select(alive), np.ones(alive.sum(), bool)
    photons, muons = [], []
    for _ in range(_MAX_GENERATIONS):
        hadrons, is_nucleon, neutral = interact(rng, hadrons, is_nucleon)
        photons.append(decay_to_photons(rng, neutral))
        hadrons, is_nucleon, decayed = transport(rng, hadrons, is_nucleon, ground_m)
        # The muon has 0.573 to 1 of the pion's energy (two-body decay, flat).
        energy = decayed.energy * rng.uniform(0.573, 1.0, len(decayed))
        born = Particles(decayed.shower, energy, decayed.direction, decayed.position)
        muons.append(_downward(born, MIN_MUON))
        if not len(hadrons):
            break
    return HadronShower(join(photons), join(muons), first)


def muon_energy_at(muons: Particles, height: np.ndarray) -> np.ndarray:
    """Energy [GeV] left at ``height`` [m], shape (n, k): ionisation of 2.1 MeV per g/cm2 (PDG)."""
    atmosphere = standard_atmosphere()
    depth = atmosphere.depth(height) - atmosphere.depth(muons.position[:, 2:])
    return muons.energy[:, None] + 2.1e-3 * depth / muons.direction[:, 2:]
