"""What a DL1 file holds, and whether CTLearn can use it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tables

from cherenkov_mlops.errors import DataError

IMAGES = "/dl1/event/telescope/images"
PARAMETERS = "/dl1/event/telescope/parameters"
SHOWERS = "/simulation/event/subarray/shower"
SIMULATION_RUN = "/configuration/simulation/run"
REQUIRED_NODES = {
    "/configuration/instrument/subarray/layout": "a description of the telescopes",
    "/dl1/event/subarray/trigger": "the array triggers",
    PARAMETERS: "image parameters; process it with --write-parameters",
    IMAGES: "images; process it with --write-images",
    SHOWERS: "the simulated showers (it is not a simulation, or the truth was dropped)",
    SIMULATION_RUN: "the settings of the simulation",
}
REQUIRED_ATTRIBUTES = (
    "CTA PROCESS TYPE",
    "CTA PRODUCT DATA MODEL VERSION",
    "CTA INSTRUMENT ID",
)
OLDEST_VERSION = 6
ROWS_A_PIECE = 1024


@dataclass(frozen=True)
class DL1File:
    """One DL1 file as ``prepare`` found it.

    Parameters
    ----------
    path : str
        The file.
    size : int
        Bytes.
    sha256 : str
        Digest of the content.
    n_showers : int
        Simulated events that triggered.
    obs_ids : list of int
        Runs in the file.
    images : dict of int to int
        Telescope -> number of images, telescopes with tables only.
    energy_range_tev : tuple of float
        Lowest and highest true energy [TeV].
    """

    path: str
    size: int
    sha256: str
    n_showers: int
    obs_ids: list[int]
    images: dict[int, int]
    energy_range_tev: tuple[float, float]

    def as_dict(self) -> dict:
        """Plain types, for JSON."""
        return asdict(self)


@contextmanager
def open_hdf5(path: Path) -> Iterator[tables.File]:
    """The open file; ``DataError`` if it is missing, no HDF5, or truncated."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    # is_hdf5_file raises on an empty file and on one that cannot be read.
    if path.stat().st_size == 0 or not _has_signature(path):
        raise DataError(f"{path}: expected an HDF5 file (DL1 of ctapipe), got something else")
    try:
        file = tables.open_file(path, mode="r")
    except (tables.HDF5ExtError, OSError) as error:
        raise DataError(
            f"{path}: the HDF5 file is damaged or truncated ({path.stat().st_size} bytes); "
            "copy or make it again"
        ) from error
    with file:
        yield file


