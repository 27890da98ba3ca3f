"""Which events an epoch sees, and in which order: a function of seed and epoch only."""

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

Balance = Literal["none", "classes", "energy"]
#: Width of the energy bins that ``balance: energy`` fills equally.
DEX_PER_BIN = 0.2
#: Where events without an energy, such as windows without a shower, are put together.
NO_ENERGY = -99.0


@dataclass(frozen=True)
class Strata:
    """Groups of events that each epoch shall draw equally often.

    Parameters
    ----------
    names : list of str
        What each group is.
    number : np.ndarray
        Group of each event, shape (n,).
    share : np.ndarray
        Share of the drawn events that each group gets; adds up to 1.
    """

    names: list[str]
    number: np.ndarray
    share: np.ndarray

    def count(self, events: np.ndarray) -> dict[str, int]:
        """How many of the events are in each group."""
        counts = np.bincount(self.number[events], minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))


def make_strata(balance: Balance, classes: np.ndarray, log_energy: np.ndarray) -> Strata | None:
    """Groups that ``balance`` wants equally filled; None if the events are taken as they are.

    Parameters
    ----------
    balance : {"none", "classes", "energy"}
        ``classes``: as many of each class. ``energy``: as many of each class, and within a class
        as many in each bin of 0.2 in log10 E that holds any (flat in log10 E).
    classes : np.ndarray
        1 for the signal, 0 for the background, shape (n,).
    log_energy : np.ndarray
        log10 of the true energy in TeV, shape (n,).
    """
    if balance == "none":
        return None
    bins = np.zeros(len(classes), dtype=int)
    if balance == "energy":
        known = np.where(np.isfinite(log_energy), log_energy, NO_ENERGY)
        bins = np.floor(known / DEX_PER_BIN).astype(int)
    # One stratum for each pair (class, energy bin) that holds any event: ``keys`` are the pairs,
    # ``number`` says which of them an event is in.
    keys, number = np.unique(np.stack([classes, bins], axis=1), axis=0, return_inverse=True)
    of_class = np.bincount(keys[:, 0], minlength=2)
    # Each class that is there gets the same share, and each of its bins an equal part of it.
    share = 1 / (of_class[keys[:, 0]] * np.count_nonzero(of_class))
    return Strata([_name(balance, *key) for key in keys], number.reshape(-1), share)


def _name(balance: Balance, is_signal: int, energy_bin: int) -> str:
    label = "signal" if is_signal else "background"
    if balance == "classes":
        return label
    if energy_bin < NO_ENERGY / 2:
        return f"{label} without energy"
    low = energy_bin * DEX_PER_BIN
    return f"{label} log10 E {low:.1f} to {low + DEX_PER_BIN:.1f}"


@dataclass(frozen=True)
class EpochOrder:
    """The batches of any epoch.

    Parameters
    ----------
    n_events : int
        Events of the set.
    batch_size : int
        Events a batch; the last batch may be smaller.
    seed : int, optional
        Seed; None keeps the order of the events and takes all of them.
    fraction : float
        Share of the batches that an epoch draws, 0 < fraction <= 1.
    strata : Strata, optional
        Groups to draw equally; None takes each event once a full pass.
    """

    n_events: int
    batch_size: int
    seed: int | None = None
    fraction: float = 1.0
    strata: Strata | None = None

    @property
    def n_batches_in_all(self) -> int:
        """Batches that hold all events once."""
        return ceil(self.n_events / self.batch_size)

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return max(1, round(self.fraction * self.n_batches_in_all))

    def draw(self, epoch: int) -> list[np.ndarray]:
        """Events of each batch of the epoch (0 is the first), by their place in the set."""
        # The order is a function of seed and epoch, not of earlier epochs: a training that goes on
        # after a kill draws what it would have drawn.
        if self.seed is None:
            order, drawn = np.arange(self.n_events), np.arange(self.n_batches)
        else:
            generator = np.random.default_rng([self.seed, epoch])
            order = generator.permutation(self._events(generator))
            drawn = generator.choice(self.n_batches_in_all, self.n_batches, replace=False)
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in drawn]

    def _events(self, generator: np.random.Generator) -> np.ndarray:
        """The events of a full pass: each once, or as often as its group needs it."""
        if self.strata is None:
            return np.arange(self.n_events)
        # Remainders go to random groups, or some would always be one short.
        exact = self.strata.share * self.n_events
        quota = np.floor(exact).astype(int)
        missing = self.n_events - quota.sum()
        quota[generator.permutation(len(quota))[:missing]] += 1
        parts = []
        for group, n_wanted in enumerate(quota):
            members = np.flatnonzero(self.strata.number == group)
            # Whole rounds through a group that is smaller than its quota, each in an order of its
            # own: counts of two of its events differ by one at most.
            n_rounds = ceil(n_wanted / len(members))
            rounds = [generator.permutation(members) for _ in range(n_rounds)]
            parts.append(np.concatenate([*rounds, members[:0]])[:n_wanted])
        return np.concatenate(parts)
