"""Warnings at the top of a page: what the reader must know before believing a number."""

from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.metrics import METRICS
from cherenkov_mlops.reporting.ranking import stored_value
from cherenkov_mlops.results import Results

#: From the worst to the mildest.
LEVELS = ("failure", "warning", "hint")
_MAX_CLASS_RATIO = 3.0
#: How much larger the share that the test loses may be than that of the training.
_MAX_EXTRA_INVALID = 0.1
_MANY_INVALID = 0.1
_MAX_OUTSIDE = 0.01
_MAX_REPEATED = 0.05
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
        *_leakage(run),
        *_data_findings(run),
        *_repeated_predictions(run),
        *_outside_training(run),
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


def _leakage(run: Results) -> list[Notice]:
    names = [str(path).rpartition("/")[2] for path in run.data.get("overlap", [])]
    if not names:
        return []
    files = "file was" if len(names) == 1 else "files were"
    text = f"{len(names)} test {files} trained on: {_join(names)}; all values are too good."
    return [Notice("failure", text)]


def _data_findings(run: Results) -> list[Notice]:
    """Failures as they are, and how many warnings stand in the section about the data."""
    findings = run.data.get("findings", [])
    notices = [Notice("failure", item["text"]) for item in findings if item["level"] == "failure"]
    n_warnings = sum(item["level"] == "warning" for item in findings)
    if n_warnings:
        what = "a warning" if n_warnings == 1 else f"{n_warnings} warnings"
        text = f"The check of the files ended with {what}: look at the section Data."
        notices.append(Notice("warning", text))
    return notices


def _repeated_predictions(run: Results) -> list[Notice]:
    facts = run.data.get("predictions", {})
    n_rows, n_same = facts.get("n", 0), facts.get("n_most_common", 0)
    if n_rows < 2 or n_same <= max(_MAX_REPEATED * n_rows, 1):
        return []
    if facts["n_distinct"] == 1:
        return [Notice("failure", f"All {n_rows:,} predictions are the same.")]
    text = (
        f"{n_same / n_rows:.0%} of the predictions are one and the same value "
        f"({facts['n_distinct']:,} different ones in all): the network hardly looks at its input."
    )
    return [Notice("warning", text)]


def _outside_training(run: Results) -> list[Notice]:
    facts = run.data.get("predictions", {})
    n_rows, n_below, n_above = (int(facts.get(name) or 0) for name in ("n", "n_below", "n_above"))
    if (n_below + n_above) / max(n_rows, 1) <= _MAX_OUTSIDE or "trained_tev" not in facts:
        return []
    low, high = facts["trained_tev"]
    text = (
        f"{(n_below + n_above) / n_rows:.1%} of the reconstructed energies are outside the "
        f"training range of {low:.3g} to {high:.3g} TeV ({n_below:,} below, {n_above:,} above)."
    )
    return [Notice("warning", text)]


def _invalid_rows(run: Results) -> list[Notice]:
    """Rows that the test leaves out; the cuts take some, and take as many from the training."""
    n_invalid = run.data.get("n_invalid") or 0
    n_valid = sum((run.data.get("test") or {}).values())
    share = n_invalid / max(n_invalid + n_valid, 1)
    cut = _share_cut(run)
    if share <= _MANY_INVALID:
        return []
    text = f"{share:.0%} of the test rows are invalid and left out"
    if share > cut + _MAX_EXTRA_INVALID:
        return [Notice("warning", f"{text}; the cuts explain {cut:.0%}.")]
    return [Notice("hint", f"{text}, no more than the cuts take from the training.")]


def _share_cut(run: Results) -> float:
    """Share of the training samples that the cuts take away."""
    cuts = run.data.get("cuts", [])
    before, after = (
        sum(cuts[place].get(name, 0) for name in ("signal", "background")) if cuts else 0
        for place in (0, -1)
    )
    return 1 - after / before if before else 0.0


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


def _join(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
