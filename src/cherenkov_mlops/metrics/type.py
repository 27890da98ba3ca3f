"""Metrics of the classification into signal and background; positive is the signal class.

``events`` has the columns ``gh_score`` (probability of the signal class) and ``signal`` (bool).
"""

from collections.abc import Callable
from functools import wraps

import numpy as np
from sklearn import metrics as sklearn_metrics

from cherenkov_mlops.metrics.base import EvaluationSettings, metric
from cherenkov_mlops.metrics.events import Events

#: Number of equal-width bins of the expected calibration error.
N_CALIBRATION_BINS = 10


def has_both_classes(events: Events) -> bool:
    """Whether there is at least one event of each class."""
    return bool(events["signal"].any() and not events["signal"].all())


def with_both_classes(function: Callable[..., float]) -> Callable[..., float]:
    """The function, but NaN where a class has no event."""

    @wraps(function)
    def guarded(events: Events, *settings: EvaluationSettings) -> float:
        return function(events, *settings) if has_both_classes(events) else float("nan")

    return guarded


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
    background = events["gh_score"][~events["signal"]]
    return float(np.mean(background < score_cut(events, signal_efficiency)))


def predicted_signal(events: Events, settings: EvaluationSettings) -> np.ndarray:
    """Whether each event counts as signal at the configured threshold."""
    return events["gh_score"] >= settings.threshold


@metric(
    task="type",
    symbol="AUC",
    unit="",
    better="higher",
    key=True,
    fails_below=0.5,
    failure="worse than guessing: the classes may be swapped",
)
@with_both_classes
def auc(events: Events) -> float:
    """Area under the ROC curve: probability that a signal event scores above a background event.

    Never flipped: below 0.5 the classes may be swapped. scikit-learn, ``roc_auc_score``.
    """
    return sklearn_metrics.roc_auc_score(events["signal"], events["gh_score"])


@metric(task="type", symbol="accuracy", unit="", better="higher", key=True)
def accuracy(events: Events, settings: EvaluationSettings) -> float:
    """Share of events whose class is right at the threshold.

    scikit-learn, ``accuracy_score``.
    """
    return sklearn_metrics.accuracy_score(events["signal"], predicted_signal(events, settings))


@metric(task="type", symbol="balanced accuracy", unit="", better="higher")
@with_both_classes
def balanced_accuracy(events: Events, settings: EvaluationSettings) -> float:
    """Mean of the recalls of both classes at the threshold.

    scikit-learn, ``balanced_accuracy_score``.
    """
    predicted = predicted_signal(events, settings)
    return sklearn_metrics.balanced_accuracy_score(events["signal"], predicted)


@metric(task="type", symbol="precision", unit="", better="higher")
def precision(events: Events, settings: EvaluationSettings) -> float:
    """Share of signal among the events that pass the threshold.

    scikit-learn, ``precision_score``; NaN if none passes.
    """
    return _precision(events["signal"], predicted_signal(events, settings))


@metric(task="type", symbol="recall", unit="", better="higher")
def recall(events: Events, settings: EvaluationSettings) -> float:
    """Share of the signal events that pass the threshold.

    scikit-learn, ``recall_score``; NaN without signal.
    """
    return _recall(events["signal"], predicted_signal(events, settings))


@metric(task="type", symbol="precision (bkg)", unit="", better="higher")
def precision_background(events: Events, settings: EvaluationSettings) -> float:
    """Share of background among the events that fail the threshold.

    scikit-learn, ``precision_score``, with background as the positive class.
    """
    return _precision(~events["signal"], ~predicted_signal(events, settings))


@metric(task="type", symbol="recall (bkg)", unit="", better="higher")
def recall_background(events: Events, settings: EvaluationSettings) -> float:
    """Share of the background events that fail the threshold.

    scikit-learn, ``recall_score``, with background as the positive class.
    """
    return _recall(~events["signal"], ~predicted_signal(events, settings))


