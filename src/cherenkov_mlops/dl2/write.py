"""Predictions as a DL2 file of ctapipe: what is copied from DL1, then the tables of each task.

The tables are those of CTLearn's predict tools, made from the `Task` objects: a telescope's rows
are sorted by event, events without a prediction have NaN and ``is_valid`` False, and predictions
telescope by telescope are averaged into one of the array.
"""

import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path

import ctapipe.containers
import numpy as np
import tables
from astropy.table import Column, Table, join, setdiff, unique, vstack
from astropy.time import Time
from ctapipe.core import Provenance
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import HDF5Merger, read_table, write_table
from ctapipe.io.datalevels import DataLevel
from ctapipe.io.hdf5dataformat import (
    DL1_SUBARRAY_POINTING_GROUP,
    DL1_SUBARRAY_TRIGGER_TABLE,
    DL1_TEL_IMAGES_GROUP,
    DL1_TEL_MUON_GROUP,
    DL1_TEL_PARAMETERS_GROUP,
    DL1_TEL_POINTING_GROUP,
    DL1_TEL_TRIGGER_TABLE,
    DL2_EVENT_STATISTICS_GROUP,
    DL2_SUBARRAY_GROUP,
    DL2_TEL_GROUP,
    R0_TEL_GROUP,
    R1_TEL_GROUP,
    SIMULATION_RUN_TABLE,
    SIMULATION_SHOWER_TABLE,
)
from ctapipe.reco.reconstructor import ReconstructionProperty
from ctapipe.reco.stereo_combination import StereoMeanCombiner
from ctapipe.reco.utils import add_defaults_and_meta
from traitlets.config import Config

from cherenkov_mlops import __version__
from cherenkov_mlops.data.paths import INSTRUMENT, LAYOUT, POINTINGS
from cherenkov_mlops.dl1.reader import BatchReader
from cherenkov_mlops.tasks import TASKS, Instrument
from cherenkov_mlops.tasks.base import Task

EVENT_KEYS = ["obs_id", "event_id"]
IMAGE_KEYS = [*EVENT_KEYS, "tel_id"]
#: Groups of a file with one table a telescope, below the root.
BY_TELESCOPE = ("r0", "r1", "dl0", "dl1", "simulation", "configuration")
#: Data level -> a group that files of this level have.
LEVELS = {
    DataLevel.R0: R0_TEL_GROUP,
    DataLevel.R1: R1_TEL_GROUP,
    DataLevel.DL1_IMAGES: DL1_TEL_IMAGES_GROUP,
    DataLevel.DL1_PARAMETERS: DL1_TEL_PARAMETERS_GROUP,
    DataLevel.DL1_MUON: DL1_TEL_MUON_GROUP,
    DataLevel.DL2: DL2_SUBARRAY_GROUP,
}
ACTIVITY = "cherenkov-mlops predict"


def instrument_of(reader: BatchReader) -> Instrument:
    """What tasks have to know of the reader's telescopes to decode predictions."""
    subarray = reader.subarray
    return Instrument(
        location=subarray.reference_location,
        tel_locations={
            number: subarray.tel_coords[subarray.tel_ids_to_indices(number)].to_earth_location()
            for number in reader.tel_ids
        },
        focal_lengths={
            number: subarray.tel[number].camera.geometry.frame.focal_length
            for number in reader.tel_ids
        },
        # The image mapper has taken the rotation out of the geometry itself.
        rotations=reader.pix_rotation,
    )


