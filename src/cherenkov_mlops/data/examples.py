"""Events worth looking at, and their camera images: the best, the typical and the worst."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import SubarrayDescription, TelescopeDescription
from ctapipe.instrument.camera.geometry import PixelShape
from ctapipe.io import read_table

from cherenkov_mlops.data.dl1_file import open_hdf5
from cherenkov_mlops.data.paths import IMAGES, telescope_node
from cherenkov_mlops.data.telescopes import read_subarray
from cherenkov_mlops.tasks import TASKS

RANKS = ("best", "typical", "worst")
EVENTS_A_RANK = 3
#: Pixels of all images together: what a page of one megabyte can hold.
MAX_PIXELS = 36_000
#: Any place and time: directions stay in this frame, but ctapipe wants to know them.
_SKY = AltAz(location=EarthLocation.from_geodetic(0 * u.deg, 0 * u.deg), obstime=Time("J2000"))
#: Values that are shown with an image, beside those of the tasks.
_SHOWN = ("true_energy", "true_alt", "true_az", "pointing_alt", "pointing_az")


def pick_examples(events: pd.DataFrame, task: str, per_kind: int = EVENTS_A_RANK) -> pd.DataFrame:
    """Pick the best, the typical and the worst events, with their ``kind`` and ``error``.

    Typical are those whose error is nearest to the median. Classes take turns where a task has
    two, so that each kind shows both. No event is picked twice.

    Parameters
    ----------
    events : DataFrame
        Event table.
    task : str
        Task of the run.
    per_kind : int
        Rows of each kind.
    """
    rows = events.assign(error=TASKS[task].error(events))
    errors = rows["error"].to_numpy()
    median = np.median(errors) if errors.size else 0.0
    two_classes = TASKS[task].needs_background
    parts: list[pd.DataFrame] = []
    # Smaller is earlier: for the best, the typical and the worst.
    for kind, rank in zip(RANKS, (errors, np.abs(errors - median), -errors), strict=True):
        left = rows.assign(rank=rank).drop(index=[place for part in parts for place in part.index])
        classes = [left[left["signal"]], left[~left["signal"]]] if two_classes else [left]
        first = pd.concat([group.nsmallest(per_kind, "rank") for group in classes])
        turn = first.groupby("signal").cumcount()
        chosen = first.assign(turn=turn).sort_values(["turn", "rank"], kind="stable")
        parts.append(chosen.head(per_kind).assign(kind=kind).drop(columns=["rank", "turn"]))
    return pd.concat(parts)


def read_example_images(
    rows: pd.DataFrame,
    files: Mapping[str, Sequence[Path]],
    telescopes: Sequence[int],
    focal_length: str,
) -> dict[str, Any]:
    """Read the pixels of the events in ``rows``, in JSON's own types; `MAX_PIXELS` in all at most.

    Parameters
    ----------
    rows : DataFrame
        From `pick_examples`.
    files : mapping of str to sequence of Path
        Label (``signal``, ``background``) -> DL1 files with the events.
    telescopes : sequence of int
        Telescopes that the network saw. Of an array event the brightest image is taken.
    focal_length : str
        Kind of focal length in the files, ``EFFECTIVE`` or ``EQUIVALENT``.

    Returns
    -------
    dict
        ``cameras``: name -> pixel positions ``x``, ``y`` [m], ``area`` [m2], ``shape``,
        ``rotation_deg``; ``events``: one dict an image with ``kind``, ``signal``, identifiers,
        ``error``, ``values``, ``camera``, ``image`` [p.e.], and ``true`` and ``reco`` position in
        the camera [m] where the task has a direction.
    """
    arrays: dict[Path, SubarrayDescription] = {}
    cameras: dict[str, Any] = {}
    images: list[tuple[int, dict[str, Any]]] = []
    # One of each kind in turn: where space is short, each kind keeps an image.
    turn = rows.groupby("kind").cumcount().to_numpy()
    for position in np.argsort(turn, kind="stable").tolist():
        row = rows.iloc[position]
        found = _find_image(row, files, telescopes)
        if found is None:
            continue
        path, tel_id, image = found
        n_pixels = sum(len(known["image"]) for _, known in images)
        if images and n_pixels + len(image) > MAX_PIXELS:
            break
        if path not in arrays:
            arrays[path] = read_subarray(path, focal_length)
        telescope = arrays[path].tel[tel_id]
        cameras.setdefault(telescope.camera.name, describe_pixels(telescope))
        images.append((position, _describe_event(row, tel_id, image, telescope)))
    images.sort(key=lambda item: item[0])
    return {"cameras": cameras, "events": [event for _, event in images]}


def _sky(event: pd.Series, kind: str) -> SkyCoord:
    alt, az = (np.asarray(event[f"{kind}_{name}"], float) * u.deg for name in ("alt", "az"))
    return SkyCoord(alt=alt, az=az, frame=_SKY)


def _find_image(
    row: pd.Series, files: Mapping[str, Sequence[Path]], telescopes: Sequence[int]
) -> tuple[Path, int, np.ndarray] | None:
    """File, telescope and pixels of the brightest image of the event; None if there is none."""
    wanted = [int(row["tel_id"])] if "tel_id" in row.index else list(telescopes)
    found = []
    for path in files.get("signal" if row["signal"] else "background", []):
        for tel_id in wanted:
            image = _read_image(path, tel_id, int(row["obs_id"]), int(row["event_id"]))
            if image is not None:
                found.append((path, tel_id, image))
    return max(found, key=lambda item: item[2].sum()) if found else None


def _read_image(path: Path, tel_id: int, obs_id: int, event_id: int) -> np.ndarray | None:
    node = telescope_node(IMAGES, tel_id)
    with open_hdf5(path) as file:
        if node not in file:
            return None
        table = file.get_node(node)
        places = np.flatnonzero(
            (table.col("event_id") == event_id) & (table.col("obs_id") == obs_id)
        )
    if not places.size:
        return None
    # ctapipe undoes the scaling under which pixels may be stored.
    table = read_table(path, node, start=int(places[0]), stop=int(places[0]) + 1)
    return np.asarray(table["image"][0], dtype=float)


def describe_pixels(telescope: TelescopeDescription) -> dict[str, Any]:
    """Positions ``x``, ``y`` [m], ``area`` [m2], ``shape`` and ``rotation_deg`` of the pixels."""
    geometry = telescope.camera.geometry
    return {
        "x": rounded(geometry.pix_x.to_value(u.m), 4),
        "y": rounded(geometry.pix_y.to_value(u.m), 4),
        "area": rounded(np.median(geometry.pix_area.to_value(u.m**2)), 4),
        "shape": "hexagon" if geometry.pix_type == PixelShape.HEXAGON else "square",
        "rotation_deg": float(geometry.pix_rotation.to_value(u.deg)),
    }


def _describe_event(
    row: pd.Series, tel_id: int, image: np.ndarray, telescope: TelescopeDescription
) -> dict[str, Any]:
    of_tasks = [name for task in TASKS.values() for name in (*task.columns, *task.truth)]
    shown = dict.fromkeys([*_SHOWN, *of_tasks])
    event = {
        "kind": row["kind"],
        "signal": bool(row["signal"]),
        "obs_id": int(row["obs_id"]),
        "event_id": int(row["event_id"]),
        "tel_id": tel_id,
        "camera": telescope.camera.name,
        "error": float(row["error"]),
        "values": {name: float(row[name]) for name in shown if name in row.index},
        "image": rounded(image, 3),
    }
    if "reco_alt" in row.index:
        frame = CameraFrame(
            focal_length=telescope.camera.geometry.frame.focal_length,
            telescope_pointing=_sky(row, "pointing"),
        )
        for kind in ("true", "reco"):
            point = _sky(row, kind).transform_to(frame)
            event[kind] = rounded([point.x.to_value(u.m), point.y.to_value(u.m)], 4)
    return event


def rounded(values: Any, digits: int) -> Any:
    """Shorten values to this many significant digits, as plain numbers."""
    shorten = np.vectorize(lambda value: float(f"{value:.{digits}g}"), otypes=[float])
    return shorten(np.asarray(values, dtype=float)).tolist()