@metric(task="type", symbol="$F_1$", unit="", better="higher")
def f1(events: Events, settings: EvaluationSettings) -> float:
    """Harmonic mean of precision and recall at the threshold.

    scikit-learn, ``f1_score``; NaN with neither true nor predicted signal.
    """
    predicted = predicted_signal(events, settings)
    return sklearn_metrics.f1_score(events["signal"], predicted, zero_division=np.nan)


@metric(task="type", symbol="Brier", unit="", better="lower")
def brier_score(events: Events) -> float:
    """Mean squared difference of the score and the class (1 signal, 0 background).

    scikit-learn, ``brier_score_loss``; Brier, Mon. Weather Rev. 78 (1950) 1.
    """
    return sklearn_metrics.brier_score_loss(events["signal"], events["gh_score"], pos_label=True)


@metric(task="type", symbol="log loss", unit="", better="lower")
def log_loss(events: Events) -> float:
    """Mean negative log-likelihood of the true class (cross-entropy).

    scikit-learn, ``log_loss``.
    """
    return sklearn_metrics.log_loss(events["signal"], events["gh_score"], labels=[False, True])


@metric(task="type", symbol="AP", unit="", better="higher")
@with_both_classes
def average_precision(events: Events) -> float:
    """Mean precision over all thresholds, weighted by the gain in recall.

    scikit-learn, ``average_precision_score``.
    """
    return sklearn_metrics.average_precision_score(events["signal"], events["gh_score"])


@metric(task="type", symbol="ECE", unit="", better="lower")
def expected_calibration_error(events: Events) -> float:
    """Mean distance of the score from the share of signal, over ten bins of the score.

    Each bin counts by its number of events. Binary form of Guo et al., ICML 2017, eq. 3.
    """
    bins = np.minimum((events["gh_score"] * N_CALIBRATION_BINS).astype(int), N_CALIBRATION_BINS - 1)
    excess = np.bincount(bins, events["gh_score"] - events["signal"], N_CALIBRATION_BINS)
    return float(np.abs(excess).sum() / len(bins))


@metric(task="type", symbol=r"bkg rejection", unit="", better="higher", key=True)
def background_rejection(events: Events, settings: EvaluationSettings) -> float:
    """Share of background removed by the cut that keeps the configured share of signal."""
    return rejected_background(events, settings.signal_efficiency)


@metric(task="type", symbol=r"bkg rejection at $\epsilon_s=0.5$", unit="", better="higher")
def background_rejection_50(events: Events) -> float:
    """Share of background removed by the cut that keeps 50 % of the signal."""
    return rejected_background(events, 0.5)


@metric(task="type", symbol=r"bkg rejection at $\epsilon_s=0.7$", unit="", better="higher")
def background_rejection_70(events: Events) -> float:
    """Share of background removed by the cut that keeps 70 % of the signal."""
    return rejected_background(events, 0.7)


@metric(task="type", symbol=r"bkg rejection at $\epsilon_s=0.9$", unit="", better="higher")
def background_rejection_90(events: Events) -> float:
    """Share of background removed by the cut that keeps 90 % of the signal."""
    return rejected_background(events, 0.9)


@metric(task="type", symbol="cut", unit="", better="none")
def threshold_at_signal_efficiency(events: Events, settings: EvaluationSettings) -> float:
    """Score at which the configured share of signal is kept."""
    return score_cut(events, settings.signal_efficiency)


@metric(
    task="type",
    symbol=r"$\sigma$(score)",
    unit="",
    better="none",
    fails_below=1e-5,
    failure="the network gives the same answer for every event",
)
def score_spread(events: Events) -> float:
    """Standard deviation of the score; zero for a network that answers a constant."""
    return float(np.std(events["gh_score"]))


def _precision(truth: np.ndarray, predicted: np.ndarray) -> float:
    return sklearn_metrics.precision_score(truth, predicted, zero_division=np.nan)


def _recall(truth: np.ndarray, predicted: np.ndarray) -> float:
    return sklearn_metrics.recall_score(truth, predicted, zero_division=np.nan)