def write_dl2(
    source: Path,
    output: Path,
    reader: BatchReader,
    predictions: Mapping[str, np.ndarray],
    config: Config,
) -> None:
    """Write the predictions of all events of a reader.

    Parameters
    ----------
    source : Path
        DL1 file that was predicted: what a DL2 file keeps of it is copied.
    output : Path
        File to write.
    reader : BatchReader
        Open reader of that file alone.
    predictions : mapping of str to array
        Task -> what its model answered for each example of the reader, shape (n, n_outputs).
    config : Config
        Options of ctapipe's merger and stereo combiner.
    """
    started = Time.now()
    # The merger notes its files in the activity of the process, or else in one that never ends.
    provenance = Provenance()
    provenance.start_activity(ACTIVITY)
    try:
        with HDF5Merger(output, dl2_subarray=False, dl2_telescope=False, config=config) as merger:
            merger(source)
    finally:
        provenance.finish_activity(activity_name=ACTIVITY)
    with tables.open_file(source) as file:
        in_file = file.get_node(LAYOUT).col("tel_id")
    if set(in_file.tolist()) != set(reader.tel_ids):
        keep_telescopes(source, output, reader)
    instrument = instrument_of(reader)
    is_mono = reader.mode == "mono"
    write = write_telescope_tables if is_mono else write_event_table
    keys = IMAGE_KEYS if is_mono else EVENT_KEYS
    # Of each event only one time is wanted, whatever the number of its telescopes.
    triggers = read_table(output, DL1_TEL_TRIGGER_TABLE)
    triggers.keep_columns([*keys, "time"])
    triggers = triggers if is_mono else unique(triggers, keys=keys)
    pointings = write_pointings(source, output, reader, triggers)

    events = reader.examples.events
    identifiers = Table({name: events[name] for name in keys})
    others = setdiff(triggers, identifiers, keys=keys)
    others.remove_column("time")
    kind = "telescope_pointing" if is_mono else "pointing"
    columns = {name: np.asarray(events[name]) for name in keys}
    for short, name in (("alt", "altitude"), ("az", "azimuth")):
        columns[f"pointing_{short}"] = events[f"{kind}_{name}"].quantity.to_value("deg")
    for name, answer in predictions.items():
        task = TASKS[name]
        decoded = task.decode(answer, columns, instrument)
        found = identifiers.copy()
        if task.needs_pointing:
            # As CTLearn writes them: identifiers joined with those of the pointings, in the larger
            # type of both.
            for key in keys:
                found[key] = found[key].astype(np.result_type(found[key], pointings[key]))
        write(task, decoded, found, others, output, reader, config)
        statistics = reader.quality_query.to_table(functions=True)
        node = f"{DL2_EVENT_STATISTICS_GROUP}/{task.dl2.prefix}"
        write_table(statistics, output, node, append=True)
    write_metadata(output, started)


def keep_telescopes(source: Path, output: Path, reader: BatchReader) -> None:
    """Trim layout, triggers, showers and tables to the telescopes that the reader uses.

    ctapipe's tools want the triggers of an array to be those of its telescopes.
    """
    array = SubarrayDescription.from_hdf(source, focal_length_choice=reader.focal_length_choice)
    with tables.open_file(output, mode="a") as file:
        file.remove_node(INSTRUMENT, recursive=True)
    array.select_subarray(set(reader.tel_ids)).to_hdf(output)

    images = read_table(output, DL1_TEL_TRIGGER_TABLE)
    images = images[np.isin(images["tel_id"], reader.tel_ids)]
    images.sort(IMAGE_KEYS)
    write_table(images, output, DL1_TEL_TRIGGER_TABLE, overwrite=True)

    # Older files do not say the type of an event.
    kept = [name for name in (*EVENT_KEYS, "time", "event_type") if name in images.colnames]
    events = images.copy()
    events.keep_columns(kept)
    events = unique(events, keys=EVENT_KEYS)
    masks = []
    for group in images.group_by(EVENT_KEYS).groups:
        masks.append(np.zeros(len(reader.tel_ids), dtype=bool))
        masks[-1][reader.subarray.tel_ids_to_indices(group["tel_id"])] = True
    events.add_column(masks, index=-2, name="tels_with_trigger")
    write_table(events, output, DL1_SUBARRAY_TRIGGER_TABLE, overwrite=True)

    events.keep_columns(EVENT_KEYS)
    showers = read_table(output, SIMULATION_SHOWER_TABLE)
    showers = join(showers, events, keys=EVENT_KEYS, join_type="right")
    showers.sort(EVENT_KEYS)
    write_table(showers, output, SIMULATION_SHOWER_TABLE, overwrite=True)

    used = set(reader.tel_ids)
    with tables.open_file(output, mode="r+") as file:
        for group in (name for name in BY_TELESCOPE if f"/{name}" in file):
            for table in list(file.walk_nodes(f"/{group}", "Table")):
                name, _, number = table._v_name.rpartition("_")
                if name == "tel" and number.isdigit() and int(number) not in used:
                    table._f_remove()


