"""Whether the stored arrays of a figure are of the kind that its drawing function expects."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from cherenkov_mlops.figures import FigureEntry, figure_data
from cherenkov_mlops.metrics import EvaluationSettings
from cherenkov_mlops.reporting.losses import Loss

#: Stands for the arrays of a figure that the results do not have.
MISSING = object()
_N_SAMPLE = 120


def figure_losses(entry: FigureEntry, arrays: Any) -> list[Loss]:
    """What is missing or of another kind than in a sample made by the figure's own function.

    Matplotlib draws words where numbers should be without complaint: they are found here.
    """
    if arrays is MISSING:
        return [Loss(("figures", entry.name), "is missing")]
    if not isinstance(arrays, Mapping):
        return [Loss(("figures", entry.name), f"expected a table, got {_name(arrays)}")]
    expected = _sample_arrays(entry.kind)[entry.name]
    has_gaps = any(values == [] for values in arrays.values())
    losses = []
    for key, sample in expected.items():
        path = ("figures", entry.name, key)
        if key not in arrays:
            losses.append(Loss(path, "is missing"))
        elif not _is_alike(arrays[key], sample, has_gaps):
            losses.append(Loss(path, f"expected {_name(sample)}, got {_name(arrays[key])}"))
    return losses


def _is_alike(value: Any, sample: Any, has_gaps: bool) -> bool:
    """Whether the kinds agree; a single value may be unknown where the arrays are empty."""
    if sample is None:
        return True
    if _is_unknown(value):
        return has_gaps and not isinstance(sample, list | dict)
    if isinstance(sample, dict) or isinstance(value, dict):
        return isinstance(sample, dict) and isinstance(value, dict)
    if isinstance(sample, list) != isinstance(value, list):
        return False
    kinds, wanted = set(_leaf_kinds(value)), set(_leaf_kinds(sample))
    return not kinds or not wanted or kinds <= wanted


def _leaf_kinds(value: Any) -> list[str]:
    if isinstance(value, list):
        return [kind for item in value for kind in _leaf_kinds(item)]
    if isinstance(value, dict):
        return ["table"]
    if value is None or _is_unknown(value):
        return []
    if isinstance(value, bool):
        return ["truth"]
    return ["text"] if isinstance(value, str) else ["number"]


def _is_unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _name(value: Any) -> str:
    if _is_unknown(value):
        return "nothing"
    kinds = sorted(set(_leaf_kinds(value)))
    if isinstance(value, list):
        return f"a list of {' and '.join(kinds) or 'nothing'}"
    return "a table" if isinstance(value, Mapping) else f"a {kinds[0]}"


@cache
def _sample_arrays(kind: str) -> dict[str, dict[str, Any]]:
    settings = EvaluationSettings(n_bootstrap=3)
    source = _sample_training() if kind == "generic" else _sample_events()
    return figure_data(source, kind, settings)


def _sample_events() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    place = np.arange(_N_SAMPLE)
    energy = np.full(_N_SAMPLE, 1.1)
    return {
        "obs_id": place,
        "event_id": place,
        "signal": place % 2 == 0,
        "gh_score": random.random(_N_SAMPLE),
        "true_energy": energy,
        "reco_energy": energy * random.uniform(0.9, 1.1, _N_SAMPLE),
        **{f"{name}_alt": 70 + random.random(_N_SAMPLE) for name in ("true", "reco", "pointing")},
        **{f"{name}_az": 10 + random.random(_N_SAMPLE) for name in ("true", "reco", "pointing")},
    }


def _sample_training() -> dict[str, Any]:
    columns = ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate", "seconds")
    history = {"epoch": [1, 2]} | {name: [0.5, 0.4] for name in columns}
    return {"history": history, "best_epoch": 2, "attempts": [1, 2]}
