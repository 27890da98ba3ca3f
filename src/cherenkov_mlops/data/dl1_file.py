"""What a DL1 file holds, and whether CTLearn can use it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tables

from cherenkov_mlops.data.paths import (
    EVENT_KEYS,
    IMAGES,
    INSTRUMENT,
    LAYOUT,
    PARAMETERS,
    POINTINGS,
    RUNS,
    SHOWERS,
    TRIGGERS,
    telescope_node,
)
from cherenkov_mlops.data.production import (
    Production,
    count_particles,
    read_pointings,
    read_productions,
)
from cherenkov_mlops.data.stored_tables import Identity, StoredTable, identify, repeated_rows
from cherenkov_mlops.errors import DataError

REQUIRED_NODES = {
    LAYOUT: "a description of the telescopes",
    TRIGGERS: "the array triggers",
    PARAMETERS: "image parameters; process it with --write-parameters",
    IMAGES: "images; process it with --write-images",
    SHOWERS: "the simulated showers (it is not a simulation, or the truth was dropped)",
    RUNS: "the settings of the simulation",
}
REQUIRED_ATTRIBUTES = (
    "CTA PROCESS TYPE",
    "CTA PRODUCT DATA MODEL VERSION",
    "CTA INSTRUMENT ID",
)
#: What CTLearn reads of each simulated shower.
REQUIRED_COLUMNS = (
    *("obs_id", "event_id", "true_energy", "true_alt", "true_az"),
    *("true_core_x", "true_core_y", "true_h_first_int", "true_x_max", "true_shower_primary_id"),
)
OLDEST_VERSION = 6
LAYOUT_ATTRIBUTES = ("SUBARRAY", "reference_itrs_x", "reference_itrs_y", "reference_itrs_z")


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
        Lowest and highest true energy [TeV]; twice 0 if no event has one.
    productions : list of Production
        What was thrown; this and all that follow are empty in manifests of older versions.
    pointings : list of tuple of float
        Different pointings of the telescopes as (zenith, azimuth) [deg].
    particles : dict of str to int
        Particle -> simulated events.
    n_passing, n_empty : int
        Images of the telescopes in use that pass the cuts, and those of them with an empty
        cleaning mask.
    """

    path: str
    size: int
    sha256: str
    n_showers: int
    obs_ids: list[int]
    images: dict[int, int]
    energy_range_tev: tuple[float, float]
    productions: list[Production] = field(default_factory=list)
    pointings: list[tuple[float, float]] = field(default_factory=list)
    particles: dict[str, int] = field(default_factory=dict)
    n_passing: int = 0
    n_empty: int = 0

    def as_dict(self) -> dict:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict) -> "DL1File":
        """The inverse of ``as_dict``, after a way through JSON."""
        return cls(
            **content
            | {
                "images": {int(number): n for number, n in content["images"].items()},
                "energy_range_tev": tuple(content["energy_range_tev"]),
                "productions": [Production.from_dict(p) for p in content.get("productions", [])],
                "pointings": [tuple(pair) for pair in content.get("pointings", [])],
            }
        )


