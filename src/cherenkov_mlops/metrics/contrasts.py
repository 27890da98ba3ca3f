"""Differences between trained networks, with what chance adds: in the events, in the training.

A contrast is a sum of qualities with weights that add up to zero, such as pruned minus dense. It
varies for two reasons:

- *events*: another test set would give other values. All networks of a study see the same test
  events, and replicate ``b`` of each draws the same showers: the spread of the contrast over the
  replicates is that of the paired bootstrap.
- *training*: another seed would give another network. Two or three seeds a row say little about
  the spread of that row, so it is pooled: within one task and model, qualities are taken as
  row + seed + rest, and the rests of some rows have one variance (a randomised block design).

The variances add up; the interval is that of Student's t with Satterthwaite's degrees of freedom.
The part of the training's spread that depends on the events is in both, so intervals are rather
too wide than too narrow.

References
----------
Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (paired bootstrap).
Montgomery, "Design and Analysis of Experiments" (2012), chapter 4 (blocks).
Satterthwaite, Biometrics Bulletin 2 (1946) 110.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

#: Probability of the intervals that decide on verdicts.
CONFIDENCE = 0.95

type Verdict = Literal["better", "same", "worse", "unknown"]


@dataclass(frozen=True)
class Quality:
    """How good one trained network is; more is better.

    Parameters
    ----------
    group : str
        Task and model: networks of one group have one spread over seeds.
    row : str
        How it was made, apart from the seed.
    seed : int
        Its seed.
    value : float
        Quality on all test events.
    replicates : numpy.ndarray
        Qualities on resampled events, shape ``(n_replicates,)``; empty if there are none.
    events : str
        Mark of the test events: replicates of networks with the same one are pairs.
    """

    group: str
    row: str
    seed: int
    value: float
    replicates: np.ndarray
    events: str = ""


@dataclass(frozen=True)
class SeedSpread:
    """Variance of a quality over seeds, pooled over the rows of a group.

    Parameters
    ----------
    variance : float
        Of a single network; NaN without degrees of freedom.
    dof : int
        Degrees of freedom.
    """

    variance: float
    dof: int


@dataclass(frozen=True)
class Estimate:
    """A contrast with its interval.

    Parameters
    ----------
    value, low, high : float
        Estimate and limits of the interval; NaN limits if a part of the spread is not known.
    event_sd, seed_sd : float
        Standard deviations from the choice of events and of seeds.
    dof : float
        Degrees of freedom of the interval.
    """

    value: float
    low: float
    high: float
    event_sd: float
    seed_sd: float
    dof: float

    @property
    def verdict(self) -> Verdict:
        """``better`` or ``worse`` if the interval excludes zero, else ``same``."""
        if not np.isfinite([self.value, self.low, self.high]).all():
            return "unknown"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "same"


def pool_seed_spread(cells: Sequence[Quality]) -> SeedSpread:
    """Estimate the variance of what is left of the qualities of one group after row and seed.

    Rows may lack seeds: the additive model is fitted by least squares.
    """
    known = [cell for cell in cells if np.isfinite(cell.value)]
    if not known:
        return SeedSpread(np.nan, 0)
    columns = [_indicators([cell.row for cell in known]), _indicators([c.seed for c in known])]
    design = np.concatenate(columns, axis=1)
    values = np.array([cell.value for cell in known])
    fit, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    dof = len(known) - int(rank)
    rest = values - design @ fit
    return SeedSpread(float(rest @ rest / dof) if dof else np.nan, dof)


def _indicators(names: Sequence[object]) -> np.ndarray:
    """One column a name, shape ``(len(names), n_different)``."""
    return np.array([[name == other for other in dict.fromkeys(names)] for name in names], float)


def estimate_contrast(
    terms: Sequence[tuple[float, Quality]],
    spreads: Mapping[str, SeedSpread],
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Estimate ``sum(weight * quality)`` and its interval.

    Parameters
    ----------
    terms : sequence of (float, Quality)
        Weights and networks, each network once.
    spreads : mapping of str to SeedSpread
        Group -> its spread over seeds.
    confidence : float
        Probability of the interval.
    """
    value = float(sum(weight * cell.value for weight, cell in terms))
    event_variance, n_replicates = _event_variance(terms)
    parts = {}
    for weight, cell in terms:
        parts[cell.group] = parts.get(cell.group, 0.0) + weight**2 * spreads[cell.group].variance
    seed_variance = sum(parts.values())
    total = event_variance + seed_variance
    pieces = [(part, spreads[group].dof) for group, part in parts.items()]
    pieces += [(event_variance, n_replicates - 1)]
    # Satterthwaite's degrees of freedom of a sum of variances.
    below = sum(part**2 / dof for part, dof in pieces if dof > 0)
    dof = float(total**2 / below) if below > 0 else np.inf
    half = float(student.ppf((1 + confidence) / 2, dof) * np.sqrt(total)) if total > 0 else total
    return Estimate(value, value - half, value + half, event_variance**0.5, seed_variance**0.5, dof)


def estimate_mean(
    differences: Sequence[float], event_sd: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate the mean of differences between independently trained networks.

    The spread of the differences themselves is taken, whatever makes them differ: it holds where
    some conditions spread more than others, too.

    Parameters
    ----------
    differences : sequence of float
        One for each pair of networks.
    event_sd : float
        Standard deviation of the mean from the choice of events, which all of them share.
    confidence : float
        Probability of the interval.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        value = float(values[0]) if len(values) else np.nan
        return Estimate(value, np.nan, np.nan, event_sd, np.nan, 0)
    value, seed_sd = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    dof = len(values) - 1
    half = float(student.ppf((1 + confidence) / 2, dof) * np.hypot(seed_sd, event_sd))
    return Estimate(value, value - half, value + half, event_sd, seed_sd, dof)


def _event_variance(terms: Sequence[tuple[float, Quality]]) -> tuple[float, int]:
    """Variance of the contrast over paired replicates, and their number; NaN without any."""
    total, fewest = 0.0, np.inf
    for events in dict.fromkeys(cell.events for _, cell in terms):
        own = [(weight, cell.replicates) for weight, cell in terms if cell.events == events]
        # The draws come one after the other: the common beginning of all lists is paired.
        common = min(len(replicates) for _, replicates in own)
        sums = sum(weight * np.asarray(replicates[:common]) for weight, replicates in own)
        sums = sums[np.isfinite(sums)]
        if len(sums) < 2:
            return np.nan, 0
        total += float(np.var(sums, ddof=1))
        fewest = min(fewest, len(sums))
    return total, int(fewest)
