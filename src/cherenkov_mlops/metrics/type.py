"""Metrics of the classification into signal and background; positive is the signal class.

``events`` has the columns ``gh_score`` (probability of the signal class) and ``signal`` (bool).
The definitions are those of scikit-learn, against which each is tested.
"""

from collections.abc import Callable
from functools import wraps

import numpy as np

from cherenkov_mlops.metrics.base import EvaluationSettings, metric
from cherenkov_mlops.metrics.table import Events, per_event
from cherenkov_mlops.metrics.thresholds import (
    count_classes,
    has_both_classes,
    ratio,
    rejected_background,
    scan_thresholds,
    score_cut,
)

#: Number of equal-width bins of the expected calibration error.
N_CALIBRATION_BINS = 10


def with_both_classes(function: Callable[..., float]) -> Callable[..., float]:
    """The function, but NaN where a class has no event."""

    @wraps(function)
    def guarded(events: Events, *settings: EvaluationSettings) -> float:
        return function(events, *settings) if has_both_classes(events) else float("nan")

    return guarded


@metric(
    kind="type",
    symbol="AUC",
    unit="",
    better="higher",
    key=True,
    fails_below=0.5,
    failure="worse than guessing: the classes may be swapped",
)
@with_both_classes
def auc(events: Events) -> float:
    r"""Area under the ROC curve: probability that a signal event scores above a background event.

    Never flipped: below 0.5 the classes may be swapped.

    Formula: $P(s_\mathrm{sig} > s_\mathrm{bkg}) + P(s_\mathrm{sig} = s_\mathrm{bkg}) / 2$
    Source: Hanley & McNeil, Radiology 143 (1982) 29; scikit-learn, ``roc_auc_score``.
    """
    scan = scan_thresholds(events)
    area = np.trapezoid(scan.signal, scan.background)
    return float(area / scan.signal[-1] / scan.background[-1])


