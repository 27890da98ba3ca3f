"""What predictions look like as a whole, whatever the truth."""

from typing import Any

import pandas as pd

from cherenkov_mlops.tasks import TASKS


def describe_predictions(
    events: pd.DataFrame, task: str, trained_tev: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Facts that give a network away that answers without looking.

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
        one; for energies also ``trained_tev``, ``n_below`` and ``n_above`` it.
    """
    repeats = events.value_counts(list(TASKS[task].columns), sort=False)
    facts: dict[str, Any] = {
        "n": len(events),
        "n_distinct": len(repeats),
        "n_most_common": int(repeats.max()) if len(repeats) else 0,
    }
    if task == "energy" and trained_tev is not None:
        low, high = trained_tev
        facts |= {
            "trained_tev": [float(low), float(high)],
            "n_below": int((events["reco_energy"] < low).sum()),
            "n_above": int((events["reco_energy"] > high).sum()),
        }
    return facts
