"""Warnings at the top of a page: what the reader must know before believing a number."""

import numpy as np

from cherenkov_mlops.metrics import metrics_of
from cherenkov_mlops.results import Finding, Results
from cherenkov_mlops.tasks import TASKS

_MAX_CLASS_RATIO = 3.0
#: How much larger the share that the test loses may be than that of the training.
_MAX_EXTRA_INVALID = 0.1
_MANY_INVALID = 0.1
_MAX_OUTSIDE = 0.01
_MAX_REPEATED = 0.05
_MIN_TEST_EVENTS = 100
_RISEN = 1.1


def find_notices(run: Results) -> list[Finding]:
    """Find all that is worth a warning about a run and its tasks."""
    of_tasks = [notice for name in run.tasks for notice in task_notices(run, name)]
    return [*of_tasks, *run_notices(run)]


def run_notices(run: Results) -> list[Finding]:
    """Find what is worth a warning about files and training."""
    found = []
    names = [str(path).rpartition("/")[2] for path in run.data.overlap or []]
    if names:
        files = "file was" if len(names) == 1 else "files were"
        shown = ", ".join(names[:3])
        shown = shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
        text = f"{len(names)} test {files} trained on: {shown}; all values are too good."
        found.append(Finding("failure", "overlap", text))

    # Failures of the files as they are; how many warnings stand in the section about the data.
    found += [finding for finding in run.data.findings if finding.level == "failure"]
    n_warnings = sum(finding.level == "warning" for finding in run.data.findings)
    if n_warnings:
        what = "a warning" if n_warnings == 1 else f"{n_warnings} warnings"
        text = f"The check of the files ended with {what}: look at the section Data."
        found.append(Finding("warning", "files", text))

    counts = run.data.train
    # The check of the files says it, too, with what to do: once is enough.
    if counts and counts.signal and counts.background:
        numbers = (counts.signal, counts.background)
        is_said = any(finding.check == "balance" for finding in run.data.findings)
        if max(numbers) > _MAX_CLASS_RATIO * min(numbers) and not is_said:
            text = (
                f"The training classes are not balanced: {numbers[0]:,} and {numbers[1]:,} events."
            )
            found.append(Finding("warning", "balance", text))

    columns = run.training.history.model_extra if run.training.history else {}
    losses = np.asarray(columns.get("val_loss", []), dtype=float)
    if np.count_nonzero(np.isfinite(losses)) >= 2:
        best = int(np.nanargmin(losses))
        if best == len(losses) - 1:
            text = "The validation loss was lowest at the last epoch: train for longer."
            found.append(Finding("hint", "loss", text))
        elif losses[-1] > _RISEN * losses[best]:
            rise = losses[-1] / losses[best] - 1
            text = f"The validation loss has risen by {rise:.0%} since its best epoch."
            found.append(Finding("hint", "loss", text))
    return found


def task_notices(run: Results, name: str) -> list[Finding]:
    """Find what is worth a warning about the predictions of one task."""
    task = run.tasks[name]
    found = [
        Finding("failure", "metrics", f"{key} = {value:.3g}: {entry.failure}.")
        for key, entry in metrics_of(TASKS[name].kind).items()
        if entry.fails_below is not None and (value := task.value(key)) < entry.fails_below
    ]
    facts = task.predictions
    if facts is not None:
        n_rows, n_same = facts.n or 0, facts.n_most_common or 0
        if n_rows >= 2 and n_same > max(_MAX_REPEATED * n_rows, 1):
            if facts.n_distinct == 1:
                text = f"All {n_rows:,} predictions are the same."
                found.append(Finding("failure", "predictions", text))
            else:
                text = (
                    f"{n_same / n_rows:.0%} of the predictions are one and the same value "
                    f"({facts.n_distinct or 0:,} different ones in all): the network hardly looks "
                    "at its input."
                )
                found.append(Finding("warning", "predictions", text))
        n_outside = facts.n_below + facts.n_above
        if n_outside > _MAX_OUTSIDE * max(n_rows, 1) and len(facts.trained_tev) == 2:
            low, high = facts.trained_tev
            text = (
                f"{n_outside / max(n_rows, 1):.1%} of the reconstructed energies are outside the "
                f"training range of {low:.3g} to {high:.3g} TeV ({facts.n_below:,} below, "
                f"{facts.n_above:,} above)."
            )
            found.append(Finding("warning", "predictions", text))

    # Rows that the test leaves out; the cuts take some, and take as many from the training.
    n_invalid, n_valid = task.n_invalid or 0, task.test.total if task.test else 0
    share = n_invalid / max(n_invalid + n_valid, 1)
    if share > _MANY_INVALID:
        cuts = run.data.cuts or []
        before, after = (cuts[place].total if cuts else 0 for place in (0, -1))
        cut = 1 - after / before if before else 0.0
        text = f"{share:.0%} of the test rows are invalid and left out"
        if share > cut + _MAX_EXTRA_INVALID:
            text = f"{text}; the cuts explain {cut:.0%}."
            found.append(Finding("warning", "invalid", text))
        else:
            text = f"{text}, no more than the cuts take from the training."
            found.append(Finding("hint", "invalid", text))

    for label in ("signal", "background"):
        number = (getattr(task.test, label) or 0) if task.test else 0
        if 0 < number < _MIN_TEST_EVENTS:
            text = f"Only {number} test events of class {run.run.classes.get(label, label)}."
            found.append(Finding("warning", "events", text))
    return found
