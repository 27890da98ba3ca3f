"""Warnings at the top of a page: what the reader must know before believing a number."""

from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.reporting.ranking import stored_value
from cherenkov_mlops.results import Results

#: From the worst to the mildest.
LEVELS = ("failure", "warning", "hint")
_MAX_CLASS_RATIO = 3.0
_MAX_INVALID_SHARE = 0.1
_MIN_TEST_EVENTS = 100
_RISEN = 1.1


@dataclass(frozen=True)
class Notice:
    """One warning; ``level`` is ``failure``, ``warning`` or ``hint``."""

    level: str
    text: str


def find_notices(run: Results) -> list[Notice]:
    """All that is worth a warning about a run, the worst first."""
    return [
        *_failed_metrics(run),
        *_invalid_rows(run),
        *_small_test(run),
        *_class_imbalance(run),
        *_validation_loss(run),
    ]


def _failed_metrics(run: Results) -> list[Notice]:
    return [
        Notice("failure", f"{name} = {value:.3g}: {entry.failure}.")
        for name, entry in METRICS.items()
        if entry.fails_below is not None and (value := stored_value(run, name)) < entry.fails_below
    ]


def _invalid_rows(run: Results) -> list[Notice]:
    n_invalid = run.data.get("n_invalid") or 0
    n_valid = sum((run.data.get("test") or {}).values())
    share = n_invalid / max(n_invalid + n_valid, 1)
    if share <= _MAX_INVALID_SHARE:
        return []
    return [Notice("warning", f"{share:.0%} of the test rows are invalid and left out.")]


def _small_test(run: Results) -> list[Notice]:
    names = run.run["classes"]
    return [
        Notice("warning", f"Only {number} test events of class {names.get(name, name)}.")
        for name, number in (run.data.get("test") or {}).items()
        if 0 < number < _MIN_TEST_EVENTS
    ]


def _class_imbalance(run: Results) -> list[Notice]:
    numbers = run.data.get("train") or {}
    signal, background = numbers.get("signal") or 0, numbers.get("background") or 0
    if not (signal and background):
        return []
    ratio = max(signal, background) / min(signal, background)
    if ratio <= _MAX_CLASS_RATIO:
        return []
    return [
        Notice(
            "warning",
            f"The training classes are not balanced: {signal:,} and {background:,} events.",
        )
    ]


def _validation_loss(run: Results) -> list[Notice]:
    history = run.training.get("history", {})
    losses = np.asarray(history.get("val_loss", []), dtype=float)
    if np.count_nonzero(np.isfinite(losses)) < 2:
        return []
    best = int(np.nanargmin(losses))
    if best == len(losses) - 1:
        return [
            Notice("hint", "The validation loss was lowest at the last epoch: train for longer.")
        ]
    if losses[-1] > _RISEN * losses[best]:
        rise = losses[-1] / losses[best] - 1
        return [
            Notice("hint", f"The validation loss has risen by {rise:.0%} since its best epoch.")
        ]
    return []
