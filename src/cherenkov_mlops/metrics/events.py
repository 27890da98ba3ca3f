"""The event table as plain arrays, with the columns that a task's metrics need."""

from collections.abc import Mapping, Sequence

import numpy as np

from cherenkov_mlops.errors import DataError
from cherenkov_mlops.metrics.table import EventTable

#: Kind of metrics -> columns that an event table must have.
REQUIRED_COLUMNS = {
    "type": ("gh_score", "signal", "true_energy"),
    "energy": ("true_energy", "reco_energy"),
    "direction": ("true_alt", "true_az", "reco_alt", "reco_az", "true_energy"),
}
#: Columns that are used where the table has them.
OPTIONAL_COLUMNS = ("pointing_alt", "pointing_az", "signal")
#: From the last key to the first.
_ROW_ORDER = ("tel_id", "event_id", "obs_id", "signal")
_SHOWER_KEYS = ("signal", "obs_id", "event_id")
#: A softmax in float32 may exceed one by a rounding error; more than this is another quantity.
_SCORE_TOLERANCE = 1e-5


def extract_events(table: Mapping[str, Sequence], kind: str) -> EventTable:
    """Arrays of the columns that metrics of this kind read, in an order of their own.

    Rows are sorted by class, ``obs_id``, ``event_id`` and ``tel_id`` where the table has these, so
    that row ``i`` is the same event in every run on the same test files. Added are ``shower``, the
    number of the shower that a row belongs to (telescope images of one shower share it), and for
    ``direction`` ``theta`` [deg], the angle between true and reconstructed direction.
    What this function returned before is returned as it is.

    Parameters
    ----------
    table : pandas.DataFrame or mapping of str to array
        One row an event.
    kind : str
        ``type``, ``energy`` or ``direction``.

    Raises
    ------
    DataError
        If a column is missing or holds a value that is not finite. Only the background of
        ``type`` may have no ``true_energy`` (NaN): windows without a shower have none.
    """
    if isinstance(table, EventTable):
        return table
    names = [*REQUIRED_COLUMNS[kind], *(name for name in OPTIONAL_COLUMNS if name in table)]
    events = {name: _column(table, name) for name in dict.fromkeys(names)}
    for name, values in events.items():
        exempt = name == "true_energy" and kind == "type"
        _check_finite(name, values, ~events["signal"] if exempt else None)
    order = _row_order(table, len(events["true_energy"]))
    events = {name: column[order] for name, column in events.items()}
    events["shower"] = _shower_numbers(table, order)
    if kind == "type":
        events["gh_score"] = _probability(events["gh_score"])
    if kind == "direction":
        events["theta"] = angular_separation_deg(
            events["true_alt"], events["true_az"], events["reco_alt"], events["reco_az"]
        )
    return EventTable(events)


def angular_separation_deg(
    alt_1: np.ndarray, az_1: np.ndarray, alt_2: np.ndarray, az_2: np.ndarray
) -> np.ndarray:
    """Great-circle separation [deg] of directions given in degrees.

    The arctan2 of the norm of the cross product and the dot product of unit vectors keeps its
    precision at small angles, where the arccos of the dot product loses it.
    """
    first, second = unit_vectors(alt_1, az_1), unit_vectors(alt_2, az_2)
    # The difference, and not the vectors themselves, keeps separations below 1e-6 deg exact.
    cross = np.linalg.norm(np.cross(first, second - first), axis=-1)
    return np.degrees(np.arctan2(cross, np.sum(first * second, axis=-1)))


def unit_vectors(alt_deg: np.ndarray, az_deg: np.ndarray) -> np.ndarray:
    """Unit vectors of directions in degrees, shape ``(n, 3)``."""
    alt, az = np.radians(np.asarray(alt_deg, float)), np.radians(np.asarray(az_deg, float))
    return np.stack([np.cos(alt) * np.cos(az), np.cos(alt) * np.sin(az), np.sin(alt)], axis=-1)


def _column(table: Mapping[str, Sequence], name: str) -> np.ndarray:
    if name not in table:
        raise DataError(f"event table: expected a column '{name}', got {', '.join(table)}")
    return np.asarray(table[name], dtype=bool if name == "signal" else float)


def _check_finite(name: str, values: np.ndarray, may_be_nan: np.ndarray | None) -> None:
    bad = ~np.isfinite(values)
    if may_be_nan is not None:
        bad &= ~(may_be_nan & np.isnan(values))
    n_bad = int(np.count_nonzero(bad))
    if n_bad:
        raise DataError(
            f"event table: {n_bad} of {len(values)} values of '{name}' are not finite; "
            "the training may have diverged: look at its loss, or lower the learning rate"
        )


def _row_order(table: Mapping[str, Sequence], n_events: int) -> np.ndarray:
    keys = [np.asarray(table[name]) for name in _ROW_ORDER if name in table]
    return np.lexsort(keys) if keys else np.arange(n_events)


def _shower_numbers(table: Mapping[str, Sequence], order: np.ndarray) -> np.ndarray:
    """Ascending from zero; each row is a shower of its own where the table names none."""
    if "event_id" not in table:
        return np.arange(len(order))
    begins = np.zeros(len(order), dtype=bool)
    for name in _SHOWER_KEYS:
        if name in table:
            key = np.asarray(table[name])[order]
            begins[1:] |= key[1:] != key[:-1]
    return np.cumsum(begins)


def _probability(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, 0, 1)
    n_bad = int(np.count_nonzero(np.abs(clipped - scores) > _SCORE_TOLERANCE))
    if n_bad:
        raise DataError(f"event table: expected 'gh_score' between 0 and 1, {n_bad} values are not")
    return clipped
