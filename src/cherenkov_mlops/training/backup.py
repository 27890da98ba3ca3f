"""The file that an interrupted training goes on from: one file, whole or not there at all."""

import json
import logging
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

FORMAT = 1
_FACTS = "facts"


@dataclass(frozen=True)
class Backup:
    """State of a training after its last complete epoch.

    Parameters
    ----------
    n_epochs_done : int
        Complete epochs.
    is_over : bool
        Whether the training ended itself (early stopping).
    made_of : dict
        Settings and input that the training was started with, by dotted key.
    history : list of dict
        Rows of ``history.csv``.
    seconds : float
        Time spent on the complete epochs, in all attempts.
    versions : dict
        Package -> version that wrote this.
    callbacks : dict
        Name of a callback -> its state: numbers, texts, None, lists of those, and arrays.
    arrays : dict of str to array
        Variables of model and optimizer, and what else is large.
    attempts : list of int
        First epoch of each attempt that completed one.
    """

    n_epochs_done: int
    is_over: bool
    made_of: dict[str, Any]
    history: list[dict[str, float]]
    seconds: float
    versions: dict[str, str]
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attempts: list[int] = field(default_factory=lambda: [1])

    @property
    def best_val_loss(self) -> float | None:
        """Validation loss of the best model so far; None if no epoch was one to be kept."""
        return self.callbacks["BestModel"]["best"]


def write_backup(backup: Backup, path: Path) -> Path:
    """``path``, holding the state; what was there before stays until this is complete."""
    facts = {name: value for name, value in vars(backup).items() if name != "arrays"}
    arrays = dict(backup.arrays)
    facts["callbacks"] = _take_arrays_out(backup.callbacks, arrays, "callbacks")
    text = json.dumps({"format": FORMAT} | facts)
    with atomic_path(path) as temporary:
        # Not compressed: weights hardly shrink, and an epoch should not wait for it.
        np.savez(temporary, **{_FACTS: np.array(text)}, **arrays)
    return path


def read_backup(path: Path) -> Backup | None:
    """The state, or None if there is none; a damaged one is said to be so and counts as none."""
    if not path.is_file():
        return None
    try:
        # Reading an entry checks its sum: a file that was cut or changed is noticed.
        with path.open("rb") as stream, np.load(stream) as content:
            arrays = {name: content[name] for name in content.files}
        facts = json.loads(str(arrays.pop(_FACTS)))
        if facts.pop("format") != FORMAT:
            raise ValueError("it has the format of another version")
        facts["callbacks"] = _put_arrays_back(facts["callbacks"], arrays)
        return Backup(**facts, arrays=arrays)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        log.warning(
            "train: %s cannot be read (%s); the training starts from the first epoch", path, error
        )
        return None


def _take_arrays_out(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """``value`` as JSON can hold it; arrays are replaced by names and added to ``arrays``."""
    if isinstance(value, dict):
        return {key: _take_arrays_out(part, arrays, f"{name}/{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_take_arrays_out(part, arrays, f"{name}/{n}") for n, part in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    return value


def _put_arrays_back(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays.pop(value["array"])
        return {key: _put_arrays_back(part, arrays) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_arrays_back(part, arrays) for part in value]
    return value