@contextmanager
def open_hdf5(path: Path) -> Iterator[tables.File]:
    """Open a file for reading; ``DataError`` if it is missing, no HDF5, or truncated."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        file = tables.open_file(path, mode="r")
    except (tables.HDF5ExtError, OSError) as error:
        with path.open("rb") as stream:
            is_hdf5 = stream.read(8) == b"\x89HDF\r\n\x1a\n"
        if not is_hdf5:
            raise DataError(
                f"{path}: expected an HDF5 file (DL1 of ctapipe), got something else"
            ) from error
        raise DataError(
            f"{path}: the HDF5 file is damaged or truncated ({path.stat().st_size} bytes); "
            "copy or make it again"
        ) from error
    with file:
        yield file


def inspect_dl1(path: Path, *, aligned: bool = True) -> DL1File:
    """Describe what the file holds, checked against what CTLearn's reader needs.

    Parameters
    ----------
    path : Path
        The file.
    aligned : bool
        Whether images and parameters must have as many rows: they are matched by row.

    Raises
    ------
    DataError
        Something that the reader needs is missing, the data format is too old, or an event is
        there twice.
    """
    with open_hdf5(path) as file:
        try:
            check_layout(path, file, aligned)
            per_event = (StoredTable(file, node) for node in (SHOWERS, TRIGGERS, RUNS))
            return read_facts(path, file, *per_event)
        except tables.HDF5ExtError as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error


def check_layout(path: Path, file: tables.File, aligned: bool) -> None:
    """Raise DataError unless the open file has all that the reader needs, in a known format."""
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
    for node, meaning in REQUIRED_NODES.items():
        if node not in file:
            raise DataError(f"{path}: has no {node}: {meaning}")
    columns = file.get_node(SHOWERS).colnames
    if missing := [name for name in REQUIRED_COLUMNS if name not in columns]:
        raise DataError(
            f"{path}: {SHOWERS}: expected a column '{missing[0]}', got only {', '.join(columns)}; "
            "make the file with ctapipe-process"
        )
    counts = telescopes_with_tables(file)
    if not counts:
        raise DataError(f"{path}: has no images and parameters of a same telescope")
    for number, n_images in counts.items():
        n_parameters = len(file.get_node(telescope_node(PARAMETERS, number)))
        if aligned and n_images != n_parameters:
            raise DataError(
                f"{path}: tel_{number:03d}: expected as many images as parameters, got {n_images} "
                f"and {n_parameters}; write data.force_dl1_lookup: true, or merge again"
            )
        if telescope_node(POINTINGS, number) not in file:
            raise DataError(f"{path}: has no pointing of telescope {number}")


def read_facts(
    path: Path, file: tables.File, showers: StoredTable, triggers: StoredTable, runs: StoredTable
) -> DL1File:
    """Describe an open file whose layout is known to be good, and whose tables of events are read.

    Raises
    ------
    DataError
        There is no event, an event is there twice, or a run has no settings.
    """
    if not len(showers):
        raise DataError(f"{path}: expected events, got an empty table {SHOWERS}")
    for node, table in ((SHOWERS, showers), (TRIGGERS, triggers)):
        keys = table.keys(EVENT_KEYS)
        again = repeated_rows(keys)
        if len(again):
            obs_id, event_id = keys[again[0]]
            raise DataError(
                f"{path}: {node}, row {again[0]}: expected each event once, got obs_id "
                f"{obs_id}, event_id {event_id} again ({len(again)} such rows); merge only files "
                "of different runs"
            )
    obs_ids = np.unique(np.asarray(showers["obs_id"])).tolist()
    if unknown := sorted(set(obs_ids) - set(np.asarray(runs["obs_id"]).tolist())):
        raise DataError(
            f"{path}: {RUNS}: expected the settings of all runs, got none of obs_id "
            f"{unknown[0]}; merge with ctapipe-merge, which keeps them"
        )
    energies = showers.numbers("true_energy", "TeV")
    known = energies[np.isfinite(energies)]
    images = telescopes_with_tables(file)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return DL1File(
        path=str(path),
        size=path.stat().st_size,
        sha256=sha256,
        n_showers=len(showers),
        obs_ids=obs_ids,
        images=images,
        energy_range_tev=(float(known.min()), float(known.max())) if known.size else (0.0, 0.0),
        productions=read_productions(runs),
        pointings=read_pointings(file, images),
        particles=count_particles(np.asarray(showers["true_shower_primary_id"]), energies),
    )


def shower_keys(showers: StoredTable) -> np.ndarray:
    """One number for each simulated event, made from what identifies it, shape (n,).

    That is ``obs_id``, ``event_id`` and ``true_energy``: numbers alone repeat between
    productions, the energy of a shower does not.
    """
    columns = {name: np.asarray(showers[name]) for name in (*EVENT_KEYS, "true_energy")}
    return pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()


def telescopes_with_tables(file: tables.File) -> dict[int, int]:
    """Telescope -> number of images, for telescopes with images and parameters."""
    counts = {}
    for table in file.iter_nodes(IMAGES, "Table"):
        number = int(table.name.removeprefix("tel_"))
        if f"{PARAMETERS}/{table.name}" in file:
            counts[number] = len(table)
    return dict(sorted(counts.items()))


def digest_instrument(file: tables.File) -> str:
    """Digest of all that describes the telescopes: files with the same have the same array."""
    key = identify(file.filename)
    if key not in _instruments:
        digest = hashlib.sha256()
        for table in file.walk_nodes(INSTRUMENT, "Table"):
            digest.update(f"{table._v_pathname} {table.dtype}".encode())
            digest.update(table.read().tobytes())
        layout = file.get_node(LAYOUT)._v_attrs
        place = [repr(layout[name]) if name in layout else "" for name in LAYOUT_ATTRIBUTES]
        digest.update("".join(place).encode())
        _instruments[key] = digest.hexdigest()
    return _instruments[key]


def note_instrument(path: Path, digest: str) -> None:
    """Note a digest that another process found, or an earlier one while the file was the same."""
    _instruments[identify(path)] = digest


#: Digests that are known in this process.
_instruments: dict[Identity, str] = {}
