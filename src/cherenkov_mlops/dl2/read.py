"""Event tables from DL2 files: truth and prediction side by side."""

from pathlib import Path

import numpy as np
import pandas as pd
import tables
from ctapipe.io import read_table

from cherenkov_mlops.data.paths import LAYOUT, RUNS, SHOWERS
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS
from cherenkov_mlops.tasks.base import Task

EVENT_KEYS = ["obs_id", "event_id"]
#: True values of every event table -> unit; a task adds its own.
TRUTH = {"true_energy": "TeV", "true_alt": "deg", "true_az": "deg"}
#: Place of the telescope: column of the event table -> column of the layout.
PLACES = {"tel_x": "pos_x", "tel_y": "pos_y"}


def read_events(path: Path, task: str, mode: str, *, signal: bool) -> tuple[pd.DataFrame, int]:
    """Read the valid predictions of one DL2 file with their truth, and count the invalid rows.

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
    known = TASKS[task]
    predictions = _read_predictions(path, known, mode)
    valid = predictions[predictions.pop("is_valid")]

    # True values and the pointing of the array, by event.
    units = TRUTH | {name: unit for name, unit in known.truth.items() if name not in PLACES}
    showers = read_table(path, SHOWERS)
    showers.keep_columns([*EVENT_KEYS, *units])
    for name, unit in units.items():
        showers[name] = showers[name].quantity.to_value(unit)
    runs = read_table(path, RUNS)
    pointing = pd.DataFrame(
        {
            "obs_id": np.asarray(runs["obs_id"]),
            "pointing_alt": runs["min_alt"].quantity.to_value("deg"),
            "pointing_az": runs["min_az"].quantity.to_value("deg"),
        }
    ).drop_duplicates()
    truth = showers.to_pandas().merge(pointing, on="obs_id", how="left")
    events = valid.merge(truth, on=EVENT_KEYS, how="left", validate="many_to_one")
    if events["true_alt"].isna().any():
        raise DataError(f"{path}: {events['true_alt'].isna().sum()} events have no truth")
    if places := [name for name in known.truth if name in PLACES]:
        layout = read_table(path, LAYOUT)
        columns = {
            name: layout[PLACES[name]].quantity.to_value(known.truth[name]) for name in places
        }
        telescopes = pd.DataFrame({"tel_id": np.asarray(layout["tel_id"])} | columns)
        events = events.merge(telescopes, on="tel_id", how="left", validate="many_to_one")
    events["signal"] = signal
    return events, len(predictions) - len(valid)


def _read_predictions(path: Path, task: Task, mode: str) -> pd.DataFrame:
    """Read predictions in the units of the event table, whatever those of the file are."""
    level = "telescope" if mode == "mono" else "subarray"
    node = f"/dl2/event/{level}/{task.dl2.group}/{task.dl2.prefix}"
    prefix = f"{task.dl2.prefix}_tel_" if mode == "mono" else f"{task.dl2.prefix}_"
    keys = [*EVENT_KEYS, "tel_id"] if mode == "mono" else EVENT_KEYS
    names = {f"{prefix}{column}": name for column, name in task.dl2.columns.items()}
    names[f"{prefix}is_valid"] = "is_valid"
    with tables.open_file(path) as file:
        found = file.get_node(node)
        is_table = isinstance(found, tables.Table)
        nodes = (
            [node] if is_table else [each._v_pathname for each in file.iter_nodes(node, "Table")]
        )
    parts = []
    for each in nodes:
        table = read_table(path, each)
        for column, name in names.items():
            if table[column].unit is not None:
                table[column] = table[column].quantity.to_value(task.columns[name])
        table.keep_columns([*keys, *names])
        parts.append(table.to_pandas().rename(columns=names))
    return pd.concat(parts, ignore_index=True)
