"""What predictions look like as a whole, whatever the truth."""

from typing import Any

import pandas as pd

from cherenkov_mlops.tasks import TASKS


def describe_predictions(
    events: pd.DataFrame, task: str, trained_tev: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Count what gives a network away that answers without looking.

    Parameters
    ----------
    events : DataFrame
        Event table.
    task : str
        Task of the run.
    trained_tev : tuple of float, optional
        Lowest and highest true energy of the training files [TeV].

    Returns
    -------
    dict
        ``n`` rows, ``n_distinct`` predictions, ``n_most_common``: rows that share the most common
        one; where ``trained_tev`` is known, also what `Task.describe_predictions` adds.
    """
    repeats = events.value_counts(list(TASKS[task].columns), sort=False)
    facts: dict[str, Any] = {
        "n": len(events),
        "n_distinct": len(repeats),
        "n_most_common": int(repeats.max()) if len(repeats) else 0,
    }
    if trained_tev is not None:
        facts |= TASKS[task].describe_predictions(events, trained_tev)
    return facts