@metric(kind="type", symbol="accuracy", unit="", better="higher", key=True)
def accuracy(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of events whose class is right at the threshold.

    Formula: $(TP + TN) / N$
    Source: scikit-learn, ``accuracy_score``.
    """
    counts = count_classes(events, settings.threshold)
    return ratio(counts.true_signal + counts.true_background, sum(counts))


@metric(kind="type", symbol="balanced accuracy", unit="", better="higher")
@with_both_classes
def balanced_accuracy(events: Events, settings: EvaluationSettings) -> float:
    r"""Mean of the recalls of both classes at the threshold.

    Formula: $(TP / (TP + FN) + TN / (TN + FP)) / 2$
    Source: scikit-learn, ``balanced_accuracy_score``.
    """
    return (recall(events, settings) + recall_background(events, settings)) / 2


@metric(kind="type", symbol="precision", unit="", better="higher", studied=True)
def precision(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of signal among the events that pass the threshold; NaN if none passes.

    Formula: $TP / (TP + FP)$
    Source: scikit-learn, ``precision_score``.
    """
    counts = count_classes(events, settings.threshold)
    return ratio(counts.true_signal, counts.true_signal + counts.false_signal)


@metric(kind="type", symbol="recall", unit="", better="higher", studied=True)
def recall(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of the signal events that pass the threshold; NaN without signal.

    Formula: $TP / (TP + FN)$
    Source: scikit-learn, ``recall_score``.
    """
    counts = count_classes(events, settings.threshold)
    return ratio(counts.true_signal, counts.true_signal + counts.false_background)


@metric(kind="type", symbol="precision (bkg)", unit="", better="higher")
def precision_background(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of background among the events that fail the threshold; NaN if none fails.

    Formula: $TN / (TN + FN)$
    Source: scikit-learn, ``precision_score``, with background as the positive class.
    """
    counts = count_classes(events, settings.threshold)
    return ratio(counts.true_background, counts.true_background + counts.false_background)


@metric(kind="type", symbol="recall (bkg)", unit="", better="higher")
def recall_background(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of the background events that fail the threshold; NaN without background.

    Formula: $TN / (TN + FP)$
    Source: scikit-learn, ``recall_score``, with background as the positive class.
    """
    counts = count_classes(events, settings.threshold)
    return ratio(counts.true_background, counts.true_background + counts.false_signal)


@metric(kind="type", symbol="$F_1$", unit="", better="higher", studied=True)
def f1(events: Events, settings: EvaluationSettings) -> float:
    r"""Harmonic mean of precision and recall; NaN with neither true nor predicted signal.

    Formula: $2 TP / (2 TP + FP + FN)$
    Source: scikit-learn, ``f1_score``.
    """
    counts = count_classes(events, settings.threshold)
    wrong = counts.false_signal + counts.false_background
    return ratio(2 * counts.true_signal, 2 * counts.true_signal + wrong)


@per_event
def _squared_distance(events: Events) -> np.ndarray:
    return (events["gh_score"] - events["signal"]) ** 2


@metric(kind="type", symbol="Brier", unit="", better="lower")
def brier_score(events: Events) -> float:
    r"""Mean squared difference of the score and the class (1 signal, 0 background).

    Formula: $\langle (s - y)^2 \rangle$
    Source: Brier, Mon. Weather Rev. 78 (1950) 1, eq. 2; scikit-learn, ``brier_score_loss``.
    """
    return float(np.mean(_squared_distance(events)))


@per_event
def _negative_log_likelihood(events: Events) -> np.ndarray:
    score = events["gh_score"]
    # As scikit-learn does: a certain answer that is wrong costs 36, not infinitely much.
    tiny = np.finfo(float).eps
    return -np.log(np.clip(np.where(events["signal"], score, 1 - score), tiny, 1 - tiny))


@metric(kind="type", symbol="log loss", unit="", better="lower")
def log_loss(events: Events) -> float:
    r"""Mean negative log-likelihood of the true class (cross-entropy), natural logarithm.

    Formula: $-\langle y \ln s + (1 - y) \ln(1 - s) \rangle$, $s$ clipped at 2.2e-16
    Source: Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.90; scikit-learn,
    ``log_loss``.
    """
    return float(np.mean(_negative_log_likelihood(events)))


@metric(kind="type", symbol="AP", unit="", better="higher")
@with_both_classes
def average_precision(events: Events) -> float:
    r"""Mean precision over all thresholds, weighted by the gain in recall.

    Formula: $\sum_k (R_k - R_{k-1}) P_k$
    Source: scikit-learn, ``average_precision_score``.
    """
    signal, background = scan_thresholds(events)
    precisions = signal[1:] / (signal[1:] + background[1:])
    return float(np.sum(np.diff(signal) * precisions) / signal[-1])


@per_event
def calibration_bin(events: Events) -> np.ndarray:
    """Number of the bin of the score, ten bins of equal width from zero to one."""
    # A score of exactly one belongs to the last bin.
    bins = (events["gh_score"] * N_CALIBRATION_BINS).astype(int)
    return np.minimum(bins, N_CALIBRATION_BINS - 1)


@per_event
def _excess(events: Events) -> np.ndarray:
    return events["gh_score"] - events["signal"]


@metric(kind="type", symbol="ECE", unit="", better="lower")
def expected_calibration_error(events: Events) -> float:
    r"""Mean distance of the score from the share of signal, over ten bins of the score.

    Each bin counts by its number of events.

    Formula: $\sum_b (N_b / N) \, |\langle s \rangle_b - \langle y \rangle_b|$
    Source: binary form of Guo et al., ICML 2017 (arXiv:1706.04599), eq. 3.
    """
    bins = calibration_bin(events)
    excess = np.bincount(bins, _excess(events), N_CALIBRATION_BINS)
    return float(np.abs(excess).sum() / len(bins))


@metric(kind="type", symbol=r"bkg rejection", unit="", better="higher", key=True)
def background_rejection(events: Events, settings: EvaluationSettings) -> float:
    r"""Share of background removed by the cut that keeps the configured share of signal.

    Formula: $1 - \epsilon_\mathrm{bkg}(\epsilon_\mathrm{sig})$
    Source: a point of the ROC curve; cut at fixed efficiency as in pyirf, ``cuts``.
    """
    return rejected_background(events, settings.signal_efficiency)


@metric(kind="type", symbol=r"bkg rejection at $\epsilon_s=0.5$", unit="", better="higher")
def background_rejection_50(events: Events) -> float:
    r"""Share of background removed by the cut that keeps 50 % of the signal.

    Formula: $1 - \epsilon_\mathrm{bkg}(\epsilon_\mathrm{sig} = 0.5)$
    Source: as ``background_rejection``.
    """
    return rejected_background(events, 0.5)


@metric(kind="type", symbol=r"bkg rejection at $\epsilon_s=0.7$", unit="", better="higher")
def background_rejection_70(events: Events) -> float:
    r"""Share of background removed by the cut that keeps 70 % of the signal.

    Formula: $1 - \epsilon_\mathrm{bkg}(\epsilon_\mathrm{sig} = 0.7)$
    Source: as ``background_rejection``.
    """
    return rejected_background(events, 0.7)


@metric(kind="type", symbol=r"bkg rejection at $\epsilon_s=0.9$", unit="", better="higher")
def background_rejection_90(events: Events) -> float:
    r"""Share of background removed by the cut that keeps 90 % of the signal.

    Formula: $1 - \epsilon_\mathrm{bkg}(\epsilon_\mathrm{sig} = 0.9)$
    Source: as ``background_rejection``.
    """
    return rejected_background(events, 0.9)


@metric(kind="type", symbol="cut", unit="", better="none")
def threshold_at_signal_efficiency(events: Events, settings: EvaluationSettings) -> float:
    r"""Score at which the configured share of signal is kept.

    Formula: the $1 - \epsilon_\mathrm{sig}$ quantile of the score of signal, not interpolated
    Source: pyirf, ``calculate_percentile_cut``.
    """
    return score_cut(events, settings.signal_efficiency)


@metric(
    kind="type",
    symbol=r"$\sigma$(score)",
    unit="",
    better="none",
    fails_below=1e-5,
    failure="the network gives the same answer for every event",
)
def score_spread(events: Events) -> float:
    r"""Standard deviation of the score; zero for a network that answers a constant.

    Formula: $\sqrt{\langle (s - \langle s \rangle)^2 \rangle}$
    Source: own definition.
    """
    return float(np.std(events["gh_score"]))