def write_pointings(source: Path, output: Path, reader: BatchReader, triggers: Table) -> Table:
    """Write where each telescope (mono) or the array (stereo) pointed at each trigger.

    The directions of all triggers, with their identifiers, are returned.
    """
    if reader.mode == "mono":
        parts = []
        for number in reader.selected_telescopes[reader.tel_type]:
            pointing = read_table(source, f"{POINTINGS}/tel_{number:03d}")
            pointing = join(pointing, triggers, keys=["obs_id", "tel_id"])
            pointing.sort(IMAGE_KEYS)
            found = {
                "time": pointing["time"],
                "azimuth": pointing["telescope_pointing_azimuth"],
                "altitude": pointing["telescope_pointing_altitude"],
            }
            write_table(Table(found), output, f"{DL1_TEL_POINTING_GROUP}/tel_{number:03d}")
            parts.append(pointing)
        return vstack(parts)
    # The array points at one place in a run.
    runs = read_table(source, SIMULATION_RUN_TABLE)
    runs.keep_columns(["obs_id", "min_az", "min_alt"])
    pointing = join(runs, triggers, keys=["obs_id"])
    pointing.sort(EVENT_KEYS)
    unknown = np.full(len(pointing), np.nan)
    found = {
        "time": pointing["time"],
        "array_azimuth": pointing["min_az"],
        "array_altitude": pointing["min_alt"],
        "array_ra": unknown,
        "array_dec": unknown,
    }
    write_table(Table(found), output, DL1_SUBARRAY_POINTING_GROUP)
    return pointing


def predicted_table(
    task: Task,
    decoded: Mapping[str, np.ndarray],
    identifiers: Table,
    others: Table,
    prefix: str,
) -> Table:
    """Predictions by event, NaN for the events that were cut away, and ``is_valid``."""
    names = {f"{prefix}_{column}": name for column, name in task.dl2.columns.items()}
    table, rest = identifiers.copy(), others.copy()
    for column, name in names.items():
        table[column] = Column(decoded[name], unit=task.columns[name] or None)
        rest[column] = np.full(len(rest), np.nan)
    if len(rest):
        table = vstack([table, rest])
    first = np.asarray(table[next(iter(names))])
    table[f"{prefix}_is_valid"] = ~np.isnan(first)
    return table


def describe_columns(task: Task, table: Table, *, by_telescope: bool) -> None:
    """Add the other columns of ctapipe's container, at their defaults, and descriptions."""
    if task.dl2.container:
        container = getattr(ctapipe.containers, task.dl2.container)
        add_defaults_and_meta(table, container, prefix=task.dl2.prefix, add_tel_prefix=by_telescope)