def _has_signature(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def inspect_dl1(path: Path) -> DL1File:
    """What the file holds, checked against what CTLearn's reader needs.

    Raises
    ------
    DataError
        Something that the reader needs is missing, or the data format is too old.
    """
    with open_hdf5(path) as file:
        try:
            _check_attributes(path, file)
            _check_nodes(path, file)
            found = _read_facts(path, file)
        except tables.HDF5ExtError as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error
    return found


def _read_facts(path: Path, file: tables.File) -> DL1File:
    showers = file.get_node(SHOWERS)
    energies = showers.col("true_energy")
    if not len(showers):
        raise DataError(f"{path}: expected events, got an empty table {SHOWERS}")
    return DL1File(
        path=str(path),
        size=path.stat().st_size,
        sha256=_digest(path),
        n_showers=len(showers),
        obs_ids=sorted({int(number) for number in showers.col("obs_id")}),
        images=telescopes_with_tables(file),
        energy_range_tev=(float(energies.min()), float(energies.max())),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_shower_keys(path: Path) -> np.ndarray:
    """What identifies the simulated events of the file, shape (n,), structured.

    Fields ``obs_id``, ``event_id``, ``true_energy`` [TeV]: numbers alone repeat between
    productions, the energy of a shower does not.
    """
    with open_hdf5(path) as file:
        showers = file.get_node(SHOWERS)
        names = ["obs_id", "event_id", "true_energy"]
        columns = [showers.col(name) for name in names]
    return np.rec.fromarrays(columns, names=names)


def telescopes_with_tables(file: tables.File) -> dict[int, int]:
    """Telescope -> number of images, for telescopes with images and parameters."""
    counts = {}
    for table in file.iter_nodes(IMAGES, "Table"):
        number = int(table.name.removeprefix("tel_"))
        if f"{PARAMETERS}/{table.name}" in file:
            counts[number] = len(table)
    return dict(sorted(counts.items()))


def _check_attributes(path: Path, file: tables.File) -> None:
    attributes = file.root._v_attrs
    missing = [name for name in REQUIRED_ATTRIBUTES if name not in attributes]
    if missing:
        raise DataError(
            f"{path}: expected a DL1 file written by ctapipe, but the attribute '{missing[0]}' is "
            "missing; make the file with ctapipe-process"
        )
    version = str(attributes["CTA PRODUCT DATA MODEL VERSION"])
    major = version.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_VERSION:
        raise DataError(
            f"{path}: expected data format v{OLDEST_VERSION}.0.0 or later, got {version}; process "
            "the simulation again with a newer ctapipe"
        )


def _check_nodes(path: Path, file: tables.File) -> None:
    for node, meaning in REQUIRED_NODES.items():
        if node not in file:
            raise DataError(f"{path}: has no {node}: {meaning}")
    counts = telescopes_with_tables(file)
    if not counts:
        raise DataError(f"{path}: has no images and parameters of a same telescope")
    for number, n_images in counts.items():
        table = f"tel_{number:03d}"
        n_parameters = len(file.get_node(f"{PARAMETERS}/{table}"))
        if n_images != n_parameters:
            raise DataError(
                f"{path}: {table}: expected as many images as parameters, got {n_images} and "
                f"{n_parameters}; write data.force_dl1_lookup: true, or merge again"
            )
        if f"/configuration/telescope/pointing/{table}" not in file:
            raise DataError(f"{path}: has no pointing of telescope {number}")


def check_pixels(path: Path, telescopes: list[int]) -> None:
    """Pass silently if all images of the telescopes are finite and not empty.

    Images without parameters (nothing was left by the cleaning) are not looked at.

    Parameters
    ----------
    path : Path
        The file.
    telescopes : list of int
        Telescopes whose tables are read, in pieces.

    Raises
    ------
    DataError
        An image or its peak times are NaN or infinite, or all pixels of an image are 0.
    """
    with open_hdf5(path) as file:
        try:
            for number in telescopes:
                if f"{IMAGES}/tel_{number:03d}" in file:
                    _check_telescope_pixels(path, file, number)
        except (tables.HDF5ExtError, OSError) as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error


def _check_telescope_pixels(path: Path, file: tables.File, number: int) -> None:
    images = file.get_node(f"{IMAGES}/tel_{number:03d}")
    looked_at = _rows_with_parameters(file, number)
    for start in range(0, len(images), ROWS_A_PIECE):
        piece = images.read(start, start + ROWS_A_PIECE)
        used = looked_at[start : start + ROWS_A_PIECE]
        for name in ("image", "peak_time"):
            _refuse(path, number, start, used & ~np.isfinite(piece[name]).all(axis=1), "NaN", name)
        _refuse(path, number, start, used & ~piece["image"].any(axis=1), "all-zero", "image")


def _rows_with_parameters(file: tables.File, number: int) -> np.ndarray:
    """Mask of the images that a cut may keep; all of them if their intensity is not known."""
    parameters = file.get_node(f"{PARAMETERS}/tel_{number:03d}")
    if "hillas_intensity" not in parameters.colnames:
        return np.ones(len(parameters), dtype=bool)
    return parameters.col("hillas_intensity") > 0


def _refuse(path: Path, number: int, start: int, bad: np.ndarray, what: str, column: str) -> None:
    if bad.any():
        raise DataError(
            f"{path}: telescope {number}, row {start + int(np.flatnonzero(bad)[0])}: expected "
            f"finite pixel values that are not all 0, got a {what} {column} "
            f"({np.count_nonzero(bad)} such rows in this piece); make the file again"
        )
