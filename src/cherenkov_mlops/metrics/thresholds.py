"""How many events of each class pass a threshold: what metrics of the classification are made of.

They are counted here and not by scikit-learn, since a bootstrap asks thousands of times, on arrays
that are known to be sound: all metrics share one sorting of the scores, where scikit-learn checks
and sorts them anew in every call.
"""

from typing import NamedTuple

import numpy as np

from cherenkov_mlops.metrics.table import Events, per_event, remembered


class ClassCounts(NamedTuple):
    """Numbers of events by true class and by whether they pass the threshold."""

    true_signal: int
    false_signal: int
    false_background: int
    true_background: int


class ThresholdScan(NamedTuple):
    """Numbers of ``signal`` and ``background`` events that pass each distinct threshold.

    From the highest threshold, which none passes, to the lowest, which all pass.
    """

    signal: np.ndarray
    background: np.ndarray


@remembered
def has_both_classes(events: Events) -> bool:
    """Whether there is at least one event of each class."""
    return bool(events["signal"].any() and not events["signal"].all())


@per_event
def passes(events: Events, threshold: float) -> np.ndarray:
    """Whether each event counts as signal at the threshold."""
    return events["gh_score"] >= threshold


@remembered
def count_classes(events: Events, threshold: float) -> ClassCounts:
    """Events of each true class that pass and fail the threshold."""
    passed, signal = passes(events, threshold), events["signal"]
    n_signal, n_passed = np.count_nonzero(signal), np.count_nonzero(passed)
    both = np.count_nonzero(signal & passed)
    neither = len(signal) - n_signal - n_passed + both
    return ClassCounts(both, n_passed - both, n_signal - both, neither)


@per_event
def _sorting_keys(events: Events) -> np.ndarray:
    """Integers in the order of the scores, equal scores apart by class: twice as fast to sort."""
    _, ranks = np.unique(events["gh_score"], return_inverse=True)
    # NumPy sorts integers of 32 bits four times as fast as it finds the order of floats.
    return (2 * ranks + events["signal"]).astype(np.int32)


@remembered
def scan_thresholds(events: Events) -> ThresholdScan:
    """Events of each class that pass, for all distinct thresholds."""
    keys = np.sort(_sorting_keys(events))[::-1]
    # The last of equal scores: a threshold takes all of them or none.
    passed = np.append(0, np.flatnonzero(np.diff(keys >> 1, append=-1)) + 1)
    signal = np.append(0, np.cumsum(keys & 1))[passed]
    return ThresholdScan(signal, passed - signal)


def score_cut(events: Events, signal_efficiency: float) -> float:
    """Largest ``gh_score`` that at least this share of the signal events reaches; NaN without."""
    scores = events["gh_score"][events["signal"]]
    if not scores.size:
        return float("nan")
    return float(np.quantile(scores, 1 - signal_efficiency, method="lower"))


def rejected_background(events: Events, signal_efficiency: float) -> float:
    """Share of background events below `score_cut`; NaN where a class has no event."""
    if not has_both_classes(events):
        return float("nan")
    scan = scan_thresholds(events)
    n_signal, n_background = scan.signal[-1], scan.background[-1]
    # The place that NumPy's quantile takes without interpolation, so that this is `score_cut`.
    n_kept = n_signal - int((n_signal - 1) * (1 - signal_efficiency))
    return float(1 - scan.background[np.searchsorted(scan.signal, n_kept)] / n_background)


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN for nothing of nothing."""
    return float(part / whole) if whole else float("nan")