def write_telescope_tables(
    task: Task,
    decoded: Mapping[str, np.ndarray],
    identifiers: Table,
    others: Table,
    output: Path,
    reader: BatchReader,
    config: Config,
) -> None:
    """Write a table a telescope, and one of the array in which their predictions are joined."""
    place = task.dl2
    table = predicted_table(task, decoded, identifiers, others, f"{place.prefix}_tel")
    describe_columns(task, table, by_telescope=True)
    for number in reader.selected_telescopes[reader.tel_type]:
        rows = table[table["tel_id"] == number]
        rows.sort(IMAGE_KEYS)
        node = f"{DL2_TEL_GROUP}/{place.group}/{place.prefix}/tel_{number:03d}"
        write_table(rows, output, node)
    if not place.property:
        return
    if len(reader.tel_ids) == 1:
        # The prediction of the telescope is that of the array.
        events = table[table["tel_id"] == reader.tel_ids[0]]
        events.remove_column("tel_id")
        for name in [name for name in events.colnames if "_tel_" in name]:
            events.rename_column(name, name.replace("_tel", ""))
        valid = events[f"{place.prefix}_is_valid"]
        events[f"{place.prefix}_telescopes"] = [[each] for each in valid]
    else:
        table.sort(IMAGE_KEYS)
        combiner = StereoMeanCombiner(
            prefix=place.prefix,
            property=getattr(ReconstructionProperty, place.property),
            config=config,
        )
        events = combiner.predict_table(table)
        # ctapipe lists the telescopes of each event; the format wants a mask.
        name = f"{place.prefix}_telescopes"
        if events[name].dtype != np.bool_:
            events[name] = mask_of_telescopes(events[name], reader.subarray)
    write_events(task, events, output)


def mask_of_telescopes(listed: Column, subarray: SubarrayDescription) -> np.ndarray:
    """Mask of the telescopes of each event, shape (n, n_telescopes), in the subarray's order."""
    mask = np.zeros((len(listed), subarray.n_tels), dtype=bool)
    rows = np.repeat(np.arange(len(listed)), [len(tel_ids) for tel_ids in listed])
    tel_ids = np.concatenate([np.asarray(part, dtype=int) for part in listed])
    if len(tel_ids):
        mask[rows, subarray.tel_ids_to_indices(tel_ids)] = True
    return mask


def write_event_table(
    task: Task,
    decoded: Mapping[str, np.ndarray],
    identifiers: Table,
    others: Table,
    output: Path,
    reader: BatchReader,
    config: Config,
) -> None:
    """Write the table of the array, where the events themselves were predicted."""
    name = f"{task.dl2.prefix}_telescopes"
    identifiers, others = identifiers.copy(), others.copy()
    seen = np.zeros((len(identifiers), len(reader.tel_ids)), dtype=bool)
    for mask, group in zip(seen, reader.example_identifiers_grouped.groups, strict=True):
        mask[[reader.subarray.tel_indices[number] for number in group["tel_id"].data]] = True
    identifiers[name] = seen
    others[name] = np.zeros((len(others), len(reader.tel_ids)), dtype=bool)
    table = predicted_table(task, decoded, identifiers, others, task.dl2.prefix)
    describe_columns(task, table, by_telescope=False)
    write_events(task, table, output)


def write_events(task: Task, table: Table, output: Path) -> None:
    """Write the table of the array: each event once, a valid prediction before one that is not."""
    valid = f"{task.dl2.prefix}_is_valid"
    table = table.copy()
    table.sort([*EVENT_KEYS, valid], reverse=[False, False, True])
    table = unique(table, keys=EVENT_KEYS, keep="first")
    table.sort(EVENT_KEYS)
    write_table(table, output, f"{DL2_SUBARRAY_GROUP}/{task.dl2.group}/{task.dl2.prefix}")


def write_metadata(output: Path, started: Time) -> None:
    """Say in CTAO's attributes what made the file, when, and which data levels it holds."""
    with warnings.catch_warnings():
        # The names of these attributes hold blanks.
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        with tables.open_file(output, mode="r+") as file:
            levels = [level.name for level, group in LEVELS.items() if group in file]
            attributes = {
                "ACTIVITY ID": str(uuid.uuid4()),
                "ACTIVITY NAME": ACTIVITY,
                "ACTIVITY SOFTWARE NAME": "cherenkov_mlops",
                "ACTIVITY SOFTWARE VERSION": __version__,
                "ACTIVITY START TIME": started.iso,
                "ACTIVITY STOP TIME": Time.now().iso,
                "PRODUCT DATA LEVELS": ",".join(sorted(levels)),
                "PRODUCT CREATION TIME": started.iso,
                "PRODUCT ID": str(uuid.uuid4()),
            }
            for name, value in attributes.items():
                file.root._v_attrs[f"CTA {name}"] = value
