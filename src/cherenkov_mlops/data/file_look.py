"""One look at each file of a run: all checks and distributions from one opening, remembered."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import tables
from astropy.config import get_cache_dir

from cherenkov_mlops import __version__
from cherenkov_mlops.data.dl1_file import (
    REQUIRED_NODES,
    DL1File,
    check_layout,
    digest_instrument,
    note_instrument,
    open_hdf5,
    read_facts,
    shower_keys,
)
from cherenkov_mlops.data.image_checks import Checks, ImageRows, check_images, evaluate_cuts
from cherenkov_mlops.data.paths import (
    EVENT_KEYS,
    PARAMETERS,
    POINTINGS,
    RUNS,
    SHOWERS,
    TRIGGERS,
    telescope_node,
)
from cherenkov_mlops.data.progress import with_progress
from cherenkov_mlops.data.stored_tables import JoinedColumns, StoredTable, find_rows, left_tables
from cherenkov_mlops.data.telescopes import allowed_telescopes, known_array
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path

log = logging.getLogger(__name__)

#: From 0.1 to ten million photo-electrons, ten bins a decade.
INTENSITY_EDGES_PE = np.logspace(-1, 7, 81)
#: Images of one telescope of one file from which examples are chosen.
CANDIDATES_A_TABLE = 50
#: Files from which on other processes, which take seconds to start, are worth it.
MANY_FILES = 200
#: Part of the name of what is remembered: to be raised when a look finds something else.
FORMAT = 1
#: Looks that are remembered; the oldest are forgotten.
MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class Candidate:
    """One image that passes the cuts, and where it is.

    Parameters
    ----------
    intensity : float
        Charge after the cleaning [p.e.]; 0 if nothing is left.
    energy_tev : float
        True energy [TeV]; NaN if there is no shower.
    path : Path
        File.
    telescope, row : int
        Telescope, and row in its table of images.
    """

    intensity: float
    energy_tev: float
    path: Path
    telescope: int
    row: int


@dataclass
class FileLook:
    """What one look at a file found.

    Parameters
    ----------
    file : DL1File
        Facts for the manifest.
    instrument : str
        Digest of the description of the telescopes.
    telescopes : tuple of int
        Telescopes whose images were looked at; all that follows is about them.
    keys : array of uint64
        One number for each simulated event, see `shower_keys`.
    problem : str
        What is wrong with the images; empty if nothing is.
    energy, core, offset : array of float32
        True energy [TeV], distance of the core from the array [m], and angle to the pointing
        [deg] of each simulated event.
    kept : array of bool
        Whether the event is left after the cuts.
    intensity : array of int, shape (2, bins)
        Images in bins of intensity: all, and those that pass the cuts.
    images, kept_images : dict of int to int
        Telescope -> images: all, and those that pass the cuts.
    candidates : list of Candidate
        Images from which examples can be chosen.
    """

    file: DL1File
    instrument: str
    telescopes: tuple[int, ...]
    keys: np.ndarray
    problem: str = ""
    energy: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    core: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    offset: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    kept: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    intensity: np.ndarray = field(
        default_factory=lambda: np.zeros((2, len(INTENSITY_EDGES_PE) - 1), dtype=int)
    )
    images: dict[int, int] = field(default_factory=dict)
    kept_images: dict[int, int] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)


def look_at(path: Path, checks: Checks, telescopes: Sequence[int] | None = None) -> FileLook:
    """Look at all that checks, manifest and data page want of a file, in one opening.

    What is wrong with images does not end it: whether they are used depends on other files.

    Parameters
    ----------
    path : Path
        The file.
    checks : Checks
        Options of the run.
    telescopes : sequence of int, optional
        Telescopes whose images are looked at; None takes those that the options allow.

    Raises
    ------
    DataError
        Something that the reader needs is missing, the data format is too old, or an event is
        there twice.
    UserError
        A cut cannot be computed.
    """
    with open_hdf5(path) as file:
        try:
            check_layout(path, file, aligned=not checks.lookup)
            read = {node: StoredTable(file, node) for node in (SHOWERS, TRIGGERS, RUNS)}
            facts = read_facts(path, file, *read.values())
            instrument = digest_instrument(file)
            if telescopes is None:
                array = known_array(file, instrument, checks.focal_length)
                telescopes = allowed_telescopes(checks, array)
            used = tuple(number for number in facts.images if number in set(telescopes))
            look = FileLook(facts, instrument, used, shower_keys(read[SHOWERS]))
            try:
                _look_at_images(path, file, read, checks, look)
            except DataError as error:
                look.problem = str(error)
        except (tables.HDF5ExtError, OSError) as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error
    if parent_process() is None:
        left_tables.leave(path, read)
    return look


def _look_at_images(
    path: Path, file: tables.File, read: dict[str, StoredTable], checks: Checks, look: FileLook
) -> None:
    """Fill the look with what the images of its telescopes, and the showers they saw, are like.

    Tables that are read on the way are added to those in ``read``.
    """
    showers, triggers = read[SHOWERS], read[TRIGGERS]
    energy = showers.numbers("true_energy", "TeV")
    n_kept = np.zeros(len(energy), dtype=np.int32)
    offset = np.full(len(energy), np.nan)
    n_passing = n_empty = 0
    for number in look.telescopes:
        node, place = telescope_node(PARAMETERS, number), telescope_node(POINTINGS, number)
        parameters, pointing = StoredTable(file, node), StoredTable(file, place)
        read |= {node: parameters, place: pointing}
        rows = find_rows(parameters, showers, EVENT_KEYS)
        columns = JoinedColumns(
            [
                (parameters, np.arange(len(parameters))),
                (showers, rows),
                (triggers, find_rows(parameters, triggers, EVENT_KEYS)),
            ]
        )
        # Before the pixels: a cut that cannot be computed should not take an hour to be found.
        passing = evaluate_cuts(checks, columns, parameters.names)
        images = check_images(path, file, number, parameters, passing, checks)
        n_passing, n_empty = n_passing + images.n_passing, n_empty + images.n_empty

        np.add.at(n_kept, rows[passing & (rows >= 0)], 1)
        look.images[number] = len(passing)
        look.kept_images[number] = int(passing.sum())
        intensity = np.zeros(len(parameters))
        if "hillas_intensity" in parameters.names:
            stored = np.asarray(parameters["hillas_intensity"])
            for row, mask in enumerate((np.isfinite(stored), passing)):
                look.intensity[row] += np.histogram(stored[mask], INTENSITY_EDGES_PE)[0]
            intensity = np.nan_to_num(stored.astype(float))
        look.candidates += _candidates(path, number, images, intensity, energy[rows])
        if np.isnan(offset).any():
            offset = np.where(np.isnan(offset), _offset_deg(showers, pointing), offset)
    look.file = replace(look.file, n_passing=n_passing, n_empty=n_empty)
    look.energy, look.offset = energy.astype(np.float32), offset.astype(np.float32)
    core = np.hypot(*(showers.numbers(f"true_core_{axis}", "m") for axis in "xy"))
    look.core, look.kept = core.astype(np.float32), n_kept >= checks.least_telescopes


def _candidates(
    path: Path, number: int, images: ImageRows, intensity: np.ndarray, energies: np.ndarray
) -> list[Candidate]:
    """Some images that pass the cuts: the quantiles of the intensity.

    Where none has one, as in windows without a shower, one image with the intensity 0.
    """
    usable = np.flatnonzero(images.passing & (intensity > 0))
    if not len(usable):
        usable = np.flatnonzero(images.passing)[:1]
    if not len(usable):
        return []
    ordered = usable[np.argsort(intensity[usable], kind="stable")]
    chosen = np.unique(ordered[np.linspace(0, len(ordered) - 1, CANDIDATES_A_TABLE).astype(int)])
    return [
        Candidate(float(intensity[row]), float(energies[row]), path, number, int(images.rows[row]))
        for row in chosen
        if images.rows[row] >= 0
    ]


def _offset_deg(showers: StoredTable, pointings: StoredTable) -> np.ndarray:
    """Angle between each shower and the pointing of the telescope in its run [deg]."""
    last = {int(run): row for row, run in enumerate(np.asarray(pointings["obs_id"]))}
    rows = np.array([last.get(int(run), -1) for run in np.asarray(showers["obs_id"])])
    other_alt, other_az = (
        pointings.numbers(f"telescope_pointing_{name}", "rad")[rows]
        for name in ("altitude", "azimuth")
    )
    alt, az = (np.radians(showers.numbers(f"true_{name}", "deg")) for name in ("alt", "az"))
    # The haversine is exact where the angle is small.
    square = (
        np.sin((alt - other_alt) / 2) ** 2
        + np.cos(alt) * np.cos(other_alt) * np.sin((az - other_az) / 2) ** 2
    )
    separation = 2 * np.arcsin(np.sqrt(np.clip(square, 0, 1)))
    return np.where(rows >= 0, np.degrees(separation), np.nan)


def look_at_files(
    paths: Sequence[Path],
    checks: Checks,
    telescopes: Sequence[int] | None = None,
    folder: Path | None = None,
) -> dict[Path, FileLook]:
    """Look at each file, unless what an earlier look found is remembered.

    Many files are shared between processes, as many as the job has cores: HDF5 has one lock for a
    whole process, so that threads would wait for each other.

    Parameters
    ----------
    paths : sequence of Path
        Files.
    checks : Checks
        Options of the run.
    telescopes : sequence of int, optional
        As for `look_at`.
    folder : Path, optional
        Where looks are remembered; None takes the user's cache folder.
    """
    memory = Memory(folder or _cache_folder(), checks, telescopes)
    looks = {path: look for path in paths if (look := memory.recall(path)) is not None}
    missing = [path for path in dict.fromkeys(paths) if path not in looks]
    if looks and missing:
        log.info("%d of %d files are as they were when last checked", len(looks), len(paths))
    work = partial(_look_and_stat, checks=checks, telescopes=telescopes)
    with _workers(len(missing)) as map_files:
        for path, (look, status) in zip(
            with_progress(missing, "checking files"), map_files(work, missing), strict=True
        ):
            looks[path] = look
            memory.keep(path, look, status)
    for path, look in looks.items():
        note_instrument(path, look.instrument)
    if missing:
        memory.prune()
    return {path: looks[path] for path in paths}


def _look_and_stat(
    path: Path, checks: Checks, telescopes: Sequence[int] | None
) -> tuple[FileLook, list[int]]:
    # Before the look: a file that changes meanwhile is looked at again next time.
    status = _status(path)
    return look_at(path, checks, telescopes), status


@contextmanager
def _workers(n_files: int) -> Iterator[Callable[..., Iterator]]:
    """Give the function that maps over files: in this process, or in several."""
    n_cores = len(os.sched_getaffinity(0))
    if n_files < MANY_FILES or n_cores < 2:
        yield map
        return
    # Fresh processes: a copy of one that runs TensorFlow's threads may never finish.
    with ProcessPoolExecutor(n_cores, mp_context=get_context("spawn")) as pool:
        try:
            yield partial(pool.map, chunksize=8)
        finally:
            pool.shutdown(cancel_futures=True)


def recall_keys(path: Path, folder: Path | None = None) -> np.ndarray:
    """Shower keys of a file: remembered from any look at it, or read."""
    folder = folder or _cache_folder()
    for stored in sorted(folder.glob(f"{_digest(str(path.resolve()))}-*.npz")) if folder else []:
        content = _load(stored, path)
        if content is not None:
            return content["keys"]
    with open_hdf5(path) as file:
        if SHOWERS not in file:
            raise DataError(f"{path}: has no {SHOWERS}: {REQUIRED_NODES[SHOWERS]}")
        return shower_keys(StoredTable(file, SHOWERS))


class Memory:
    """Looks that are kept between commands, one file each, while size and time do not change.

    Parameters
    ----------
    folder : Path or None
        Where; None keeps nothing.
    checks : Checks
        Options of the run: with others, a look finds something else.
    telescopes : sequence of int or None
        Telescopes that were asked for.
    """

    def __init__(self, folder: Path | None, checks: Checks, telescopes: Sequence[int] | None):
        self.folder = folder
        chosen = None if telescopes is None else tuple(telescopes)
        self._options = _digest(repr((FORMAT, __version__, checks, chosen)))

    def _place(self, path: Path) -> Path:
        assert self.folder is not None
        return self.folder / f"{_digest(str(path.resolve()))}-{self._options}.npz"

    def recall(self, path: Path) -> FileLook | None:
        """Take what was found before; None if there is nothing, or the file has changed since."""
        content = None if self.folder is None else _load(self._place(path), path)
        if content is None:
            return None
        said = json.loads(str(content["said"]))
        numbers = {
            name: {int(tel): n for tel, n in said[name].items()}
            for name in ("images", "kept_images")
        }
        arrays = {
            name: content[name]
            for name in ("keys", "energy", "core", "offset", "kept", "intensity")
        }
        candidates = [
            Candidate(intensity, energy, path, int(tel), int(row))
            for intensity, energy, tel, row in content["candidates"].tolist()
        ]
        facts = replace(DL1File.from_dict(said["file"]), path=str(path))
        telescopes = tuple(said["telescopes"])
        return FileLook(
            facts, said["instrument"], telescopes, candidates=candidates, **numbers, **arrays
        )

    def keep(self, path: Path, look: FileLook, status: list[int]) -> None:
        """Remember a look that found nothing wrong."""
        if self.folder is None or look.problem:
            return
        said = {
            "status": status,
            "file": look.file.as_dict(),
            "instrument": look.instrument,
            "telescopes": [int(number) for number in look.telescopes],
            "images": look.images,
            "kept_images": look.kept_images,
        }
        rows = [
            (each.intensity, each.energy_tev, each.telescope, each.row) for each in look.candidates
        ]
        # A full or read-only disk costs time, not the work.
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._place(path)) as temporary, temporary.open("wb") as stream:
                np.savez(
                    stream,
                    said=np.array(json.dumps(said, default=int)),
                    keys=look.keys,
                    energy=look.energy,
                    core=look.core,
                    offset=look.offset,
                    kept=look.kept,
                    intensity=look.intensity,
                    candidates=np.array(rows, dtype=float).reshape(-1, 4),
                )

    def prune(self) -> None:
        """Forget the oldest looks where there are too many."""
        with suppress(OSError):
            stored = list(self.folder.glob("*.npz")) if self.folder else []
            if len(stored) > MOST_REMEMBERED:
                stored.sort(key=lambda path: path.stat().st_mtime)
                for path in stored[: len(stored) - MOST_REMEMBERED]:
                    path.unlink(missing_ok=True)


def _load(stored: Path, path: Path) -> dict[str, np.ndarray] | None:
    """Content of a remembered look if the file is as it was then."""
    # One that is not there or damaged is as good as none.
    with suppress(OSError, ValueError, KeyError, EOFError, BadZipFile), stored.open("rb") as stream:
        content = np.load(stream)
        if json.loads(str(content["said"]))["status"] == _status(path):
            return dict(content)
    return None


def _status(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@lru_cache(maxsize=1)
def _cache_folder() -> Path | None:
    try:
        return Path(get_cache_dir("cherenkov_mlops")) / "checked"
    except OSError as error:
        log.debug("no cache folder for what was checked: %s", error)
        return None
