"""Event tables from DL2 files: truth and prediction side by side."""

from pathlib import Path

import numpy as np
import pandas as pd
import tables
from ctapipe.io import read_table

from cherenkov_mlops.data.paths import RUNS, SHOWERS
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS

EVENT_KEYS = ["obs_id", "event_id"]
TRUTH = ["true_energy", "true_alt", "true_az"]


def read_events(path: Path, task: str, mode: str, *, signal: bool) -> tuple[pd.DataFrame, int]:
    """Valid predictions of one DL2 file with their truth, and the number of invalid rows.

    Parameters
    ----------
    path : Path
        DL2 file.
    task : str
        Task that was predicted.
    mode : {"mono", "stereo"}
        ``mono`` gives one row a telescope image, ``stereo`` one row an array event.
    signal : bool
        Class of all events of the file.

    Returns
    -------
    events : DataFrame
        Columns ``obs_id``, ``event_id``, ``tel_id`` (mono), ``true_energy`` [TeV], ``true_alt``,
        ``true_az``, ``pointing_alt``, ``pointing_az`` [deg], ``signal``, and those of the task.
    n_invalid : int
        Rows without prediction (cut away), which are left out.

    Raises
    ------
    DataError
        A prediction has no simulated shower.
    """
    predictions = _read_predictions(path, task, mode)
    valid = predictions[predictions.pop("is_valid")]
    events = valid.merge(_read_truth(path), on=EVENT_KEYS, how="left", validate="many_to_one")
    if events["true_alt"].isna().any():
        raise DataError(f"{path}: {events['true_alt'].isna().sum()} events have no truth")
    events["signal"] = signal
    return events, len(predictions) - len(valid)


def _read_predictions(path: Path, task: str, mode: str) -> pd.DataFrame:
    known = TASKS[task]
    level = "telescope" if mode == "mono" else "subarray"
    node = f"/dl2/event/{level}/{known.dl2.group}/{known.dl2.prefix}"
    prefix = f"{known.dl2.prefix}_tel_" if mode == "mono" else f"{known.dl2.prefix}_"
    keys = [*EVENT_KEYS, "tel_id"] if mode == "mono" else EVENT_KEYS
    names = {f"{prefix}{column}": name for column, name in known.dl2.columns.items()}
    names[f"{prefix}is_valid"] = "is_valid"
    parts = []
    for table_path in _table_paths(path, node):
        # In the units of the event table, whatever the file has.
        table = read_table(path, table_path)
        for column, name in names.items():
            if table[column].unit is not None:
                table[column] = table[column].quantity.to_value(known.columns[name])
        table.keep_columns([*keys, *names])
        parts.append(table.to_pandas().rename(columns=names))
    return pd.concat(parts, ignore_index=True)


def _table_paths(path: Path, node: str) -> list[str]:
    with tables.open_file(path) as file:
        found = file.get_node(node)
        if isinstance(found, tables.Table):
            return [node]
        return [table._v_pathname for table in file.iter_nodes(node, "Table")]


def _read_truth(path: Path) -> pd.DataFrame:
    """True energy [TeV], direction and array pointing [deg] of each event."""
    showers = read_table(path, SHOWERS)
    showers.keep_columns([*EVENT_KEYS, *TRUTH])
    units = dict(zip(TRUTH, ("TeV", "deg", "deg"), strict=True))
    for name in TRUTH:
        showers[name] = showers[name].quantity.to_value(units[name])
    runs = read_table(path, RUNS)
    pointing = pd.DataFrame(
        {
            "obs_id": np.asarray(runs["obs_id"]),
            "pointing_alt": runs["min_alt"].quantity.to_value("deg"),
            "pointing_az": runs["min_az"].quantity.to_value("deg"),
        }
    ).drop_duplicates()
    return showers.to_pandas().merge(pointing, on="obs_id", how="left")
